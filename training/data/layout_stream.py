"""Live environments as a map-style data set: index → seed → reset. Nothing is built beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch.utils.data import Dataset

from agents.agent import Prompt, View
from agents.prompts import text_prompt, visual_prompt
from agents.rollout import INPUTS, live_envs
from training.config import TrainingConfig
from vsp_envs import Layout, shortest_plan
from vsp_envs.core.splits import read_hashes
from vsp_envs.core.task_level import TaskLevel
from vsp_envs.envs.config import ThemeSampler
from vsp_envs.public_sets import FORMATS, benchmark_ids
from vsp_envs.rendering.perturbations import PERTURBATIONS, episode_of, perturb
from vsp_envs.utils.choices import pick_name


class Board(NamedTuple):
    """What one reset of an environment shows."""

    layout: Layout
    image: np.ndarray  # uint8[S, S, 3]
    goal: str = "plan"
    """What a prompt is to ask of it, where the stream decides: `plan` or `perceive`."""
    theme: str = ""
    """Its drawing, where that is drawn for each board."""
    place: int = 0
    """Its index in the stream."""

    def prompt(self, input: str, goal: str, view: View, with_plan: bool = False) -> Prompt:
        """The board's prompt by `image` or by `text`; `told` puts a shortest plan into the text."""
        if pick_name("input", input, INPUTS) == "text":
            plan = shortest_plan(self.layout) if with_plan else None
            return text_prompt(self.layout, goal, view.style, plan)
        view = replace(view, theme=self.theme) if self.theme else view
        return visual_prompt(self.layout.task, self.image, goal, view)


class Part(NamedTuple):
    """What the boards of a micro-batch have in common."""

    kind: TaskLevel
    goal: str


class LiveBoards(Dataset[Board]):
    """Board i of a stream that is a function of its seed.

    Any index can be had at any time, so samplers shard, workers share and runs resume without
    replaying what came before. In a step kinds follow one another, `block` boards each: a
    micro-batch then holds boards of one shape and needs no padding, and a step holds all kinds.
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
    ) -> None:
        """`size` boards in all.

        A kind that is named twice is drawn twice as often. `block` is a fraction where a step
        cannot be divided evenly; chance then says, step by step, which kinds have a board more.
        Over the first `opening` steps each task goes from its first level to all. `perturb` are
        changes to the pictures, `exclude` hashes of layouts that are never drawn.
        """
        self.parts = [Part(kind, goal) for kind in kinds for goal in goals]
        self.view, self.split, self.exclude = view, split, exclude
        self.seed, self.size, self.block, self.opening = seed, size, block, opening
        self.period = round(block * len(self.parts))
        self.perturb = [pick_name("perturbation", each, PERTURBATIONS) for each in perturb]

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Board:
        if index >= self.size:  # where a `for` over the boards ends
            raise IndexError(f"board {index} of {self.size}")
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Board]:
        """Many boards at once, as PyTorch asks for a batch: a quarter of the time of one by one."""
        boards: list[Board] = []
        for part, some in groupby(indices, self.part):
            kind, places = part.kind, list(some)
            seeds = [self._seed(index) for index in places]
            envs = live_envs(kind.task, kind.level, self.view, self.split, len(seeds), self.exclude)
            images, _ = envs.reset(seed=seeds)
            themes = [ThemeSampler(envs.config, seed).next() for seed in seeds]
            images = [self._perturbed(*each) for each in zip(images, seeds, strict=True)]
            drawn = zip(envs.layouts, images, themes, places, strict=True)
            boards += [
                Board(layout, image, part.goal, theme, place)
                for layout, image, theme, place in drawn
            ]
        return boards

    def part(self, index: int) -> Part:
        """What board `index` is of, and what is asked of it."""
        step, place = divmod(index, self.period)
        which = int((place + self._shift(step)) / self.block)
        return self.parts[self._opened(step)[min(which, len(self.parts) - 1)]]

    def _shift(self, step: int) -> float:
        # One draw for the whole step: each kind has its share, up or down to the next whole number.
        return 0.0 if self.block == int(self.block) else _uniform(self.seed, step)

    def _opened(self, step: int) -> Sequence[int]:
        """For each part the one that takes its place while its level is closed."""
        if step >= self.opening:
            return range(len(self.parts))
        return _places(tuple(part.kind.task for part in self.parts), step / self.opening)

    def _seed(self, index: int) -> int:
        return int(np.random.SeedSequence([self.seed, index]).generate_state(1)[0])

    def _perturbed(self, image: np.ndarray, seed: int) -> np.ndarray:
        return perturb(image, self.perturb, episode_of(np.random.default_rng(seed)))


@lru_cache(maxsize=64)
def _uniform(seed: int, step: int) -> float:
    return float(np.random.default_rng([seed, step]).random())


@lru_cache(maxsize=64)
def _places(tasks: tuple[str, ...], share: float) -> list[int]:
    """Of each task's parts only the first are open; they share the places of all."""
    places = list(range(len(tasks)))
    for task in set(tasks):
        own = [place for place in places if tasks[place] == task]
        open_ = 1 + int(share * len(own))
        for number, place in enumerate(own):
            places[place] = own[number * open_ // len(own)]
    return places


def live_boards(config: TrainingConfig, view: View, goals: Sequence[str] = ("plan",)) -> LiveBoards:
    """The stream of a run; `goals` are what its prompts ask for, in turn."""
    mixture = config.mixture()
    view = replace(view, theme=config.theme or view.theme)
    kinds = [kind for kind, weight in mixture.items() for _ in range(weight)]
    return LiveBoards(
        kinds, view, config.split, config.seed, config.steps * config.batch_size,
        config.batch_size / (len(kinds) * len(goals)), goals=goals,
        opening=config.curriculum * config.steps, perturb=config.perturb,
        exclude=excluded(config.exclude),
    )  # fmt: skip


def excluded(sources: Sequence[str]) -> frozenset[str]:
    """Canonical hashes from files of them and from public test sets, such as `vsp:ROOT`."""
    return frozenset().union(*map(_hashes, sources))


@lru_cache(maxsize=16)
def _hashes(source: str) -> frozenset[str]:
    name, _, root = source.partition(":")
    return benchmark_ids(Path(root), name) if name in FORMATS else read_hashes(source)
