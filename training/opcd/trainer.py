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
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from agents.agent import Prompt
from agents.sampling import Sampling
from agents.vlm.checkpoint import Loaded, end_token_ids, vision_token_ids
from agents.vlm.encoding import Completed, ModelInputs, complete, encode_prompts, select_rows
from training.data.layout_stream import Board, LiveBoards, live_boards
from training.data.length_groups import length_groups
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
from training.opcd.answers import Answers, Asked
from training.opcd.checks import check_opcd, objective_of
from training.opcd.config import OPCDConfig
from training.opcd.diagnostics import StreakMonitor, means
from training.opcd.objective import TeacherOutputs, Tokens
from training.opcd.policy_agent import PolicyAgent
from training.opcd.rollout_config import make_sampler
from training.opcd.sampler import SampledCompletions, Sampler
from training.opcd.teachers import Teacher, UpdateTeacher, make_teacher
from vsp_envs import score_reply
from vsp_envs.scoring.score import Score

TAUGHT_AT_ONCE = 8
"""Answers that the teacher reads at once, of similar length: no gradients are kept for them."""


class Ahead(NamedTuple):
    """A rollout that is under way while another step is updated."""

    asked: Asked
    sampled: Future[SampledCompletions]


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
        self._sampler_step = -1
        self._following: list[list[Board]] | None = None
        self._ahead: Ahead | None = None
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
            if "sampler" in vars(self):
                self.sampler.close()

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
        """Sample the answers of the step, have them judged, and divide them into micro-batches."""
        answers = self._answers(batches)
        if self.teacher is not None:
            answers = answers._replace(taught=self._teach(self.teacher, answers))
        return [self._micro_batch(answers, rows) for rows in self._groups(batches, answers)]

    def read_by(self, board: Board) -> dict[str, Completed]:
        """What the student and the teacher read of a board, with the student's answer."""
        answers = self._answers([[board]])
        sides = {"student": self._student_side(answers, [0])}
        return (
            sides if self.teacher is None else sides | {"teacher": self._teacher_side(answers, [0])}
        )

    def _answers(self, batches: Sequence[Sequence[Board]]) -> Answers:
        """The answers of the step, and with `rollouts_ahead` a start on those of the next."""
        step, ahead = self.state.global_step, self._ahead
        if ahead is not None:
            asked, sampled = ahead.asked, ahead.sampled.result()
        else:
            asked = self._ask(batches, step)
            self.update_sampler()
            sampled = self._rollout(asked)
        self._ahead = None
        if self._following:
            self.update_sampler()
            following = self._ask(self._following, step + 1)
            self._ahead = Ahead(following, self._thread.submit(self._rollout, following))
        return self._judge(asked, sampled, is_stale=ahead is not None)

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
            wait([self._ahead.sampled])
        if self._sampler_step != self.state.global_step:
            self.sampler.update(self.accelerator.unwrap_model(self.model))
            self._sampler_step = self.state.global_step

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

    @cached_property
    def sampler(self) -> Sampler:
        """Samples the answers. The first rollout makes it, so a finished run starts no engine."""
        loaded = Loaded(self.model, self.processor, self.view)
        return make_sampler(self.opcd, self.opcd.model, loaded, self.opcd.out)

    def validate(self) -> dict[str, float]:
        """The success of greedy plans, by the run's own sampler, limits and reader."""
        self.update_sampler()
        agent = PolicyAgent(
            self._sample, self._encode, self.processor.tokenizer, self.view,
            end_token_ids(self.model), self.opcd.max_new_tokens,
        )  # fmt: skip
        return validate(agent, self.opcd, "image", "plan", self.opcd.reader)

    def _ask(self, batches: Sequence[Sequence[Board]], step: int) -> Asked:
        config = self.opcd
        boards = [board for board in chain(*batches) for _ in range(config.rollouts)]
        prompts = [board.prompt("image", "plan", self.view) for board in boards]
        sampling = Sampling(config.temperature, config.max_new_tokens, self._seed(step))
        return Asked(boards, prompts, self._encode(prompts), sampling, self._seeds(boards))

    def _rollout(self, asked: Asked) -> SampledCompletions:
        """All answers of the process in one call."""
        return self._sample(asked.prompts, asked.inputs, asked.sampling, asked.seeds)

    def _sample(
        self,
        prompts: Sequence[Prompt],
        inputs: ModelInputs,
        sampling: Sampling,
        seeds: Sequence[int] | None = None,
    ) -> SampledCompletions:
        # The arithmetic of the update: the forward of a LoRA's base does not cast by itself.
        with self.accelerator.autocast():
            return self.sampler.sample(prompts, inputs, sampling, seeds)

    def _judge(self, asked: Asked, sampled: SampledCompletions, is_stale: bool) -> Answers:
        """The answers with what they are worth, and whether the teacher gets a plan."""
        config, boards, ids = self.opcd, asked.boards, sampled.ids
        scores = self._score(boards, ids)
        rewards = torch.tensor([reward_of(score, config.optimal_reward) for score in scores])
        unequal = 1 - share_without_advantage(rewards, config.rollouts)
        if config.rollouts > 1:
            self.note(groups_without_advantage=1 - unequal)
        self._monitor(sum(score.status == "ok" for score in scores), unequal)
        advantages = None
        if config.reward_weight:
            advantages = group_advantages(rewards, config.rollouts, config.scale_rewards)
        chance = np.random.default_rng(asked.sampling.seed).random(len(boards))
        with_plan = config.teacher_plan & (chance < config.teacher_plan_share)
        answers = Answers(asked, ids, sampled.logprobs, is_stale, advantages, with_plan)
        if self.teacher is not None:
            lengths = np.array(answers.lengths())
            self.note(tokens_judged_with_plan=(lengths * with_plan).sum() / max(1, lengths.sum()))
        if config.rollouts_ahead:
            self.note(staleness=is_stale)
        return answers

    def _groups(self, batches: Sequence[Sequence[Board]], answers: Answers) -> list[list[int]]:
        """The rows of each micro-batch: those of the loader, or under a budget of tokens."""
        config = self.opcd
        if config.micro_batch_tokens:
            prompts = answers.asked.inputs["attention_mask"].sum(1).tolist()
            return length_groups(
                prompts, answers.lengths(), config.micro_batch_tokens, config.micro_batch_size
            )
        rows = iter(range(len(answers.ids)))
        return [list(islice(rows, len(batch) * config.rollouts)) for batch in batches]

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
        ids = [answers.ids[row] for row in rows]
        return complete(select_rows(answers.asked.inputs, rows), ids, self._pad_id)

    def _teacher_side(self, answers: Answers, rows: Sequence[int]) -> Completed:
        boards, with_plan = answers.asked.boards, answers.with_plan
        prompts = [boards[row].prompt("text", "plan", self.view, with_plan[row]) for row in rows]
        # The sampled ids themselves follow the teacher's prompt: decoding and tokenizing them
        # again could split them differently.
        return complete(self._encode(prompts), [answers.ids[row] for row in rows], self._pad_id)

    def _teach(self, teacher: Teacher, answers: Answers) -> list[torch.Tensor]:
        """What the teacher's output layer reads at each answer's tokens."""
        taught: dict[int, torch.Tensor] = {}
        lengths = answers.lengths()
        by_length = sorted(range(len(lengths)), key=lengths.__getitem__)
        for first in range(0, len(lengths), TAUGHT_AT_ONCE):
            rows = by_length[first : first + TAUGHT_AT_ONCE]
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

    def _encode(self, prompts: Sequence[Prompt]) -> ModelInputs:
        return self._prepare_inputs(encode_prompts(self.processor, prompts, packed=True))

    def _seed(self, step: int) -> int:
        # Independent of torch's generator, which the Trainer restores after the first rollout.
        entropy = [self.config.seed, step, 0, self.args.process_index]
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

    def _tokens(self, student: Completed, answers: Answers, rows: Sequence[int]) -> Tokens:
        mask, device, advantages, logprobs = student.mask, student.ids.device, None, None
        if answers.advantages is not None:
            each = answers.advantages[list(rows)].to(device)
            advantages = each.unsqueeze(1).expand(mask.shape)[mask]
        if answers.logprobs is not None:
            flat = [each for row in rows for each in answers.logprobs[row]]
            logprobs = torch.tensor(flat, device=device)
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
    boards = live_boards(config, student.view, ("plan",))
    trainer = OPCDTrainer(config, student, teacher, boards)
    trainer.add_callback(ValidationCallback(trainer, config.eval_every, trainer.validate))
    return trainer
