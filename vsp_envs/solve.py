"""One solver for every task: distances, optimal actions and shortest plans from the tables."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from vsp_envs.tables import transitions
from vsp_envs.task import Action, Boards, Bool, Int, Layout, Outcome, Tables

UNREACHABLE = -1
"""Distance of a state from which no plan succeeds."""
_FAR = np.int64(1 << 40)


class Solution(NamedTuple):
    """How far each state is from success and which actions lie on a shortest plan."""

    distance: Int  # [board, state]; UNREACHABLE where no plan succeeds
    optimal: Bool  # [board, state, action]


def solve(tables: Tables) -> Solution:
    """Distances to success by relaxation over the tables, for all boards and states at once."""
    boards, states, _ = tables.next_state.shape
    running = tables.outcome == Outcome.RUNNING
    cost = np.where(tables.outcome == Outcome.SUCCESS, np.int64(1), _FAR)
    flat_next = tables.next_state + (np.arange(boards) * states)[:, None, None]
    distance = cost.min(axis=2)
    while True:
        through = np.where(running, distance.reshape(-1)[flat_next] + 1, cost)
        shorter = np.minimum(through.min(axis=2), distance)
        if np.array_equal(shorter, distance):
            break
        distance = shorter
    optimal = (through == distance[:, :, None]) & (through < _FAR)
    return Solution(np.where(distance < _FAR, distance, UNREACHABLE), optimal)


class Machine(NamedTuple):
    """One board, compiled: plain Python lists, fast to read one entry at a time."""

    start: int
    next_state: list[list[int]]  # [state][action]
    outcome: list[list[int]]  # [state][action]
    distance: list[int]  # [state]
    optimal: list[list[bool]]  # [state][action]


@lru_cache(maxsize=4096)
def compile_layout(layout: Layout) -> Machine:
    """Tables and solution of one board. Cached: treat the lists as read-only."""
    tables = transitions(Boards.stack([layout]))
    distance, optimal = solve(tables)
    return Machine(
        layout.cells[0],
        tables.next_state[0].tolist(),
        tables.outcome[0].tolist(),
        distance[0].tolist(),
        optimal[0].tolist(),
    )


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
