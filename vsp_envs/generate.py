"""Layouts on demand: candidates of a task until enough of them pass what was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vsp_envs.solve import solve
from vsp_envs.splits import check_split, splits_of
from vsp_envs.tables import transitions
from vsp_envs.task import Boards, Layout, NoLayoutError, check_level, get_task


@dataclass(frozen=True)
class LayoutSpec:
    """Which layouts to draw. Raises ValueError where a value cannot be."""

    task: str
    level: int
    split: str | None = None
    """`train`, `val`, `test`, or None for all."""
    frozen_prob: float = 0.8
    """Share of FrozenLake's cells that are ice."""
    min_plan: int = 1
    """Fewest actions of a shortest plan."""

    def __post_init__(self) -> None:
        check_level(get_task(self.task), self.level)
        check_split(self.split)
        if not 0 <= self.frozen_prob <= 1:
            raise ValueError(f"frozen_prob is a probability, got {self.frozen_prob}")


CANDIDATES = 20_000
"""Candidates without a hit after which drawing gives up."""
_BLOCK = (8, 4096)  # smallest and largest number of candidates drawn at once


def draw_layouts(spec: LayoutSpec, rng: np.random.Generator) -> Iterator[Layout]:
    """Endless solvable layouts that meet `spec`, each drawn anew; they may repeat.

    Raises NoLayoutError when `CANDIDATES` in a row do not meet it.
    """
    task, block, missed = get_task(spec.task), _BLOCK[0], 0
    while missed < CANDIDATES:
        boards = passing(task.generate(spec.level, block, rng, spec.frozen_prob), spec)
        missed = 0 if len(boards) else missed + block
        yield from map(boards.layout, range(len(boards)))
        block = min(2 * block, _BLOCK[1])
    raise NoLayoutError(
        f"no {spec.task} layout of level {spec.level} with split={spec.split!r}, "
        f"min_plan={spec.min_plan}, frozen_prob={spec.frozen_prob} among {missed} candidates; "
        "ask for a larger level, a shorter plan or another split"
    )


def passing(boards: Boards, spec: LayoutSpec) -> Boards:
    """The boards that are solvable and meet `spec`."""
    start = boards.cells[:, 0]
    distance = solve(transitions(boards)).distance[np.arange(len(boards)), start]
    boards = boards[distance >= max(1, spec.min_plan)]
    if spec.split is None or not len(boards):
        return boards
    return boards[np.array([split == spec.split for split in splits_of(boards)])]


def draw_distinct(spec: LayoutSpec, count: int, seed: int) -> list[Layout]:
    """`count` different layouts that meet `spec`; the first n are the same for every count.

    Raises NoLayoutError if the space seems to hold fewer.
    """
    found: dict[Layout, None] = {}
    repeats = 0
    for layout in draw_layouts(spec, np.random.default_rng(seed)):
        if len(found) >= count:
            return list(found)
        repeats = repeats + 1 if layout in found else 0
        found[layout] = None
        # Were one of n + 1 equally likely layouts missing, 20 n draws would miss it by chance once
        # in e^20 times.
        if repeats > 20 * (10 + len(found)):
            break
    raise NoLayoutError(
        f"asked for {count} different {spec.task} layouts of level {spec.level} with "
        f"split={spec.split!r}, but there seem to be only {len(found)}; ask for fewer"
    )
