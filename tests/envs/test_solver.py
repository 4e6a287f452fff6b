"""The solver on boards small enough to see; against brute force it is in faults/test_properties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from drawn import lake, maze, maze_data, plan, room

from vsp_envs import (
    TASKS,
    LayoutError,
    LayoutSpec,
    Outcome,
    draw_distinct,
    load_layout,
    shortest_plan,
)  # fmt: skip
from vsp_envs.core.grid import transitions
from vsp_envs.core.layout import LayoutBatch
from vsp_envs.core.solver import solve, solve_layout, solve_layouts
from vsp_envs.core.task import TransitionTables


def test_many_boards_are_solved_as_each_alone() -> None:
    for task in TASKS:
        drawn = draw_distinct(LayoutSpec(task, 5), 20, seed=5)
        together = solve(transitions(LayoutBatch.stack(drawn)))
        for row, layout in enumerate(drawn):
            alone = solve_layout(layout)
            assert together.distance[row].tolist() == alone.distance
            assert together.optimal[row].tolist() == alone.optimal


def test_boards_of_all_kinds_compile_together_as_each_alone() -> None:
    kinds = [(task, level) for task in TASKS for level in (5, 6)]
    drawn = [draw_distinct(LayoutSpec(*kind), 3, seed=6) for kind in kinds]
    mixed = [layout for together in zip(*drawn, strict=True) for layout in together]
    for layout, machine in zip(mixed * 2, solve_layouts(mixed * 2), strict=True):
        tables = transitions(LayoutBatch.stack([layout]))
        distance, optimal = solve(tables)
        assert machine.start == layout.cells[0] and solve_layout(layout) is machine
        assert machine.next_state == tables.next_state[0].tolist()
        assert machine.outcome == tables.outcome[0].tolist()
        assert machine.distance == distance[0].tolist()
        assert machine.optimal == optimal[0].tolist()
        assert np.array_equal(machine.reason, tables.reason[0])


def test_boards_that_are_solved_already_displace_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vsp_envs.core.solver._MOST", 4)
    monkeypatch.setattr("vsp_envs.core.solver._solved", {})
    boards = draw_distinct(LayoutSpec("maze", 3), 4, seed=0)
    machines = solve_layouts(boards)
    solve_layouts(boards[:2])
    for board, machine in zip(boards, machines, strict=True):
        assert solve_layout(board) is machine


def test_boards_may_disagree_on_where_an_action_leads() -> None:
    # Two machines of three states and two actions; in the second the first action skips a state.
    next_state = np.array([[[1, 0], [2, 0], [2, 2]], [[2, 0], [2, 0], [2, 2]]])
    outcome = np.zeros((2, 3, 2), np.uint8)
    outcome[:, 2, 1] = Outcome.SUCCESS
    outcome[:, 2, 0] = Outcome.ILLEGAL
    outcome[1, 1, 0] = Outcome.FAILURE
    distance, optimal = solve(TransitionTables(next_state, outcome, np.zeros_like(outcome)))
    assert distance.tolist() == [[3, 2, 1], [2, 3, 1]]
    assert optimal[1].tolist() == [[True, False], [False, True], [False, True]]


def test_the_solver_leaves_the_tables_as_they_were() -> None:
    boards = LayoutBatch.stack([lake("SF FG")])
    tables, again = transitions(boards), transitions(boards)
    solve(tables)
    assert all(map(np.array_equal, tables, again))


# Drawn boards


def test_ties_go_to_left_then_down_then_right_then_up() -> None:
    assert shortest_plan(lake("SFF FFF FFG")) == plan("D D R R")
    assert shortest_plan(lake("GFF FFF FFS")) == plan("L L U U")
    assert solve_layout(lake("SFF FFF FFG")).optimal[0] == [False, True, True, False]


def test_the_plan_goes_around_holes() -> None:
    layout = lake("""SHF
                     FHF
                     FFG""")
    assert shortest_plan(layout) == plan("D D R R")


def test_the_plan_follows_the_maze() -> None:
    layout = maze("""
        +-+-+-+
        |S|G  |
        + +-+ +
        |     |
        +-+-+ +
        |     |
        +-+-+-+
    """)
    assert shortest_plan(layout) == plan("D R R U L")


def test_the_plan_goes_through_the_printers_cell_once_it_is_free() -> None:
    layout = room("""A....
                     P....
                     .....
                     TTT..
                     TTT..""")
    assert shortest_plan(layout) == plan("PICK D D DROP")


WALLED_OFF = maze_data("""
    +-+-+
    |S  |
    +-+-+
    |  G|
    +-+-+
""")


@pytest.mark.parametrize(
    ("task", "data"),
    [
        ("frozenlake", {"map": ["SH", "HG"]}),
        ("frozenlake", {"map": ["SFH", "FHF", "HFG"]}),
        ("maze", WALLED_OFF),
    ],
)
def test_a_board_without_a_solution_is_refused_when_it_is_loaded(
    task: str, data: dict[str, Any]
) -> None:
    with pytest.raises(LayoutError, match=f"this {task} layout has no solution"):
        load_layout(task, data)
