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
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agents.agent import Prompt, Request
from agents.vlm.checkpoint import Loaded, vision_token_ids
from agents.vlm.encoding import Completed, complete, select_rows
from training.data.layout_stream import Board, LiveBoards, live_boards
from training.data.length_groups import length_groups
from training.loop.chunked_loss import completion_loss
from training.loop.run import run
from training.loop.trainer import CompletionTrainer, ValidationCallback
from training.loop.validation import validate
from training.model.sharding import place_model
from training.model.student import load_student
from training.opcd.advantages import (
    above_mean,
    group_advantages,
    reply_statuses,
    reward_of,
    score_metrics,
    share,
    share_without_advantage,
    turn_progress,
)
from training.opcd.answers import Answers, Rollout
from training.opcd.checks import check_opcd, objective_of
from training.opcd.config import OPCDConfig
from training.opcd.diagnostics import StreakMonitor, means
from training.opcd.objective import TeacherOutputs, Tokens
from training.opcd.policy import Policy
from training.opcd.teachers import Teacher, UpdateTeacher, make_teacher
from vsp_envs.prompts.question import teacher_prompt

TAUGHT_AT_ONCE = 8
"""Answers that the teacher reads at once, of similar length: no gradients are kept for them."""


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
        self.policy = Policy(config, self)
        self._rollout_batches: tuple[list[Any], torch.Tensor] | None = None
        self._following: list[list[Board]] | None = None
        self._ahead: Future[Rollout] | None = None
        self._thread = ThreadPoolExecutor(1)
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
        if self.opcd.updates_per_rollout > 1:
            for batch in chain(*prepared[0]):
                batch["tokens"]["old_logprobs"] = self._log_probs(batch)
            self._rollout_batches = prepared
        return prepared

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train, and close what sampling has opened."""
        try:
            return super().train(*args, **kwargs)
        finally:
            self._thread.shutdown()
            self.policy.close()

    def take_batches(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> list[Any]:
        """The boards of this step. With `rollouts_ahead` those of the next are taken too."""
        batches, self._following = self._following, None
        if batches is None:
            batches = super().take_batches(epoch_iterator, num_batches, device)
        if self.opcd.rollouts_ahead:
            self._following = super().take_batches(epoch_iterator, num_batches, device)
        return batches

    def prepare_step(self, batches: list[list[Board]]) -> list[dict[str, Any]]:
        """Play the boards of the step, judge the answers, and divide them into micro-batches."""
        answers = self._answers(batches)
        if self.teacher is not None:
            answers = answers._replace(taught=self._teach(self.teacher, answers))
        return [self._micro_batch(answers, rows) for rows in self._groups(batches, answers)]

    def read_by(self, board: Board) -> dict[str, Completed]:
        """What the student and the teacher read of a board, with the student's answer."""
        answers = self._answers([[board]])
        sides = {"student": self._student_side(answers, [0])}
        if self.teacher is not None:
            sides["teacher"] = self._teacher_side(answers, [0])
        return sides

    def _answers(self, batches: Sequence[Sequence[Board]]) -> Answers:
        """The answers of the step, and with `rollouts_ahead` a start on those of the next."""
        step, ahead = self.state.global_step, self._ahead
        if ahead is None:
            self.update_sampler()
            rollout = self.policy.play(list(chain(*batches)), step)
        else:
            rollout = ahead.result()
        self._ahead = None
        if self._following:
            self.update_sampler()
            following = list(chain(*self._following))
            self._ahead = self._thread.submit(self.policy.play, following, step + 1)
        return self._judge(rollout, step, is_stale=ahead is not None)

    def without_tokens(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The micro-batch with answers that count nowhere."""
        none = torch.zeros_like(batch["mask"])
        student = {**batch["student"], "mask": none}
        tokens = {
            name: None if each is None else each[:0] for name, each in batch["tokens"].items()
        }
        taught = {"taught": batch["taught"][:0]} if "taught" in batch else {}
        return {**batch, **taught, "student": student, "tokens": tokens, "mask": none}

    def update_sampler(self) -> None:
        """Let the sampler have the present weights, once it has answered what it was asked."""
        if self._ahead is not None:
            wait([self._ahead])
        self.policy.update(self.state.global_step)

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
                outputs = TeacherOutputs(inputs["taught"], self.teacher.weight)
        # Without a single token the sum is 0, and so is the loss.
        total = num_items_in_batch.clamp(min=1)
        token_loss = self.objective.token_loss(Tokens(**inputs["tokens"]), outputs, total)
        loss, metrics = completion_loss(model, Completed(**inputs["student"]), token_loss)
        self.note(int(inputs["mask"].sum()), **means(metrics))
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

    def validate(self) -> dict[str, float]:
        """The success of greedy play, by the run's own sampler, limits and reader."""
        self.update_sampler()
        with self.policy.sampler.ready():
            return validate(self.policy, self.opcd, "image", self.opcd.ask, self.opcd.reader)

    def _judge(self, rollout: Rollout, step: int, is_stale: bool) -> Answers:
        """The answers with what they are worth, and whether the teacher gets a plan."""
        config, episodes, games = self.opcd, rollout.episodes, rollout.games
        self._note_rollout(rollout)
        rewards = torch.tensor([reward_of(each, config.optimal_reward) for each in episodes])
        advantages = progress = None
        boards = [game // config.rollouts for game in games]
        if config.reward_weight:
            advantages = group_advantages(rewards, config.rollouts, config.scale_rewards)[games]
            if config.progress_reward:
                progress = above_mean(turn_progress(rollout.requests, episodes), boards)
                advantages += config.progress_reward * progress
        unequal = 1 - share_without_advantage(rewards, config.rollouts, progress, boards)
        if config.rollouts > 1:
            self.note(groups_without_advantage=1 - unequal)
        self._monitor(reply_statuses(episodes).count("ok"), unequal)
        chance = np.random.default_rng(self.policy.seed(step)).random(len(episodes))[games]
        with_plan = config.teacher_plan & (chance < config.teacher_plan_share)
        if self.teacher is not None:
            lengths = np.array(rollout.lengths())
            self.note(tokens_judged_with_plan=(lengths * with_plan).sum() / max(1, lengths.sum()))
        if config.rollouts_ahead:
            self.note(staleness=is_stale)
        return Answers(rollout, is_stale, advantages, with_plan)

    def _groups(self, batches: Sequence[Sequence[Board]], answers: Answers) -> list[list[int]]:
        """The rows of each micro-batch: those of the loader's boards, or under a token budget."""
        config, rollout = self.opcd, answers.rollout
        if config.micro_batch_tokens:
            prompts = rollout.inputs["attention_mask"].sum(1).tolist()
            return length_groups(
                prompts, rollout.lengths(), config.micro_batch_tokens, config.micro_batch_size
            )
        owners = [number for number, batch in enumerate(batches) for _ in batch]
        groups: list[list[int]] = [[] for _ in batches]
        for row, game in enumerate(rollout.games):
            groups[owners[game // config.rollouts]].append(row)
        return groups

    def _micro_batch(self, answers: Answers, rows: Sequence[int]) -> dict[str, Any]:
        student = self._student_side(answers, rows)
        batch = {
            "student": student._asdict(),
            "tokens": self._tokens(student, answers, rows)._asdict(),
            "mask": student.mask,
        }
        if answers.taught is None:
            return batch
        return batch | {"taught": torch.cat([answers.taught[row] for row in rows])}

    def _student_side(self, answers: Answers, rows: Sequence[int]) -> Completed:
        rollout = answers.rollout
        ids = [rollout.replies[row].ids for row in rows]
        return complete(select_rows(rollout.inputs, rows), ids, self._pad_id)

    def _teacher_side(self, answers: Answers, rows: Sequence[int]) -> Completed:
        rollout = answers.rollout
        prompts = [
            self._teacher_prompt(rollout.requests[row], bool(answers.with_plan[row]))
            for row in rows
        ]
        # The sampled ids themselves follow the teacher's prompt: decoding and tokenizing them
        # again could split them differently.
        ids = [rollout.replies[row].ids for row in rows]
        return complete(self.policy.encode(prompts), ids, self._pad_id)

    def _teacher_prompt(self, request: Request, with_plan: bool) -> Prompt:
        """The board as text, as it is in the student's turn."""
        layout, state = request.layout, request.state
        return teacher_prompt(
            layout, layout.cells[0] if state is None else state, self.opcd.turn_policy.chunk,
            self.view.style, with_plan, self.opcd.ask,
        )  # fmt: skip

    def _teach(self, teacher: Teacher, answers: Answers) -> list[torch.Tensor]:
        """What the teacher's output layer reads at each answer's tokens."""
        taught: dict[int, torch.Tensor] = {}
        lengths = answers.rollout.lengths()
        by_length = sorted(range(len(lengths)), key=lengths.__getitem__)
        parts = [
            by_length[first : first + TAUGHT_AT_ONCE]
            for first in range(0, len(lengths), TAUGHT_AT_ONCE)
        ]
        # A sharded teacher reads on all processes at once: one with fewer parts repeats the first.
        for rows in parts + parts[:1] * (self.most(len(parts)) - len(parts)):
            with self.accelerator.autocast():
                hidden = teacher.hidden(self._teacher_side(answers, rows))
            taught |= zip(rows, hidden.split([lengths[row] for row in rows]), strict=True)
        return [taught[row] for row in range(len(lengths))]

    @torch.no_grad()
    def _log_probs(self, batch: dict[str, Any]) -> torch.Tensor:
        self.model.eval()
        student, tokens = Completed(**batch["student"]), Tokens(**batch["tokens"])
        _, metrics = completion_loss(self.model, student, self.objective.log_probs_of(tokens))
        return metrics["log_p"]

    @property
    def _pad_id(self) -> int:
        return self.processor.tokenizer.pad_token_id

    def _note_rollout(self, rollout: Rollout) -> None:
        replies, lengths = rollout.replies, rollout.lengths()
        if not self.opcd.turn_policy.one_reply:
            self.note(rollout_turns=len(replies) / len(rollout.episodes))
        self.note(
            rollout_tokens=sum(lengths) / len(lengths),
            rollout_cut=share(
                bool(each.ids) and each.finish_reason == "length" for each in replies
            ),
            rollout_blank=share(not each.text.strip() for each in replies),
            **score_metrics(rollout.episodes, self.opcd.optimal_reward),
        )

    def _tokens(self, student: Completed, answers: Answers, rows: Sequence[int]) -> Tokens:
        mask, device, advantages, logprobs = student.mask, student.ids.device, None, None
        if answers.advantages is not None:
            each = answers.advantages[list(rows)].to(device)
            advantages = each.unsqueeze(1).expand(mask.shape)[mask]
        known = [each for row in rows for each in answers.rollout.replies[row].logprobs]
        if known:
            logprobs = torch.tensor(known, device=device)
        old = logprobs if answers.is_stale else None
        return Tokens(student.ids[mask], advantages, old, logprobs)

    def _monitor(self, read: int, unequal: float) -> None:
        outcome = torch.tensor([[read, unequal]], device=self.args.device)
        read, unequal = self.accelerator.gather(outcome).sum(0).tolist()
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
    boards = live_boards(config, student.view, (config.ask,))
    trainer = OPCDTrainer(config, student, teacher, boards)
    trainer.add_callback(ValidationCallback(trainer, config.eval_every, trainer.validate))
    return trainer
