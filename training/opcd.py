"""On-policy context distillation on live boards: `python -m training.opcd`.

Stage 2 of MGSD (arXiv 2606.06076): the student sees the image and samples its own answer; a frozen
text-only teacher that is given the symbolic state scores those very tokens; the student minimises
the reverse KL per token. The symbolic state is used here only, never at inference.

Where this differs from the paper: the default loss is the full-vocabulary reverse KL, whose
gradient has the same expectation as the paper's sampled-token one without its variance
(`--loss sampled` is the paper's), and the teacher is not given the reference plan unless
`--teacher-plan` asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agents.agent import Prompt
from agents.encoding import Batch, Completed, complete, encode_prompts
from agents.loading import CheckpointError, Loaded, load_checkpoint, vision_token_ids
from agents.prompts import text_prompt
from agents.sampling import Sampling
from training.boards import Board, LiveBoards
from training.losses import DISTILLATION, entropy, log_probs, mean_over
from training.measure import measure
from training.sampler import Drawn, RolloutConfig, log_prob_gaps, make_sampler
from training.trainer import CompletionTrainer, Measure, TrainingConfig, block_size, run
from vsp_envs import score_reply, shortest_plan
from vsp_envs.task import pick_name


@dataclass(frozen=True)
class OPCDConfig(RolloutConfig, TrainingConfig):
    """OPCD: the visual student learns from a symbolic teacher on its own rollouts."""

    model: str = ""
    """The student's checkpoint: the perception SFT model."""
    teacher: str = ""
    """The teacher's checkpoint: the base model, frozen."""
    teacher_plan: bool = False
    """Give the teacher a reference plan besides the state (the paper's default is True)."""
    loss: str = "reverse_kl"
    """`reverse_kl` over the full vocabulary, or `sampled`: the paper's."""
    temperature: float = 1.0
    """Of the student's sampling; both sides' logits are divided by it in the loss."""
    max_new_tokens: int = 160
    """Longest answer that is sampled."""
    learning_rate: float = 5e-4
    """Peak learning rate. The paper: 1e-6 for all parameters of 4B and 8B models."""
    schedule: str = "half-linear"
    """`half-linear`: constant, then linear over the second half; or `cosine`."""
    weight_decay: float = 0.0
    """AdamW's weight decay."""


class OPCDTrainer(CompletionTrainer):
    """Rolls out once per optimizer step, then distils the teacher into the student."""

    def __init__(self, config: OPCDConfig, student: Loaded, teacher: Any, boards: LiveBoards):
        """`teacher` is a model of the student's vocabulary; it is frozen here."""
        super().__init__(config, student, boards, data_collator=list)
        self.opcd = config
        self.teacher = teacher.requires_grad_(False).eval().to(self.args.device)
        self.divergence = DISTILLATION[pick_name("loss", config.loss, DISTILLATION)]
        self.sampler = make_sampler(config, config.model, student, config.out)

    def prepare_batch(self, batch: Any, micro: int) -> dict[str, Any]:
        """Sample the student's answers and set student and teacher side by side."""
        boards = batch
        prompts = [board.prompt("image", "plan", self.view) for board in boards]
        student = self._encode(prompts)
        teacher = self._encode([self._teacher_prompt(board) for board in boards])
        answers, drawn = self._rollout(prompts, student, micro)
        self._note_rollouts(boards, answers)
        scored = complete(student, answers, self._pad_id)
        # The very ids that were sampled follow the teacher's prompt: decoding and reading them
        # again could part them differently.
        judged = complete(teacher, answers, self._pad_id)
        sides = {"student": scored._asdict(), "teacher": judged._asdict()}
        return {**sides, "mask": scored.mask, "drawn": drawn}

    def _rollout(self, prompts: Sequence[Prompt], inputs: Batch, micro: int) -> Drawn:
        """The student's answers, drawn from its weights as they are now."""
        if micro == 0:
            self.sampler.update(self.accelerator.unwrap_model(self.model))
        config = self.opcd
        sampling = Sampling(config.temperature, config.max_new_tokens, self._rollout_seed(micro))
        return self.sampler.sample(prompts, inputs, sampling)

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The divergence at every sampled token, averaged over the whole step."""
        student, teacher = Completed(**inputs["student"]), Completed(**inputs["teacher"])
        logits = self.completion_logits(model, student) / self.opcd.temperature
        with torch.no_grad():
            target = self.completion_logits(self.teacher, teacher) / self.opcd.temperature
        self._note_divergence(logits.detach(), target, student)
        if (drawn := inputs["drawn"]) is not None:
            never = vision_token_ids(self.model.config)
            gaps = log_prob_gaps(logits.detach(), student.ids, drawn, never)
            self.note(rollout_mismatch=gaps.mean().item())
        loss = self.divergence(logits, target, student.ids, student.mask, num_items_in_batch)
        return self.over_ranks(loss)

    @property
    def _pad_id(self) -> int:
        return self.processor.tokenizer.pad_token_id

    def _encode(self, prompts: Sequence[Any]) -> dict[str, torch.Tensor]:
        return self._prepare_inputs(encode_prompts(self.processor, prompts))

    def _teacher_prompt(self, board: Board) -> Any:
        plan = shortest_plan(board.layout) if self.opcd.teacher_plan else None
        return text_prompt(board.layout, "plan", self.view.style, plan)

    def _rollout_seed(self, micro: int) -> int:
        # Not from torch's generator: on resume the Trainer restores it after the first rollout.
        place = [self.config.seed, self.state.global_step, micro, self.args.process_index]
        return int(np.random.SeedSequence(place).generate_state(1)[0])

    def _note_rollouts(self, boards: Sequence[Board], answers: list[list[int]]) -> None:
        texts = self.processor.tokenizer.batch_decode(answers, skip_special_tokens=True)
        pairs = zip(boards, texts, strict=True)
        scores = [score_reply(board.layout, text) for board, text in pairs]
        self.note(
            rollout_success=share(score.success for score in scores),
            rollout_answered=share(score.status == "ok" for score in scores),
            rollout_tokens=sum(map(len, answers)) / len(answers),
        )

    @torch.no_grad()
    def _note_divergence(
        self, logits: torch.Tensor, target: torch.Tensor, student: Completed
    ) -> None:
        log_student, log_teacher = log_probs(logits), log_probs(target)
        divergence = (log_student.exp() * (log_student - log_teacher)).sum(-1)
        same = logits.argmax(-1) == target.argmax(-1)
        self.note(
            reverse_kl=mean_over(divergence, student.mask),
            entropy=mean_over(entropy(logits), student.mask),
            teacher_agreement=mean_over(same.float(), student.mask),
        )


def share(marks: Iterable[bool]) -> float:
    """The share of marks that are True."""
    marks = list(marks)
    return sum(marks) / len(marks)


def train(config: OPCDConfig) -> Path:
    """Run the stage; returns the folder of the final checkpoint."""
    pick_name("loss", config.loss, DISTILLATION)
    if config.temperature <= 0:
        raise ValueError(f"temperature must be above 0 to sample, got {config.temperature}")
    student = load_checkpoint(config.model, dtype="float32")
    teacher = load_checkpoint(config.teacher, dtype="float32").model
    check_same_vocabulary(student.model, teacher)
    size = config.steps * config.batch_size
    boards = LiveBoards(
        config.kinds(), student.view, config.split, config.seed, size, block_size(config)
    )
    trainer = OPCDTrainer(config, student, teacher, boards)
    trainer.add_callback(
        Measure(trainer, config.eval_every, lambda: measure(student, config, "image", "plan"))
    )
    return run(trainer, student)


def check_same_vocabulary(student: Any, teacher: Any) -> None:
    """Raise CheckpointError unless both models speak the same tokens."""
    sizes = [model.config.get_text_config().vocab_size for model in (student, teacher)]
    if sizes[0] != sizes[1]:
        raise CheckpointError(
            "student and teacher must share a vocabulary; theirs have "
            f"{sizes[0]} and {sizes[1]} tokens"
        )


if __name__ == "__main__":
    from vsp_envs.cli import main

    main(train, OPCDConfig)
