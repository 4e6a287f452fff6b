"""Live environments as a map-style data set: index → seed → reset. Nothing is built beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch.utils.data import Dataset

from agents.agent import Prompt, View
from agents.multi_turn import TurnPolicy
from agents.rollout import Case, Turns, live_envs, start_turns
from training.config import TrainingConfig
from training.data.wanted import Wanted, wanted_of
from vsp_envs import Layout, shortest_plan
from vsp_envs.core.splits import read_hashes
from vsp_envs.core.task_level import TaskLevel
from vsp_envs.envs.config import ThemeSampler
from vsp_envs.prompts.question import INPUTS, text_prompt, visual_prompt
from vsp_envs.public_sets import FORMATS, benchmark_ids
from vsp_envs.rendering.perturbations import PERTURBATIONS, episode_of, perturb
from vsp_envs.rendering.png import LazyImage
from vsp_envs.utils.choices import pick_name


class Board(NamedTuple):
    """What one reset of an environment shows."""

    layout: Layout
    image: np.ndarray  # uint8[S, S, 3]
    goal: str = "plan"
    """What the prompt asks, one of `GOALS`."""
    theme: str = ""
    """Its look, where each board has its own."""
    stream_index: int = 0
    perturb: tuple[str, ...] = ()
    """Changes to its pictures."""
    seed: int = 0
    """Of the reset."""

    def seen_by(self, view: View) -> View:
        """The view with the look of this board."""
        return replace(view, theme=self.theme) if self.theme else view

    def show(self, view: View, state: int) -> np.ndarray | LazyImage:
        """Its picture in a state, made as that of the start was."""
        if state == self.layout.cells[0]:
            return self.image
        view = self.seen_by(view)
        drawn = LazyImage(
            self.layout, view.pixels(self.layout.level), view.theme_of(self.layout.task), state
        )
        return perturbed(np.asarray(drawn), self.perturb, self.seed) if self.perturb else drawn

    def game(
        self, view: View, policy: TurnPolicy, reader: str = "strict", sample: int = 0
    ) -> Turns:
        """An episode on this board by image, to be played: the machine of `evaluation.planning`."""
        case = Case(self.layout, goal=self.goal, sample=sample, show=partial(self.show, view))
        return start_turns(case, self.seen_by(view), policy, "env", reader)

    def prompt(self, input: str, goal: str, view: View, with_plan: bool = False) -> Prompt:
        """The prompt by `image` or by `text`; `with_plan` adds a shortest plan to the text."""
        if pick_name("input", input, INPUTS) == "text":
            plan = shortest_plan(self.layout) if with_plan else None
            return text_prompt(self.layout, goal, view.style, plan)
        return visual_prompt(self.layout.task, self.image, goal, self.seen_by(view))


class Part(NamedTuple):
    """What the boards of a micro-batch have in common."""

    kind: TaskLevel
    goal: str


class LiveBoards(Dataset[Board]):
    """Board i of a stream that is a function of its seed.

    Any index can be read at any time, so samplers shard, workers share and runs resume without
    replaying earlier boards. Within a step the kinds follow one another, `block` boards each. So a
    micro-batch holds boards of one shape and needs no padding, and a step holds all kinds.
    """

    def __init__(
        self,
        kinds: Sequence[TaskLevel],
        view: View,
        split: str,
        seed: int,
        size: int,
        block: float,
        *,
        goals: Sequence[str] = ("plan",),
        opening: float = 0,
        perturb: Sequence[str] = (),
        exclude: frozenset[str] = frozenset(),
        wanted: Mapping[str, Sequence[Wanted]] | None = None,
    ) -> None:
        """`size` boards in all.

        A kind that is named twice is sampled twice as often. `block` is a fraction if a step cannot
        be divided evenly; a random shift for each step then decides which kinds get one board more.
        Over the first `opening` steps each task goes from its first level to all. `perturb` are
        changes to the pictures, `exclude` hashes of layouts that are never sampled. `wanted` says
        by task what its boards are to be; several entries take turns.
        """
        self.parts = [Part(kind, goal) for kind in kinds for goal in goals]
        self.view, self.split, self.exclude = view, split, exclude
        self.seed, self.size, self.block, self.opening = seed, size, block, opening
        self.wanted = wanted or {}
        self.period = round(block * len(self.parts))
        self.perturb = tuple(pick_name("perturbation", each, PERTURBATIONS) for each in perturb)

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Board:
        if index >= self.size:  # where a `for` over the boards ends
            raise IndexError(f"board {index} of {self.size}")
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Board]:
        """Many boards at once, for PyTorch's batches: four times as fast as one by one."""
        groups: dict[tuple[Part, Wanted], list[int]] = {}
        for index in indices:
            groups.setdefault((self.part(index), self.wanted_at(index)), []).append(index)
        boards: dict[int, Board] = {}
        for (part, wanted), stream in groups.items():
            kind, seeds = part.kind, [self._seed(index) for index in stream]
            envs = live_envs(
                kind.task, kind.level, self.view, self.split, len(seeds), self.exclude,
                **dict(wanted),
            )  # fmt: skip
            images, _ = envs.reset(seed=seeds)
            themes = [ThemeSampler(envs.config, seed).next() for seed in seeds]
            changes, shown = self.perturb, zip(images, seeds, strict=True)
            images = [perturbed(image, changes, seed) for image, seed in shown]
            fields = zip(envs.layouts, images, themes, stream, seeds, strict=True)
            boards |= {
                index: Board(layout, image, part.goal, theme, index, changes, seed)
                for layout, image, theme, index, seed in fields
            }
        return [boards[index] for index in indices]

    def part(self, index: int) -> Part:
        """The kind of board `index`, and what is asked of it."""
        step, row = divmod(index, self.period)
        which = int((row + self._shift(step)) / self.block)
        return self.parts[self._opened(step)[min(which, len(self.parts) - 1)]]

    def wanted_at(self, index: int) -> Wanted:
        """What board `index` is to be, beside its kind."""
        turns = self.wanted.get(self.part(index).kind.task, ((),))
        step, row = divmod(index, self.period)
        # The step shifts the turns, so that a kind with one board a step takes all of them.
        return turns[(step + row) % len(turns)]

    def _shift(self, step: int) -> float:
        # One number for the whole step: each kind has its share, rounded up or down.
        return 0.0 if self.block == int(self.block) else _uniform(self.seed, step)

    def _opened(self, step: int) -> Sequence[int]:
        """For each part the one that stands in for it while its level is closed."""
        if step >= self.opening:
            return range(len(self.parts))
        return _stand_ins(tuple(part.kind.task for part in self.parts), step / self.opening)

    def _seed(self, index: int) -> int:
        return int(np.random.SeedSequence([self.seed, index]).generate_state(1)[0])


def perturbed(image: np.ndarray, changes: Sequence[str], seed: int) -> np.ndarray:
    """A picture of the board of a seed, after its changes."""
    return perturb(image, changes, episode_of(np.random.default_rng(seed)))


@lru_cache(maxsize=64)
def _uniform(seed: int, step: int) -> float:
    return float(np.random.default_rng([seed, step]).random())


@lru_cache(maxsize=64)
def _stand_ins(tasks: tuple[str, ...], share: float) -> list[int]:
    """Of each task's parts only the first are open; they stand in for all of them, evenly."""
    stand_ins = list(range(len(tasks)))
    for task in set(tasks):
        own = [part for part in range(len(tasks)) if tasks[part] == task]
        open_ = 1 + int(share * len(own))
        for number, part in enumerate(own):
            stand_ins[part] = own[number * open_ // len(own)]
    return stand_ins


def live_boards(config: TrainingConfig, view: View, goals: Sequence[str] = ("plan",)) -> LiveBoards:
    """The stream of a run; `goals` are what its prompts ask for, in turn."""
    mixture = config.mixture()
    view = view.with_theme(config.theme)
    kinds = [kind for kind, weight in mixture.items() for _ in range(weight)]
    return LiveBoards(
        kinds, view, config.split, config.seed, config.steps * config.batch_size,
        config.batch_size / (len(kinds) * len(goals)), goals=goals,
        opening=config.curriculum * config.steps, perturb=config.perturb,
        exclude=excluded(config.exclude), wanted=wanted_of(config),
    )  # fmt: skip


def excluded(sources: Sequence[str]) -> frozenset[str]:
    """Canonical hashes from files of them and from public test sets, such as `vsp:ROOT`."""
    return frozenset().union(*map(_hashes, sources))


@lru_cache(maxsize=16)
def _hashes(source: str) -> frozenset[str]:
    name, _, root = source.partition(":")
    return benchmark_ids(Path(root), name) if name in FORMATS else read_hashes(source)
