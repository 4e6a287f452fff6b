"""Where the boards of a game come from: random ones, or a list such as a public test set."""

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
"""How many boards that were already played are skipped before one is given again."""


class Supply(Protocol):
    """A source of boards."""

    total: int | None
    """How many boards there are; None if they never end."""

    def levels(self, task: str) -> Sequence[int]:
        """The levels of a task, in ascending order; none if it has no boards."""
        ...

    def after(
        self, layout: Layout | None, task_level: TaskLevel | None, played: Container[str]
    ) -> Layout:
        """The next board that is not among `played` layout ids. Raises NoLayoutError.

        `layout` is the board before it, `task_level` the task and level to give; None is any.
        """
        ...


class RandomBoards:
    """Endless random boards. With the same seed and split, models are given the same boards.

    The n-th board of a task_level is the n-th of `draw_distinct(LayoutSpec(…, split), n, seed)`.
    """

    total: int | None = None

    def __init__(self, split: str | None = None, seed: int | None = None) -> None:
        """With `seed` None the boards differ every time."""
        self.split, self.seed = split, seed
        self._streams: dict[TaskLevel, Iterator[Layout]] = {}

    def levels(self, task: str) -> Sequence[int]:
        """All levels."""
        return range(get_task(task).min_level, MAX_LEVEL + 1)

    def after(
        self, layout: Layout | None, task_level: TaskLevel | None, played: Container[str]
    ) -> Layout:
        """The next board of that task and level, or of those of `layout`."""
        if task_level is None:
            if layout is None:
                raise ValueError("the first board needs a task and level")
            task_level = TaskLevel(layout.task, layout.level)
        if task_level not in self._streams:
            rng = np.random.default_rng(self.seed)
            spec = LayoutSpec(*task_level, check_split(self.split))
            self._streams[task_level] = draw_layouts(spec, rng)
        stream = self._streams[task_level]
        new = (each for each in islice(stream, REPEATS) if each.layout_id not in played)
        return next(chain(new, stream))  # a small space runs out of new boards


class ListedBoards:
    """The boards of a list, in order, from the first that has not been played."""

    def __init__(self, layouts: Sequence[Layout]) -> None:
        """A board that is in the list twice is played once."""
        self.layouts = list(dict.fromkeys(layouts))
        self.total: int | None = len(self.layouts)

    def levels(self, task: str) -> Sequence[int]:
        """The levels of a task in the list."""
        return sorted({layout.level for layout in self.layouts if layout.task == task})

    def after(
        self, layout: Layout | None, task_level: TaskLevel | None, played: Container[str]
    ) -> Layout:
        """The next such board in the list; after the last comes the first."""
        first = 0 if layout is None else self.layouts.index(layout) + 1
        for each in self.layouts[first:] + self.layouts[:first]:
            fits = task_level in (None, (each.task, each.level))
            if fits and each != layout and each.layout_id not in played:
                return each
        raise NoLayoutError(
            f"every board{f' of {task_level}' if task_level else ''} has been played"
        )
