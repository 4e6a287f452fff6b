"""The solver against a breadth-first search that knows the rules only from the rule book."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pytest
from drawn import lake, maze, maze_data, plan, room
from hypothesis import given, settings
from hypothesis import strategies as st

from vsp_envs import (
    TASKS,
    Action,
    Layout,
    LayoutError,
    LayoutSpec,
    Outcome,
    draw_distinct,
    load_layout,
    shortest_plan,
    simulate,
)  # fmt: skip
from vsp_envs.simulate import RULE_SETS
from vsp_envs.solve import UNREACHABLE, compile_layout, solve
from vsp_envs.tables import transitions
from vsp_envs.task import Boards, Tables

# The rule book once more, as plainly as it can be said; nothing of vsp_envs but the layout's data.

LEFT, DOWN, RIGHT, UP, PICK, DROP = range(6)
CHANGE = {LEFT: (0, -1), DOWN: (1, 0), RIGHT: (0, 1), UP: (-1, 0)}
WALL = {LEFT: 4, DOWN: 2, RIGHT: 8, UP: 1}
WON, LOST, REFUSED = "won", "lost", "refused"


class Stand(NamedTuple):
    """Where play stands."""

    row: int
    col: int
    carrying: bool = False


class Board:
    """A board that can be played by the rule book."""

    def __init__(self, layout: Layout) -> None:
        self.task, self.data, self.side = layout.task, layout.to_data(), layout.level
        self.actions = range(6 if self.task == "minibehaviour" else 4)
        if self.task == "frozenlake":
            cells = product(range(self.side), repeat=2)
            self.start = next(Stand(r, c) for r, c in cells if self.data["map"][r][c] == "S")
        else:
            self.start = Stand(*self.data["start"])

    def after(self, stand: Stand, action: int) -> Stand | str:
        return getattr(self, self.task)(stand, action)

    def target(self, stand: Stand, action: int) -> tuple[int, int] | None:
        row, col = stand.row + CHANGE[action][0], stand.col + CHANGE[action][1]
        return (row, col) if 0 <= row < self.side and 0 <= col < self.side else None

    def frozenlake(self, stand: Stand, action: int) -> Stand | str:
        target = self.target(stand, action)
        if target is None:
            return REFUSED
        letter = self.data["map"][target[0]][target[1]]
        return {"H": LOST, "G": WON}.get(letter, Stand(*target))

    def maze(self, stand: Stand, action: int) -> Stand | str:
        if self.data["walls"][stand.row][stand.col] & WALL[action]:
            return REFUSED
        target = self.target(stand, action)
        return WON if list(target) == self.data["goal"] else Stand(*target)

    def minibehaviour(self, stand: Stand, action: int) -> Stand | str:
        printer, table = self.data["printer"], self.data["table"]
        beside = [list(self.target(stand, move) or ()) for move in CHANGE]
        if action == PICK:
            can = printer in beside and not stand.carrying
            return stand._replace(carrying=True) if can else REFUSED
        if action == DROP:
            return WON if stand.carrying and any(cell in table for cell in beside) else REFUSED
        target = self.target(stand, action)
        if target is None or list(target) in table:
            return REFUSED
        if list(target) == printer and not stand.carrying:
            return REFUSED
        return Stand(*target, stand.carrying)


class Search(NamedTuple):
    """What breadth-first search finds."""

    stands: list[Stand]
    """Where play can stand."""
    distance: dict[Stand, int]
    """Fewest actions to success; absent where there is no way."""


def search(board: Board) -> Search:
    """Forward to every stand, then backward from success, one action at a time."""
    leads: dict[Stand, list[Stand | str]] = {}
    stands = [board.start]
    for stand in stands:
        if stand not in leads:
            leads[stand] = [board.after(stand, action) for action in board.actions]
            stands += [after for after in leads[stand] if isinstance(after, Stand)]
    distance: dict[Stand, int] = {}
    ends: set[Stand | str] = {WON}
    for length in range(1, len(leads) + 1):
        found = {each for each in leads if each not in distance and ends & set(leads[each])}
        distance |= dict.fromkeys(found, length)
        ends = set(found)
    return Search(list(leads), distance)


def index(stand: Stand, side: int) -> int:
    """The stand as a state of the transition tables."""
    return int(stand.carrying) * side * side + stand.row * side + stand.col


def check(layout: Layout) -> None:
    """Distances, optimal actions and the plan of a solvable board are those of the search."""
    board, machine = Board(layout), compile_layout(layout)
    stands, distance = search(board)
    for stand in stands:
        state, away = index(stand, board.side), distance.get(stand)
        assert machine.distance[state] == (UNREACHABLE if away is None else away), (layout, stand)
        first = []
        for action in board.actions:
            after = board.after(stand, action)
            left = 0 if after == WON else distance.get(after)  # type: ignore[arg-type]
            first.append(away is not None and left == away - 1)
        assert machine.optimal[state] == first, (layout, stand)
    plan = shortest_plan(layout)
    assert plan is not None and len(plan) == distance[board.start]
    stand = board.start
    for action in plan[:-1]:
        # Ties go to the smaller action number.
        assert action == machine.optimal[index(stand, board.side)].index(True)
        stand = board.after(stand, action)  # type: ignore[assignment]
    assert board.after(stand, plan[-1]) == WON


LEVELS = [(task, level) for task in TASKS for level in (3, 4, 5) if level >= TASKS[task].min_level]


@pytest.mark.parametrize(("task", "level"), LEVELS)
def test_the_solver_finds_what_brute_force_finds(task: str, level: int) -> None:
    spec = LayoutSpec(task, level, frozen_prob=0.6)
    for layout in draw_distinct(spec, 10 if level == 3 else 25, seed=level):
        check(layout)


def rooms(level: int) -> Iterator[dict[str, Any]]:
    """The data of every room of that side."""
    cells = [[r, c] for r in range(level) for c in range(level)]
    for row, col in product(range(level - 1), range(level - 2)):
        table = [[row + r, col + c] for r in range(2) for c in range(3)]
        free = [cell for cell in cells if cell not in table]
        for start, printer in product(free, repeat=2):
            if start != printer:
                yield {"level": level, "start": start, "printer": printer, "table": table}


@pytest.mark.parametrize(("level", "count"), [(3, 12), (4, 540)])
def test_the_solver_finds_what_brute_force_finds_in_every_small_room(
    level: int, count: int
) -> None:
    every = list(rooms(level))
    assert len(every) == count
    for data in every:
        check(load_layout("minibehaviour", data))  # which refuses what cannot be solved: no room


def test_every_lake_of_side_three_is_solved_as_by_brute_force() -> None:
    # Start in the corner, on the edge and in the middle; every set of holes, every second goal.
    for start, goal in (((0, 0), (2, 2)), ((0, 1), (2, 0)), ((1, 1), (0, 2))):
        free = [cell for cell in product(range(3), repeat=2) if cell not in (start, goal)]
        for holes in product((False, True), repeat=7):
            letters = dict(zip(free, ("FH"[hole] for hole in holes), strict=True))
            letters |= {start: "S", goal: "G"}
            rows = ["".join(letters[r, c] for c in range(3)) for r in range(3)]
            try:
                layout = load_layout("frozenlake", {"map": rows})
            except LayoutError as error:
                assert "has no solution" in str(error)
            else:
                check(layout)


def test_many_boards_are_solved_as_each_alone() -> None:
    for task in TASKS:
        drawn = draw_distinct(LayoutSpec(task, 5), 20, seed=5)
        together = solve(transitions(Boards.stack(drawn)))
        for row, layout in enumerate(drawn):
            alone = compile_layout(layout)
            assert together.distance[row].tolist() == alone.distance
            assert together.optimal[row].tolist() == alone.optimal


def test_boards_may_disagree_on_where_an_action_leads() -> None:
    # Two machines of three states and two actions; in the second the first action skips a state.
    next_state = np.array([[[1, 0], [2, 0], [2, 2]], [[2, 0], [2, 0], [2, 2]]])
    outcome = np.zeros((2, 3, 2), np.uint8)
    outcome[:, 2, 1] = Outcome.SUCCESS
    outcome[:, 2, 0] = Outcome.ILLEGAL
    outcome[1, 1, 0] = Outcome.FAILURE
    distance, optimal = solve(Tables(next_state, outcome, np.zeros_like(outcome)))
    assert distance.tolist() == [[3, 2, 1], [2, 3, 1]]
    assert optimal[1].tolist() == [[True, False], [False, True], [False, True]]


def test_the_solver_leaves_the_tables_as_they_were() -> None:
    boards = Boards.stack([lake("SF FG")])
    tables, again = transitions(boards), transitions(boards)
    solve(tables)
    assert all(map(np.array_equal, tables, again))


# Drawn boards


def test_ties_go_to_left_then_down_then_right_then_up() -> None:
    assert shortest_plan(lake("SFF FFF FFG")) == plan("D D R R")
    assert shortest_plan(lake("GFF FFF FFS")) == plan("L L U U")
    assert compile_layout(lake("SFF FFF FFG")).optimal[0] == [False, True, True, False]


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


# No plan is shorter


@cache
def board(task: str, seed: int) -> Layout:
    level = 3 if task != "minibehaviour" else 5
    return draw_distinct(LayoutSpec(task, level, min_plan=2), 1, seed)[0]


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_no_plan_shorter_than_the_solvers_succeeds(data: st.DataObject) -> None:
    layout = board(data.draw(st.sampled_from(sorted(TASKS))), data.draw(st.integers(0, 20)))
    shorter = len(shortest_plan(layout) or []) - 1
    actions = st.sampled_from(TASKS[layout.task].actions)
    attempt: list[Action] = data.draw(st.lists(actions, max_size=shorter))
    for rules in RULE_SETS:
        assert simulate(layout, attempt, rules).outcome is not Outcome.SUCCESS


@pytest.mark.parametrize("task", ["frozenlake", "maze"])
def test_none_of_all_the_shorter_plans_succeeds_and_as_long_a_one_does(task: str) -> None:
    for seed in range(8):
        layout = board(task, seed)
        length = len(shortest_plan(layout) or [])
        if length > 6:
            continue
        wins = [
            attempt
            for attempt in product(TASKS[task].actions, repeat=length)
            if simulate(layout, attempt).outcome is Outcome.SUCCESS
        ]
        assert wins
        assert {simulate(layout, attempt).steps for attempt in wins} == {length}
