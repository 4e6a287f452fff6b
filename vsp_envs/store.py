"""Boards in play as one set of arrays, a row to a board: what the vector environment reads."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from vsp_envs.generate import Drawn
from vsp_envs.splits import layout_ids
from vsp_envs.task import Boards, Int, Layout, Outcome, Task

OUTCOME, REASON, STATE = 0b11, 2, 8
"""Mask and shifts of the parts of a move: two bits, six, and the rest."""


class Store:
    """Tables, distances and first observations of boards of mixed levels, padded to one size.

    Rows are given out by `add` and taken back by `free`; the arrays grow when all are in use.
    """

    def __init__(self, task: Task, max_level: int) -> None:
        self.task, self.max_level = task, max_level
        self.actions = len(task.actions)
        self.states = task.phases * max_level**2
        entries = self.states * self.actions
        self.moves = np.empty((0, entries), np.int32)
        """The tables in one: outcome, reason and next state of each state and action."""
        self.legal = np.empty((0, self.actions), np.int8)  # [row * states + state, action]
        self.distance = np.empty((0, self.states), np.int16)
        self.grid = np.empty((0, max_level, max_level), np.uint8)
        self.landmarks = np.empty((0, len(task.landmarks)), np.int64)
        self.level, self.start = np.empty(0, np.int64), np.empty(0, np.int64)
        self.length = np.empty(0, np.int64)
        """Actions of a shortest plan."""
        self.layout_id = np.empty(0, object)
        self.symbolic: dict[str, NDArray[np.generic]] = {}  # at the start
        self._free: list[int] = []

    def add(self, drawn: Drawn) -> list[int]:
        """Keep boards; their rows, in order."""
        compiled, boards = drawn.boards, drawn.boards.boards
        count, level = len(boards), boards.level
        first = self.task.symbolic(boards, boards.cells[:, 0], self.max_level)
        if not self.symbolic:
            self.symbolic = {name: part[:0] for name, part in first.items()}
        if count > len(self._free):
            self._grow(count)
        rows = [self._free.pop() for _ in range(count)]
        tables = compiled.tables
        states = self.task.phases * level**2
        used = states * self.actions
        moves = tables.next_state << STATE | tables.reason << REASON | tables.outcome
        self.moves[rows, :used] = moves.reshape(count, used)
        legal = self.legal.reshape(-1, self.states, self.actions)
        legal[rows, :states] = tables.outcome != Outcome.ILLEGAL
        self.distance[rows, :states] = compiled.distance
        self.grid[rows, :level, :level] = boards.grid
        self.landmarks[rows], self.level[rows] = boards.cells, level
        self.start[rows] = boards.cells[:, 0]
        self.length[rows] = compiled.plan_lengths()
        self.layout_id[rows] = layout_ids(boards)
        for name, part in first.items():
            self.symbolic[name][rows] = part
        return rows

    def free(self, rows: Iterable[int]) -> None:
        """Give rows back."""
        self._free += rows

    def boards(self, level: int, rows: Int) -> Boards:
        """Rows of that level as boards."""
        grid = self.grid[rows, :level, :level]
        return Boards(self.task.name, level, grid, self.landmarks[rows])

    def layout(self, row: int) -> Layout:
        """The board of a row."""
        return self.boards(int(self.level[row]), np.array([row])).layout(0)

    def _grow(self, count: int) -> None:
        size = len(self.level)
        more = max(count, size)
        for name, array in vars(self).items():
            if isinstance(array, np.ndarray):
                setattr(self, name, _longer(array, more * self.states if name == "legal" else more))
        self.symbolic = {name: _longer(array, more) for name, array in self.symbolic.items()}
        self._free += range(size, size + more)


def _longer(array: NDArray[np.generic], more: int) -> NDArray[np.generic]:
    return np.concatenate([array, np.zeros((more, *array.shape[1:]), array.dtype)])
