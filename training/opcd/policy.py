"""The policy in training: plays boards through the run's sampler, for the rollouts and validation.

All boards of a step are played side by side by `agents.rollout`, as in evaluation: a turn of all
of them is one call of the sampler, and boards that have ended leave it. Where one reply is a whole
plan, the first turn is the only one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from threading import Lock
from typing import NamedTuple

import numpy as np

from agents.agent import Prompt, Reply, Request
from agents.rollout import play_together
from agents.sampling import Sampling
from agents.vlm.checkpoint import Loaded, end_token_ids
from agents.vlm.encoding import ModelInputs, encode_prompts, join_rows, why_ended
from training.data.layout_stream import Board
from training.loop.trainer import CompletionTrainer
from training.opcd.answers import Rollout
from training.opcd.config import OPCDConfig
from training.opcd.rollout_config import make_sampler
from training.opcd.sampler import SampledCompletions, Sampler
from vsp_envs.core.solver import solve_layouts


class Turn(NamedTuple):
    """What is asked of all boards that are in play, and the replies."""

    requests: Sequence[Request]
    inputs: ModelInputs
    replies: list[Reply]


class Policy:
    """The model that a trainer trains. As an agent it answers greedily."""

    name = "policy"

    def __init__(self, config: OPCDConfig, trainer: CompletionTrainer) -> None:
        """Ask the model of `trainer`, under the limits of `config`."""
        self.config, self.trainer, self.view = config, trainer, trainer.view
        self._step = -1
        self._tokenizing = Lock()  # rollouts ahead are played in a thread of their own

    @cached_property
    def sampler(self) -> Sampler:
        """Samples the replies. The first rollout makes it, so a finished run starts no engine."""
        loaded = Loaded(self.trainer.model, self.trainer.processor, self.view)
        return make_sampler(self.config, self.config.model, loaded, self.config.out)

    def update(self, step: int) -> None:
        """Let the sampler have the weights of this step."""
        if self._step != step:
            self.sampler.update(self.trainer.accelerator.unwrap_model(self.trainer.model))
            self._step = step

    def close(self) -> None:
        """Close what sampling has opened."""
        if "sampler" in vars(self):
            self.sampler.close()

    def play(self, boards: Sequence[Board], step: int) -> Rollout:
        """Play the boards of a step, each `rollouts` times, until all have ended."""
        config, turns = self.config, list[Turn]()

        def answer(requests: Sequence[Request]) -> list[Reply]:
            seeds = self._seeds(boards, requests) if config.seed_per_board else None
            sampling = Sampling(
                config.temperature, config.max_new_tokens, self.seed(step, len(turns))
            )
            turns.append(self._ask(requests, sampling, seeds))
            return turns[-1].replies

        solve_layouts([board.layout for board in boards])  # many at a time take a fraction
        games = [
            board.game(self.view, config.turn_policy, config.reader, sample)
            for board in boards
            for sample in range(config.rollouts)
        ]
        with self.sampler.ready():
            episodes = dict(play_together(answer, iter(enumerate(games)), len(games)))
        inputs = [turn.inputs for turn in turns]
        return Rollout(
            [request for turn in turns for request in turn.requests],
            join_rows(inputs, self.trainer.processor.tokenizer.pad_token_id),
            [reply for turn in turns for reply in turn.replies],
            [episodes[game] for game in range(len(games))],
        )

    def reply(self, requests: Sequence[Request]) -> list[Reply]:
        """One greedy reply per request, all in one call of the sampler."""
        return self._ask(requests, Sampling(0.0, self.config.max_new_tokens)).replies

    def encode(self, prompts: Sequence[Prompt]) -> ModelInputs:
        """The prompts as the model takes them, on its device."""
        with self._tokenizing:
            inputs = encode_prompts(self.trainer.processor, prompts, packed=True)
        return self.trainer._prepare_inputs(inputs)

    def seed(self, step: int, turn: int = 0) -> int:
        """What this process samples from; other than torch's generator, which the Trainer restores
        after the first rollout of a resumed run."""
        entropy = [self.config.seed, step, turn, self.trainer.args.process_index]
        return int(np.random.SeedSequence(entropy).generate_state(1)[0])

    def _ask(
        self, requests: Sequence[Request], sampling: Sampling, seeds: Sequence[int] | None = None
    ) -> Turn:
        inputs = self.encode([request.prompt for request in requests])
        return Turn(requests, inputs, self._read(self._sample(requests, inputs, sampling, seeds)))

    def _sample(
        self, requests: Sequence[Request], inputs: ModelInputs, sampling: Sampling,
        seeds: Sequence[int] | None,
    ) -> SampledCompletions:  # fmt: skip
        prompts = [request.prompt for request in requests]
        # The arithmetic of the update: the forward of a LoRA's base does not cast by itself.
        with self.trainer.accelerator.autocast():
            return self.sampler.sample(prompts, inputs, sampling, seeds)

    def _read(self, sampled: SampledCompletions) -> list[Reply]:
        end, tokenizer = set(end_token_ids(self.trainer.model)), self.trainer.processor.tokenizer
        with self._tokenizing:
            texts = tokenizer.batch_decode(sampled.ids, skip_special_tokens=True)
        logprobs = sampled.logprobs or [[]] * len(texts)
        return [
            Reply(
                text, len(ids), ids=tuple(ids), logprobs=tuple(known),
                finish_reason=why_ended(ids, end),
            )
            for text, ids, known in zip(texts, sampled.ids, logprobs, strict=True)
        ]  # fmt: skip

    def _seeds(self, boards: Sequence[Board], requests: Sequence[Request]) -> list[int]:
        """A seed for each turn of each play of each board."""
        entropy = [
            [
                self.config.seed, boards[each.game // self.config.rollouts].stream_index,
                each.sample, *([each.turn] if each.turn else []),
            ]
            for each in requests
        ]  # fmt: skip
        streams = map(np.random.SeedSequence, entropy)
        return [int(stream.generate_state(1)[0]) for stream in streams]
