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

from collections import deque
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agents.agent import Prompt
from agents.sampling import Sampling
from agents.vlm.checkpoint import Loaded, end_token_ids, vision_token_ids
from agents.vlm.encoding import Completed, ModelInputs, complete, encode_prompts
from training.data.layout_stream import Board, LiveBoards, live_boards
from training.loop.chunked_loss import completion_loss
from training.loop.run import run
from training.loop.trainer import CompletionTrainer, ValidationCallback
from training.loop.validation import validate
from training.model.sharding import place_model
from training.model.student import load_student
from training.opcd.advantages import (
    group_advantages,
    reward_of,
    score_metrics,
    share,
    share_without_advantage,
)
from training.opcd.checks import check_opcd, objective_of
from training.opcd.config import OPCDConfig
from training.opcd.diagnostics import StreakMonitor, means
from training.opcd.objective import Tokens, teacher_outputs
from training.opcd.rollout_config import make_sampler
from training.opcd.sampler import SampledCompletions, Sampler
from training.opcd.teachers import Teacher, UpdateTeacher, make_teacher
from vsp_envs import score_reply
from vsp_envs.scoring.score import Score


class OPCDTrainer(CompletionTrainer):
    """Rolls out, then distils the teacher into the student and reinforces what was rewarded."""

    def __init__(
        self, config: OPCDConfig, student: Loaded, teacher: Teacher | None, boards: LiveBoards
    ):
        """`teacher` has the student's vocabulary. None: learn from the reward alone."""
        super().__init__(config, student, boards, data_collator=list)
        self.opcd, self.teacher = config, teacher
        self.objective = objective_of(config, vision_token_ids(student.model.config))
        first = self.is_world_process_zero()
        self.unreadable = StreakMonitor(
            "no answer could be read", first, config.stop_after_unreadable,
            "--stop-after-unreadable",
        )  # fmt: skip
        self.unrewarded = StreakMonitor("no answer earned more than another to its board", first)
        self._rollout_batches: tuple[list[Any], torch.Tensor] | None = None
        if teacher is not None:
            self._place_teacher(teacher)

    def _place_teacher(self, teacher: Teacher) -> None:
        """Move the teacher to its devices, and let it follow the student."""
        kind = self.opcd.teacher_kind
        if kind == "ema" and (self.is_fsdp_enabled or self.is_deepspeed_enabled):
            raise ValueError(
                "the teacher ema needs whole weights in every process, which FSDP and "
                "DeepSpeed do not leave there; take --teacher-kind frozen or adapter-off"
            )
        placement = self.opcd.teacher_placement if kind == "frozen" else "replicated"
        place_model(teacher.model, placement, self.args.device)
        self.add_callback(UpdateTeacher(teacher))

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], torch.Tensor]:
        """Roll out, or use the answers of the last rollout once more."""
        if self._rollout_batches and self.state.global_step % self.opcd.updates_per_rollout:
            # Step s always begins at board s·batch_size, so runs resume at any rollout.
            deque(islice(epoch_iterator, num_batches), maxlen=0)
            return self._rollout_batches
        self._rollout_batches = None  # frees its memory for the next rollout
        prepared = super().get_batch_samples(epoch_iterator, num_batches, device)
        self._monitor(prepared[0])
        if self.opcd.updates_per_rollout > 1:
            self._rollout_batches = prepared
        return prepared

    def prepare_batch(self, batch: Any, micro: int) -> dict[str, Any]:
        """Sample the student's answers, and prepare the inputs of student and teacher."""
        config = self.opcd
        boards = [board for board in batch for _ in range(config.rollouts)]
        prompts = [board.prompt("image", "plan", self.view) for board in boards]
        inputs = self._encode(prompts)
        self.model.eval()
        answers, sampler_logprobs = self._rollout(boards, prompts, inputs, micro)
        student = complete(inputs, answers, self._pad_id)
        scores = self._score(boards, answers)
        rewards = torch.tensor([reward_of(score, config.optimal_reward) for score in scores])
        tokens = self._tokens(student, rewards, sampler_logprobs)
        if config.updates_per_rollout > 1:
            tokens = tokens._replace(old_logprobs=self._log_probs(student, tokens))
        unequal = 1 - share_without_advantage(rewards, config.rollouts)
        if config.rollouts > 1:
            self.note(groups_without_advantage=1 - unequal)
        read = sum(score.status == "ok" for score in scores)
        return {
            "student": student._asdict(),
            **self._teacher_side(boards, answers, micro),
            "tokens": tokens._asdict(),
            "mask": student.mask,
            "outcome": torch.tensor([read, unequal]),
        }

    def shown(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The student's inputs."""
        return batch["student"]

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Divergence and reward terms at every sampled token, averaged over the whole step."""
        outputs = None
        if self.teacher is not None:
            with self.accelerator.autocast():
                outputs = teacher_outputs(self.teacher, Completed(**inputs["teacher"]))
        # Without a single token the sum is 0, and so is the loss.
        total = num_items_in_batch.clamp(min=1)
        token_loss = self.objective.token_loss(Tokens(**inputs["tokens"]), outputs, total)
        loss, metrics = completion_loss(model, Completed(**inputs["student"]), token_loss)
        self.note(**means(metrics))
        return self.over_ranks(loss)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save the student; a checkpoint to resume from also gets the teacher's state."""
        super().save_model(output_dir, _internal_call)
        if _internal_call and output_dir and self.teacher and self.is_world_process_zero():
            self.teacher.save(Path(output_dir))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        if self.teacher:
            self.teacher.load(Path(resume_from_checkpoint))

    @cached_property
    def sampler(self) -> Sampler:
        """Samples the answers. The first rollout makes it, so a finished run starts no engine."""
        loaded = Loaded(self.model, self.processor, self.view)
        return make_sampler(self.opcd, self.opcd.model, loaded, self.opcd.out)

    def _rollout(
        self, boards: Sequence[Board], prompts: Sequence[Prompt], inputs: ModelInputs, micro: int
    ) -> SampledCompletions:
        """The student's answers, sampled with its present weights."""
        config = self.opcd
        if micro == 0:
            self.sampler.update(self.accelerator.unwrap_model(self.model))
        sampling = Sampling(config.temperature, config.max_new_tokens, self._seed(micro))
        return self.sampler.sample(prompts, inputs, sampling, self._seeds(boards))

    def _teacher_side(
        self, boards: Sequence[Board], answers: list[list[int]], micro: int
    ) -> dict[str, Any]:
        if self.teacher is None:
            return {}
        chance = np.random.default_rng(self._seed(micro)).random(len(boards))
        has_plan = self.opcd.teacher_plan & (chance < self.opcd.teacher_plan_share)
        pairs = zip(boards, has_plan, strict=True)
        inputs = self._encode(
            [board.prompt("text", "plan", self.view, with_plan) for board, with_plan in pairs]
        )
        lengths = np.array([len(answer) for answer in answers])
        self.note(tokens_judged_with_plan=(lengths * has_plan).sum() / max(1, lengths.sum()))
        # The sampled ids themselves follow the teacher's prompt: decoding and tokenizing them
        # again could split them differently.
        return {"teacher": complete(inputs, answers, self._pad_id)._asdict()}

    @torch.no_grad()
    def _log_probs(self, student: Completed, tokens: Tokens) -> torch.Tensor:
        _, metrics = completion_loss(self.model, student, self.objective.log_probs_of(tokens))
        return metrics["log_p"]

    @property
    def _pad_id(self) -> int:
        return self.processor.tokenizer.pad_token_id

    def _encode(self, prompts: Sequence[Prompt]) -> ModelInputs:
        return self._prepare_inputs(encode_prompts(self.processor, prompts, packed=True))

    def _seed(self, micro: int) -> int:
        # Independent of torch's generator, which the Trainer restores after the first rollout.
        entropy = [self.config.seed, self.state.global_step, micro, self.args.process_index]
        return int(np.random.SeedSequence(entropy).generate_state(1)[0])

    def _seeds(self, boards: Sequence[Board]) -> list[int] | None:
        if not self.opcd.seed_per_board:
            return None
        rollouts = self.opcd.rollouts
        streams = [
            np.random.SeedSequence([self.config.seed, board.stream_index, row % rollouts])
            for row, board in enumerate(boards)
        ]
        return [int(stream.generate_state(1)[0]) for stream in streams]

    def _score(self, boards: Sequence[Board], answers: list[list[int]]) -> list[Score]:
        texts = self.processor.tokenizer.batch_decode(answers, skip_special_tokens=True)
        pairs = zip(boards, texts, strict=True)
        scores = [score_reply(board.layout, text, reader=self.opcd.reader) for board, text in pairs]
        end = set(end_token_ids(self.model))
        self.note(
            rollout_tokens=sum(map(len, answers)) / len(answers),
            rollout_cut=share(bool(answer) and answer[-1] not in end for answer in answers),
            rollout_blank=share(not text.strip() for text in texts),
            **score_metrics(scores, self.opcd.optimal_reward),
        )
        return scores

    def _tokens(
        self, student: Completed, rewards: torch.Tensor, logprobs: list[list[float]] | None
    ) -> Tokens:
        config, device, advantages = self.opcd, student.ids.device, None
        if config.reward_weight:
            advantage = group_advantages(rewards, config.rollouts, config.scale_rewards).to(device)
            advantages = advantage.unsqueeze(1).expand(student.ids.shape)[student.mask]
        flat = None
        if logprobs is not None:
            flat = torch.tensor([each for answer in logprobs for each in answer], device=device)
        return Tokens(student.ids[student.mask], advantages, sampler_logprobs=flat)

    def _monitor(self, batches: Sequence[dict[str, Any]]) -> None:
        outcome = torch.stack([batch["outcome"] for batch in batches]).sum(0, keepdim=True)
        read, unequal = self.accelerator.gather(outcome.to(self.args.device)).sum(0).tolist()
        step = self.state.global_step + 1
        self.unreadable.update(step, not read)
        if not self.opcd.distill_weight:
            self.unrewarded.update(step, not unequal)


def train_opcd(config: OPCDConfig) -> Path:
    """Run the stage; returns the folder of the final checkpoint."""
    check_opcd(config)
    return run(config, OPCDTrainer.__name__, lambda: make_opcd_trainer(config))


def make_opcd_trainer(config: OPCDConfig) -> OPCDTrainer:
    """Student, teacher and boards, ready to train."""
    student = load_student(config, config.model)
    teacher = None
    if config.distill_weight:
        teacher = make_teacher(
            config.teacher_kind, config.teacher, config.ema_decay, student.model,
            config.teacher_dtype,
        )  # fmt: skip
    boards = live_boards(config, student.view, ("plan",))
    trainer = OPCDTrainer(config, student, teacher, boards)
    trainer.add_callback(
        ValidationCallback(
            trainer, config.eval_every, lambda: validate(student, config, "image", "plan")
        )
    )
    return trainer
