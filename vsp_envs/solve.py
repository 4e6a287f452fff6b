"""One solver for every task: distances, optimal actions and shortest plans from the tables."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from vsp_envs.tables import transitions
from vsp_envs.task import Action, Boards, Bool, Int, Layout, Outcome, Tables, UInt8

UNREACHABLE = -1
"""Distance of a state from which no plan succeeds."""


class Solution(NamedTuple):
    """How far each state is from success and which actions lie on a shortest plan."""

    distance: Int  # [board, state]; UNREACHABLE where no plan succeeds
    optimal: Bool  # [board, state, action]


def solve(tables: Tables) -> Solution:
    """Distances to success and the actions that shorten them, for all boards and states at once.

    Breadth-first search from success, one bit per board: a layer of the search costs a few
    operations on words whatever the number of boards. The distances are written in binary, one
    plane of bits per digit.
    """
    boards = len(tables.outcome)
    edges = _edges(tables)
    layer = _pack(tables.outcome == Outcome.SUCCESS)
    optimal, frontier = layer, _any_action(layer)
    reached, steps = np.zeros_like(frontier), 1
    planes: list[UInt8] = []
    while frontier.any():
        reached = reached | frontier
        for digit in range(steps.bit_length()):
            if digit == len(planes):
                planes.append(np.zeros_like(reached))
            if steps >> digit & 1:
                planes[digit] |= frontier
        layer = np.zeros_like(optimal)
        for target, here in edges:
            layer |= here & frontier[target]
        layer &= ~reached[:, None]
        optimal, frontier, steps = optimal | layer, _any_action(layer), steps + 1
    distance = np.where(_unpack(reached, boards), 0, UNREACHABLE)
    for digit, plane in enumerate(planes):
        distance += _unpack(plane, boards).astype(np.int64) << digit
    return Solution(distance, _unpack(optimal, boards))


def _edges(tables: Tables) -> list[tuple[Int, UInt8]]:
    """Where each action leads [state, action], and on which boards it does: packed bits.

    The boards of a task agree on where a running action leads, so that there is one entry; a task
    whose boards differ in that has more.
    """
    edges, left = [], tables.outcome == Outcome.RUNNING
    while left.any():
        target = np.where(left, tables.next_state, 0).max(axis=0)
        here = left & (tables.next_state == target)
        edges.append((target, _pack(here)))
        left &= ~here
    return edges


def _pack(marks: Bool) -> UInt8:
    """[board, …] → […, byte of eight boards]."""
    return np.packbits(np.moveaxis(marks, 0, -1), axis=-1)


def _unpack(bits: UInt8, boards: int) -> Bool:
    """Inverse of `_pack`."""
    marks = np.unpackbits(bits, axis=-1, count=boards).view(bool)
    return np.ascontiguousarray(np.moveaxis(marks, -1, 0))


def _any_action(bits: UInt8) -> UInt8:
    return np.asarray(np.bitwise_or.reduce(bits, axis=1))


class Machine(NamedTuple):
    """One board, compiled: plain Python lists, fast to read one entry at a time."""

    start: int
    next_state: list[list[int]]  # [state][action]
    outcome: list[list[int]]  # [state][action]
    distance: list[int]  # [state]
    optimal: list[list[bool]]  # [state][action]
    reason: UInt8  # [state, action]


@dataclass(frozen=True, eq=False)
class Compiled:
    """Boards with their tables and solutions."""

    boards: Boards
    tables: Tables
    solution: Solution

    def __getitem__(self, rows: Any) -> Compiled:
        """The boards that an index array or mask selects."""
        tables, solution = self.tables, self.solution
        return Compiled(
            self.boards[rows],
            Tables(tables.next_state[rows], tables.outcome[rows], tables.reason[rows]),
            Solution(solution.distance[rows], solution.optimal[rows]),
        )

    def plan_lengths(self) -> Int:
        """Length of each board's shortest plan; UNREACHABLE without one."""
        return self.solution.distance[np.arange(len(self.boards)), self.boards.cells[:, 0]]

    def machine(self, row: int) -> Machine:
        """One board as a Machine."""
        return Machine(
            int(self.boards.cells[row, 0]),
            self.tables.next_state[row].tolist(),
            self.tables.outcome[row].tolist(),
            self.solution.distance[row].tolist(),
            self.solution.optimal[row].tolist(),
            self.tables.reason[row],
        )


def compile_boards(boards: Boards) -> Compiled:
    """Tables and solutions of many boards."""
    tables = transitions(boards)
    return Compiled(boards, tables, solve(tables))


@lru_cache(maxsize=4096)
def compile_layout(layout: Layout) -> Machine:
    """Tables and solution of one board. Cached: treat the lists as read-only."""
    return compile_boards(Boards.stack([layout])).machine(0)


def shortest_plan(layout: Layout) -> list[Action] | None:
    """A shortest plan that solves the board, or None. Ties go to the smaller action number."""
    machine = compile_layout(layout)
    state, plan = machine.start, []
    if machine.distance[state] == UNREACHABLE:
        return None
    for _ in range(machine.distance[state]):
        action = machine.optimal[state].index(True)
        plan.append(Action(action))
        state = machine.next_state[state][action]
    return plan
