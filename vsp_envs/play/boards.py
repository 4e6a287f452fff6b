"""Where the boards of a game come from: drawn at random, or a list such as a public test set."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from itertools import chain, islice
from typing import Protocol

import numpy as np

from vsp_envs.core.generator import LayoutSpec, draw_layouts
from vsp_envs.core.layout import Layout, NoLayoutError
from vsp_envs.core.splits import check_split
from vsp_envs.core.task import MAX_LEVEL, get_task
from vsp_envs.core.task_level import TaskLevel

REPEATS = 200
"""Boards already played that are passed over before one is given again."""


class Supply(Protocol):
    """A supply of boards."""

    total: int | None
    """How many there are; None for no end of them."""

    def levels(self, task: str) -> Sequence[int]:
        """The levels there are of a task, rising; none if it has no boards."""
        ...

    def after(
        self, layout: Layout | None, kind: TaskLevel | None, played: Container[str]
    ) -> Layout:
        """The next board that is not among `played` layout ids. Raises NoLayoutError.

        `layout` is the board before it, `kind` what it has to be; None is whatever comes.
        """
        ...


class RandomBoards:
    """Random boards without end; those of one seed and split are the ones models are asked about.

    The n-th board of a kind is the n-th of `draw_distinct(LayoutSpec(…, split), n, seed)`.
    """

    total: int | None = None

    def __init__(self, split: str | None = None, seed: int | None = None) -> None:
        """`seed` None draws other boards every time."""
        self.split, self.seed = split, seed
        self._streams: dict[TaskLevel, Iterator[Layout]] = {}

    def levels(self, task: str) -> Sequence[int]:
        """All levels."""
        return range(get_task(task).min_level, MAX_LEVEL + 1)

    def after(
        self, layout: Layout | None, kind: TaskLevel | None, played: Container[str]
    ) -> Layout:
        """The next draw of that kind, or of the kind of `layout`."""
        if kind is None:
            if layout is None:
                raise ValueError("the first board needs a kind")
            kind = TaskLevel(layout.task, layout.level)
        if kind not in self._streams:
            rng = np.random.default_rng(self.seed)
            self._streams[kind] = draw_layouts(LayoutSpec(*kind, check_split(self.split)), rng)
        stream = self._streams[kind]
        new = (each for each in islice(stream, REPEATS) if each.layout_id not in played)
        return next(chain(new, stream))  # a small space runs out of new boards


class ListedBoards:
    """The boards of a list in their order, from the first that is not played yet."""

    def __init__(self, layouts: Sequence[Layout]) -> None:
        """A board that comes twice is played once."""
        self.layouts = list(dict.fromkeys(layouts))
        self.total: int | None = len(self.layouts)

    def levels(self, task: str) -> Sequence[int]:
        """The levels of a task in the list."""
        return sorted({layout.level for layout in self.layouts if layout.task == task})

    def after(
        self, layout: Layout | None, kind: TaskLevel | None, played: Container[str]
    ) -> Layout:
        """The next such board in the list, from the top again after the last."""
        first = 0 if layout is None else self.layouts.index(layout) + 1
        for each in self.layouts[first:] + self.layouts[:first]:
            fits = kind in (None, (each.task, each.level))
            if fits and each != layout and each.layout_id not in played:
                return each
        raise NoLayoutError(f"every board{f' of {kind}' if kind else ''} has been played")
