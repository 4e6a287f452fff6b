"""Boards in play as one set of arrays, a row to a board: what the vector environment reads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsp_envs.generate import Drawn
from vsp_envs.solve import Compiled
from vsp_envs.splits import layout_ids
from vsp_envs.tables import items
from vsp_envs.task import Boards, Int, Layout, Outcome, Task

OUTCOME, REASON, STATE = 0b11, 2, 8
"""Mask and shifts of the parts of a move: outcome, reason, and how many states it goes on by."""

MOVE = np.dtype(np.int32)


class Store:
    """Tables, distances and symbolic observations of boards of mixed levels, padded to one size.

    Rows are given out by `add` and taken back by `free`; the arrays grow when all are in use.
    """

    def __init__(self, task: Task, max_level: int) -> None:
        self.task, self.max_level = task, max_level
        self.states, self.phases = task.phases * max_level**2, len(task.agent_codes)
        moves, legal = (f"V{len(task.actions) * size}" for size in (MOVE.itemsize, 1))
        fact = [("moves", moves), ("distance", np.int64), ("legal", legal)]
        self.facts: NDArray[Any] = np.empty(0, np.dtype(fact, align=True))
        """What holds in each state, [row * states + state], together: memory is slow to reach."""
        self.grid = np.empty((0, max_level, max_level), np.uint8)
        self.landmarks = np.empty((0, len(task.landmarks)), np.int64)
        self.level = np.empty(0, np.int64)
        self.start = np.empty(0, np.int64)  # index into `facts`
        self.shift = np.empty(0, np.int64)
        """From an index into `facts` to one into a table over (level, state)."""
        self.length = np.empty(0, np.int64)  # of a shortest plan
        self.layout_id = np.empty(0, object)
        self.symbolic = {
            name: np.empty((0, *space.shape), space.dtype)
            for name, space in task.symbolic_space(max_level).items()
            if name != "agent"
        }
        """All parts but `agent`, [row * phases + phase], for the phases in which play goes on."""
        self._free: list[int] = []

    def add(self, drawn: Drawn) -> list[int]:
        """Keep boards; their rows, in order."""
        compiled, boards = drawn.boards, drawn.boards.boards
        if len(boards) > len(self._free):
            self._grow(len(boards))
        rows = [self._free.pop() for _ in range(len(boards))]
        place, level = np.array(rows, np.int64), boards.level
        self._add_facts(place, compiled)
        self.grid[place, :level, :level] = boards.grid
        self.landmarks[place], self.level[place] = boards.cells, level
        self.start[place] = place * self.states + boards.cells[:, 0]
        self.shift[place] = (level - place) * self.states
        self.length[place] = compiled.plan_lengths()
        self.layout_id[place] = layout_ids(boards)
        for phase in range(self.phases):
            state = boards.cells[:, 0] + phase * level**2
            parts = self.task.symbolic(boards, state, self.max_level)
            for name, kept in self.symbolic.items():
                kept[place * self.phases + phase] = parts[name]
        return rows

    def _add_facts(self, rows: Int, compiled: Compiled) -> None:
        next_state, outcome, reason = compiled.tables
        states = np.arange(next_state.shape[1])
        onward = next_state - states[:, None]
        moves = (onward << STATE | reason << REASON | outcome).astype(MOVE)
        facts = self.facts.reshape(-1, self.states)
        facts["moves"][rows, : len(states)] = items(moves)
        facts["distance"][rows, : len(states)] = compiled.distance
        facts["legal"][rows, : len(states)] = items(outcome != Outcome.ILLEGAL)

    @property
    def moves(self) -> NDArray[np.int32]:
        """The moves in `facts` in one row with the rest of it."""
        return self.facts.view(MOVE)

    def free(self, rows: Iterable[int]) -> None:
        """Give rows back."""
        self._free += rows

    def boards(self, level: int, rows: Int) -> Boards:
        """Rows of that level as boards."""
        grid = self.grid[rows, :level, :level]
        return Boards(self.task.name, level, grid, self.landmarks[rows])

    def layout(self, row: int) -> Layout:
        """The board of a row."""
        level = int(self.level[row])
        grid, cells = self.grid[row, :level, :level].tobytes(), self.landmarks[row].tolist()
        return Layout(self.task.name, level, grid, tuple(cells))

    def _grow(self, count: int) -> None:
        size = len(self.level)
        more = max(count, size)
        self.facts = _longer(self.facts, more * self.states)
        for name in ("grid", "landmarks", "level", "start", "shift", "length", "layout_id"):
            setattr(self, name, _longer(getattr(self, name), more))
        for name, part in self.symbolic.items():
            self.symbolic[name] = _longer(part, more * self.phases)
        self._free += range(size, size + more)


def _longer(array: NDArray[np.generic], more: int) -> NDArray[np.generic]:
    return np.concatenate([array, np.zeros((more, *array.shape[1:]), array.dtype)])
