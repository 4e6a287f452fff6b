"""One solver for every task: distances, optimal actions and shortest plans from the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from vsp_envs.core.grid import transitions
from vsp_envs.core.layout import Action, Bool, Int, Layout, LayoutBatch, Outcome, UInt8
from vsp_envs.core.task import TransitionTables, get_task

UNREACHABLE = -1
"""Distance of a state from which no plan succeeds."""


class Solution(NamedTuple):
    """How far each state is from success and which actions lie on a shortest plan."""

    distance: Int  # [board, state]; UNREACHABLE where no plan succeeds
    optimal: Bool  # [board, state, action]


def solve(tables: TransitionTables) -> Solution:
    """Distances to success and the actions that shorten them, for all boards and states at once."""
    distance = distances(tables)
    boards = len(distance)
    after = np.take_along_axis(distance, tables.next_state.reshape(boards, -1), axis=1)
    nearer = after.reshape(tables.next_state.shape) == distance[:, :, None] - 1
    onward = (tables.outcome == Outcome.RUNNING) & nearer & (distance > 0)[:, :, None]
    return Solution(distance, onward | (tables.outcome == Outcome.SUCCESS))


def distances(tables: TransitionTables) -> Int:
    """Fewest actions to success: int64[board, state], UNREACHABLE where no plan succeeds.

    Breadth-first search from success, one bit per board: a layer of the search costs a few
    operations on words whatever the number of boards. The distances are written in binary, one
    plane of bits per digit.
    """
    boards, edges = len(tables.outcome), _edges(tables)
    frontier = _pack((tables.outcome == Outcome.SUCCESS).any(axis=2))
    unseen, steps = ~frontier, 1
    planes: list[UInt8] = []
    while frontier.any():
        planes += [np.zeros_like(frontier)] * (steps.bit_length() - len(planes))
        for digit, plane in enumerate(planes):
            if steps >> digit & 1:
                planes[digit] = plane | frontier
        arrived = [np.bitwise_or.reduce(here & frontier[to], axis=1) for to, here in edges]
        frontier = np.asarray(np.bitwise_or.reduce(arrived, axis=0) if arrived else 0) & unseen
        unseen, steps = unseen & ~frontier, steps + 1
    far = _unpack(unseen, boards).astype(np.int16) * np.int16(UNREACHABLE)
    found = [_unpack(plane, boards).astype(np.int16) << i for i, plane in enumerate(planes)]
    return np.ascontiguousarray(sum(found, far).T, np.int64)


def _edges(tables: TransitionTables) -> list[tuple[Int, UInt8]]:
    """Pairs of where each action leads [state, action] and the boards on which it does, in bits.

    On most tasks a running action leads to the same state on every board, which makes one pair; a
    task whose boards differ in that has more.
    """
    edges, left = [], tables.outcome == Outcome.RUNNING
    while left.any():
        first = left.argmax(axis=0)  # a board on which the action is RUNNING, if there is one
        target = np.take_along_axis(tables.next_state, first[None], axis=0)[0]
        here = left & (tables.next_state == target)
        edges.append((target, _pack(here)))
        left &= ~here
    return edges


def _pack(marks: Bool) -> UInt8:
    """[board, …] → […, byte of eight boards]."""
    return np.packbits(np.moveaxis(marks, 0, -1), axis=-1)


def _unpack(bits: UInt8, boards: int) -> UInt8:
    """[state, byte of eight boards] → [state, board] of 0 and 1."""
    return np.unpackbits(bits, axis=-1, count=boards)


class SolvedLayout(NamedTuple):
    """One board, solved: plain Python lists, which are fast to read one entry at a time."""

    start: int
    next_state: list[list[int]]  # [state][action]
    outcome: list[list[int]]  # [state][action]
    distance: list[int]  # [state]
    optimal: list[list[bool]]  # [state][action]
    reason: UInt8  # [state, action]


@dataclass(frozen=True, eq=False)
class SolvedBatch:
    """Boards with their tables and distances."""

    boards: LayoutBatch
    tables: TransitionTables
    distance: Int  # [board, state]

    def __getitem__(self, rows: Any) -> SolvedBatch:
        """The boards that an index array or mask selects."""
        tables = TransitionTables(*(table[rows] for table in self.tables))
        return SolvedBatch(self.boards[rows], tables, self.distance[rows])

    def plan_lengths(self) -> Int:
        """Length of each board's shortest plan; UNREACHABLE without one."""
        return self.distance[np.arange(len(self.boards)), self.boards.cells[:, 0]]


def solve_batch(boards: LayoutBatch) -> SolvedBatch:
    """Tables and distances of many boards."""
    tables = transitions(boards)
    return SolvedBatch(boards, tables, distances(tables))


def solve_layout(layout: Layout) -> SolvedLayout:
    """Tables and solution of one board. They are cached: treat the lists as read-only."""
    return _solved.get(layout) or solve_layouts([layout])[0]


def solve_layouts(layouts: Sequence[Layout]) -> list[SolvedLayout]:
    """Tables and solution of each board: a fraction of the time of one call per board.

    Afterwards `solve_layout` finds them in the cache.
    """
    found = {each: solved for each in layouts if (solved := _solved.get(each))}
    new: dict[tuple[str, int], list[Layout]] = {}
    for layout in dict.fromkeys(layouts):
        if layout not in found:
            new.setdefault((layout.task, layout.level), []).append(layout)
    if len(_solved) + sum(map(len, new.values())) > _MOST:
        _solved.clear()
    for alike in new.values():
        found.update(zip(alike, _solve_alike(alike), strict=True))
    _solved.update(found)
    return [found[each] for each in layouts]


_MOST = 4096
_solved: dict[Layout, SolvedLayout] = {}


def _solve_alike(layouts: Sequence[Layout]) -> list[SolvedLayout]:
    """Boards of one task and level."""
    tables = transitions(LayoutBatch.stack(layouts))
    starts = (layout.cells[0] for layout in layouts)
    plain = (array.tolist() for array in (tables.next_state, tables.outcome, *solve(tables)))
    return [SolvedLayout(*each) for each in zip(starts, *plain, tables.reason, strict=True)]


def shortest_plan(layout: Layout, state: int | None = None) -> list[Action] | None:
    """A shortest plan from a state, or None; state None is the start.

    Ties go to the smaller action number.
    """
    solved, plan = solve_layout(layout), list[Action]()
    state = solved.start if state is None else state
    if solved.distance[state] == UNREACHABLE:
        return None
    for _ in range(solved.distance[state]):
        action = solved.optimal[state].index(True)
        plan.append(Action(action))
        state = solved.next_state[state][action]
    return plan


def optimal_actions(layout: Layout, state: int) -> list[Action]:
    """All actions with which a shortest plan from a state may begin."""
    return [Action(each) for each, best in enumerate(solve_layout(layout).optimal[state]) if best]


def legal_actions(layout: Layout, state: int | None = None) -> list[Action]:
    """The actions that the rules do not refuse in a state; None is the start."""
    solved = solve_layout(layout)
    outcomes = solved.outcome[solved.start if state is None else state]
    return [each for each in get_task(layout.task).actions if outcomes[each] != Outcome.ILLEGAL]
