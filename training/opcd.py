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

from agents.encoding import Completed, complete, encode_prompts
from agents.hf import Sampling, sample
from agents.loading import CheckpointError, Loaded, load_checkpoint
from agents.prompts import text_prompt
from training.boards import Board, LiveBoards
from training.losses import DISTILLATION, entropy, log_probs, mean_over, policy_gradient
from training.measure import measure
from training.reward import (
    check_rollouts,
    group_advantages,
    reward_of,
    share_without_advantage,
)
from training.trainer import CompletionTrainer, Measure, TrainingConfig, block_size, run
from vsp_envs import score_reply, shortest_plan
from vsp_envs.task import pick_name


@dataclass(frozen=True)
class OPCDConfig(TrainingConfig):
    """OPCD: the visual student learns from a symbolic teacher on its own rollouts."""

    model: str = ""
    """The student's checkpoint: the perception SFT model."""
    teacher: str = ""
    """The teacher's checkpoint: the base model, frozen."""
    teacher_plan: bool = False
    """Give the teacher a reference plan besides the state (the paper's default is True)."""
    distill_weight: float = 1.0
    """Weight of the divergence from the teacher; 0: the reward alone, and no teacher is loaded."""
    reward_weight: float = 0.0
    """Weight of the environment's reward: success of the plan, as an advantage over the other
    answers to the same board. With `distill_weight` 0 this is RLVR with GRPO's baseline."""
    rollouts: int = 1
    """Answers sampled per board; the batch of a step is `batch_size` × `rollouts` answers."""
    optimal_reward: float = 0.0
    """What a shortest plan earns beside the 1 for success."""
    scale_rewards: bool = True
    """Divide advantages by the standard deviation over a board's answers, as GRPO does."""
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
        """`teacher` is a model of the student's vocabulary; it is frozen here. None: no teacher."""
        super().__init__(config, student, boards, data_collator=list)
        self.opcd = config
        self.teacher = teacher
        if teacher is not None:
            teacher.requires_grad_(False).eval().to(self.args.device)
        self.divergence = DISTILLATION[pick_name("loss", config.loss, DISTILLATION)]

    def prepare_batch(self, batch: Any, micro: int) -> dict[str, Any]:
        """Sample the student's answers and set student and teacher side by side."""
        config = self.opcd
        boards = [board for board in batch for _ in range(config.rollouts)]
        student = self._encode([board.prompt("image", "plan", self.view) for board in boards])
        sampling = Sampling(config.temperature, config.max_new_tokens, self._rollout_seed(micro))
        self.model.eval()
        answers = sample(self.model, student, sampling, self._pad_id)
        rewards = self._note_rollouts(boards, answers)
        scored = complete(student, answers, self._pad_id)
        prepared = {"student": scored._asdict(), "mask": scored.mask}
        if config.reward_weight:
            prepared["advantages"] = self._advantages(rewards)
        if self.teacher is not None:
            teacher = self._encode([self._teacher_prompt(board) for board in boards])
            # The very ids that were sampled follow the teacher's prompt: decoding and reading them
            # again could part them differently.
            prepared["teacher"] = complete(teacher, answers, self._pad_id)._asdict()
        return prepared

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Divergence and reward terms at every sampled token, averaged over the whole step."""
        config, student = self.opcd, Completed(**inputs["student"])
        logits = self.completion_logits(model, student) / config.temperature
        loss = logits.new_zeros(())
        if self.teacher is not None:
            teacher = Completed(**inputs["teacher"])
            with torch.no_grad():
                target = self.completion_logits(self.teacher, teacher) / config.temperature
            self._note_divergence(logits.detach(), target, student)
            loss = config.distill_weight * self.divergence(
                logits, target, student.ids, student.mask, num_items_in_batch
            )
        if config.reward_weight:
            loss = loss + config.reward_weight * policy_gradient(
                logits, inputs["advantages"], student.ids, student.mask, num_items_in_batch
            )
        self.note(entropy=mean_over(entropy(logits.detach()), student.mask))
        return self.over_ranks(loss)

    def _advantages(self, rewards: torch.Tensor) -> torch.Tensor:
        config = self.opcd
        self.note(groups_without_advantage=share_without_advantage(rewards, config.rollouts))
        return group_advantages(rewards, config.rollouts, config.scale_rewards).to(self.args.device)

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

    def _note_rollouts(self, boards: Sequence[Board], answers: list[list[int]]) -> torch.Tensor:
        texts = self.processor.tokenizer.batch_decode(answers, skip_special_tokens=True)
        pairs = zip(boards, texts, strict=True)
        scores = [score_reply(board.layout, text) for board, text in pairs]
        self.note(
            rollout_success=share(score.success for score in scores),
            rollout_answered=share(score.status == "ok" for score in scores),
            rollout_tokens=sum(map(len, answers)) / len(answers),
        )
        rewards = torch.tensor([reward_of(score, self.opcd.optimal_reward) for score in scores])
        self.note(reward=rewards.mean().item())
        return rewards

    @torch.no_grad()
    def _note_divergence(
        self, logits: torch.Tensor, target: torch.Tensor, student: Completed
    ) -> None:
        log_student, log_teacher = log_probs(logits), log_probs(target)
        divergence = (log_student.exp() * (log_student - log_teacher)).sum(-1)
        same = logits.argmax(-1) == target.argmax(-1)
        self.note(
            reverse_kl=mean_over(divergence, student.mask),
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
    check_rollouts(config.rollouts, config.reward_weight, config.distill_weight)
    student = load_checkpoint(config.model, dtype="float32")
    teacher = load_teacher(config, student.model)
    size = config.steps * config.batch_size
    boards = LiveBoards(
        config.kinds(), student.view, config.split, config.seed, size, block_size(config)
    )
    trainer = OPCDTrainer(config, student, teacher, boards)
    trainer.add_callback(
        Measure(trainer, config.eval_every, lambda: measure(student, config, "image", "plan"))
    )
    return run(trainer, student)


def load_teacher(config: OPCDConfig, student: Any) -> Any:
    """The teacher's model; None if nothing is distilled."""
    if not config.distill_weight:
        return None
    teacher = load_checkpoint(config.teacher, dtype="float32").model
    check_same_vocabulary(student, teacher)
    return teacher


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
