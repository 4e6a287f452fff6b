"""Boards as one set of arrays, one board per row: what the vector environment reads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsp_envs.core.generator import SampledLayouts
from vsp_envs.core.grid import items
from vsp_envs.core.layout import Int, Layout, LayoutBatch, Outcome, layout_ids
from vsp_envs.core.solver import SolvedBatch
from vsp_envs.core.task import Task

# A move is what one action does in one state, in 32 bits:
#
#     bit  31 …………………………………… 8   7 ……………… 2   1 …… 0
#          next state − state     reason     Outcome
#          (signed)
#
# The low eight bits are its code: what the rewards and infos depend on.
MOVE = np.dtype(np.int32)
OUTCOME = 0b11
"""Mask of the outcome."""
REASON, STATE = 2, 8
"""Shifts of the reason and of the change of state."""


class LayoutStore:
    """Tables, distances and symbolic observations of boards of mixed levels, padded to one size.

    `add` fills free rows and `free` frees them; the arrays grow when no row is free.
    """

    def __init__(self, task: Task, max_level: int) -> None:
        self.task, self.max_level = task, max_level
        self.states, self.phases = task.phases * max_level**2, len(task.agent_codes)
        moves, legal = (f"V{len(task.actions) * size}" for size in (MOVE.itemsize, 1))
        parts = [("moves", moves), ("distance", np.int64), ("legal", legal)]
        self.state_table: NDArray[Any] = np.empty(0, np.dtype(parts, align=True))
        """[row * states + state]: what a step reads of a state, side by side in memory."""
        self.grid = np.empty((0, max_level, max_level), np.uint8)
        self.landmarks = np.empty((0, len(task.landmarks)), np.int64)
        self.level = np.empty(0, np.int64)
        self.start = np.empty(0, np.int64)  # index into `state_table`
        self.shift = np.empty(0, np.int64)
        """What turns an index into `state_table` into one into a table over (level, state)."""
        self.length = np.empty(0, np.int64)  # of a shortest plan
        self.layout_id = np.empty(0, object)
        self.symbolic = {
            name: np.empty((0, *space.shape), space.dtype)
            for name, space in task.symbolic_space(max_level).items()
            if name != "agent"
        }
        """All parts but `agent`, [row * phases + phase], for the phases that are not final."""
        self._free: list[int] = []

    def add(self, sampled: SampledLayouts) -> list[int]:
        """Store boards; returns their rows, in order."""
        solved, boards = sampled.boards, sampled.boards.boards
        if len(boards) > len(self._free):
            self._grow(len(boards))
        taken = [self._free.pop() for _ in range(len(boards))]
        rows, level = np.array(taken, np.int64), boards.level
        self._add_states(rows, solved)
        self.grid[rows, :level, :level] = boards.grid
        self.landmarks[rows], self.level[rows] = boards.cells, level
        self.start[rows] = rows * self.states + boards.cells[:, 0]
        self.shift[rows] = (level - rows) * self.states
        self.length[rows] = solved.plan_lengths()
        self.layout_id[rows] = layout_ids(boards)
        for phase in range(self.phases):
            state = boards.cells[:, 0] + phase * level**2
            parts = self.task.symbolic(boards, state, self.max_level)
            for name, kept in self.symbolic.items():
                kept[rows * self.phases + phase] = parts[name]
        return taken

    def _add_states(self, rows: Int, solved: SolvedBatch) -> None:
        next_state, outcome, reason = solved.tables
        states = np.arange(next_state.shape[1])
        onward = next_state - states[:, None]
        moves = (onward << STATE | reason << REASON | outcome).astype(MOVE)
        state_table = self.state_table.reshape(-1, self.states)
        state_table["moves"][rows, : len(states)] = items(moves)
        state_table["distance"][rows, : len(states)] = solved.distance
        state_table["legal"][rows, : len(states)] = items(outcome != Outcome.ILLEGAL)

    @property
    def moves(self) -> NDArray[np.int32]:
        """`state_table` as one row of MOVEs; the other parts stand between them."""
        return self.state_table.view(MOVE)

    def free(self, rows: Iterable[int]) -> None:
        """Make rows available to `add` again."""
        self._free += rows

    def boards(self, level: int, rows: Int) -> LayoutBatch:
        """Rows of that level as boards."""
        grid = self.grid[rows, :level, :level]
        return LayoutBatch(self.task.name, level, grid, self.landmarks[rows])

    def layout(self, row: int) -> Layout:
        """The board of a row."""
        level = int(self.level[row])
        grid, cells = self.grid[row, :level, :level].tobytes(), self.landmarks[row].tolist()
        return Layout(self.task.name, level, grid, tuple(cells))

    def _grow(self, count: int) -> None:
        size = len(self.level)
        more = max(count, size)
        self.state_table = _longer(self.state_table, more * self.states)
        for name in ("grid", "landmarks", "level", "start", "shift", "length", "layout_id"):
            setattr(self, name, _longer(getattr(self, name), more))
        for name, part in self.symbolic.items():
            self.symbolic[name] = _longer(part, more * self.phases)
        self._free += range(size, size + more)


def _longer(array: NDArray[np.generic], more: int) -> NDArray[np.generic]:
    return np.concatenate([array, np.zeros((more, *array.shape[1:]), array.dtype)])
