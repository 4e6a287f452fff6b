"""The rules of each task, on boards small enough to see."""

from typing import Any

import numpy as np
import pytest
from drawn import LAKE, MAZE, ROOM, lake, maze_data, plan, room

from vsp_envs import Layout, LayoutError, Outcome, PlanningEnv, load_layout, score_reply, simulate
from vsp_envs.core.simulator import Trace, state_cell
from vsp_envs.core.solver import legal_actions, solve_layout
from vsp_envs.scoring.answer_format import actions_text


def play(layout: Layout, actions: str, rules: str = "env") -> Trace:
    return simulate(layout, plan(actions), rules)


def places(layout: Layout, trace: Trace) -> str:
    return " ".join(str(state_cell(layout, state)) for state in trace.states)


# FrozenLake


def test_the_player_crosses_the_ice_to_the_goal() -> None:
    trace = play(LAKE, "R R D D")
    assert places(LAKE, trace) == "(0,0) (0,1) (0,2) (1,2) (2,2)"
    assert (trace.outcome, trace.steps, trace.illegal, trace.reason) == (Outcome.SUCCESS, 4, 0, "")


def test_a_plan_that_stops_short_is_still_running() -> None:
    assert play(LAKE, "R R D").outcome is Outcome.RUNNING
    assert play(LAKE, "").outcome is Outcome.RUNNING


def test_entering_a_hole_fails_whatever_follows() -> None:
    for rules in ("env", "mgsd-train", "mgsd-eval", "visualplanning"):
        trace = play(LAKE, "R D R D", rules)
        assert places(LAKE, trace) == "(0,0) (0,1) (1,1)"
        assert (trace.outcome, trace.reason, trace.illegal) == (Outcome.FAILURE, "hole", 0)


def test_leaving_the_lake_is_refused_and_the_player_stays() -> None:
    trace = play(LAKE, "U L R R D D")
    assert places(LAKE, trace).startswith("(0,0) (0,0) (0,0) (0,1)")
    assert (trace.outcome, trace.steps, trace.illegal) == (Outcome.SUCCESS, 6, 2)
    assert trace.reason == "off_grid"


@pytest.mark.parametrize(
    ("rules", "outcome", "steps"),
    [
        ("env", Outcome.SUCCESS, 5),
        ("mgsd-train", Outcome.SUCCESS, 5),
        ("mgsd-eval", Outcome.ILLEGAL, 1),
        ("visualplanning", Outcome.ILLEGAL, 1),
    ],
)
def test_the_rule_sets_differ_on_a_bump_at_the_edge(
    rules: str, outcome: Outcome, steps: int
) -> None:
    trace = play(LAKE, "L R R D D", rules)
    assert (trace.outcome, trace.steps) == (outcome, steps)


def test_actions_after_the_goal_are_ignored() -> None:
    trace = play(LAKE, "D D R R L L U")
    assert (trace.outcome, trace.steps) == (Outcome.SUCCESS, 4)


def test_the_player_can_come_back_to_the_start() -> None:
    assert places(LAKE, play(LAKE, "R L")) == "(0,0) (0,1) (0,0)"


def test_start_and_goal_may_lie_anywhere() -> None:
    layout = lake("""FGH
                     FFF
                     HFS""")
    assert (layout.cell("start"), layout.cell("goal")) == ((2, 2), (0, 1))
    assert play(layout, "L U U").outcome is Outcome.SUCCESS


# Maze


def test_the_player_walks_where_no_wall_stands() -> None:
    trace = play(MAZE, "D D R R")
    assert places(MAZE, trace) == "(0,0) (1,0) (2,0) (2,1) (2,2)"
    assert trace.outcome is Outcome.SUCCESS


def test_a_wall_refuses_the_move_from_both_sides() -> None:
    for way, end in (("R D", "(0,1)"), ("D R", "(1,0)")):
        trace = play(MAZE, way)
        assert places(MAZE, trace).endswith(f"{end} {end}")
        assert (trace.illegal, trace.reason) == (1, "wall")
    assert play(MAZE, "L").reason == "wall"  # the outer wall is a wall too


@pytest.mark.parametrize("rules", ["mgsd-train", "mgsd-eval", "visualplanning"])
def test_crossing_a_wall_ends_the_plan_under_every_benchmark(rules: str) -> None:
    trace = play(MAZE, "D R D R R", rules)
    assert (trace.outcome, trace.steps) == (Outcome.ILLEGAL, 2)


def test_only_visualplanning_wants_the_shortest_plan() -> None:
    detour = "<answer>RLDDRR</answer>"
    scores = {
        rules: score_reply(MAZE, detour, rules)
        for rules in ("env", "mgsd-train", "mgsd-eval", "visualplanning")
    }
    assert [score.success for score in scores.values()] == [True, True, True, False]
    assert not any(score.optimal for score in scores.values())
    assert {(score.steps, score.optimal_length) for score in scores.values()} == {(6, 4)}


def test_legal_moves_are_the_open_directions() -> None:
    assert actions_text(legal_actions(MAZE)) == "DR"


# MiniBehaviour


def test_the_printer_is_fetched_and_dropped_on_the_table() -> None:
    trace = play(ROOM, "PICK R R D DROP")
    assert (trace.outcome, trace.steps, trace.illegal) == (Outcome.SUCCESS, 5, 0)
    assert places(ROOM, trace) == "(0,0) (0,0) (0,1) (0,2) (1,2) (1,2)"


def test_the_printer_blocks_its_cell_until_it_is_picked_up() -> None:
    blocked = play(ROOM, "R")
    assert (places(ROOM, blocked), blocked.reason) == ("(0,0) (0,0)", "printer")
    assert places(ROOM, play(ROOM, "PICK R")) == "(0,0) (0,0) (0,1)"


@pytest.mark.parametrize(
    "way",
    ["D D R R", "D D D R R", "D D D D R R U", "D R R D", "PICK R R D D", "PICK D R R R R D"],
)
def test_the_table_is_never_entered(way: str) -> None:
    trace = play(ROOM, way)
    assert (trace.illegal, trace.reason) == (1, "table")
    assert trace.states[-1] == trace.states[-2]


def test_pick_needs_the_printer_beside_the_agent() -> None:
    assert play(ROOM, "PICK").illegal == 0
    assert play(ROOM, "D R PICK").illegal == 0  # from below, at (1,1)
    assert play(ROOM, "D R R U PICK").illegal == 0  # from the right, at (0,2)
    diagonal = play(ROOM, "D PICK")  # from (1,0)
    assert (diagonal.illegal, diagonal.reason) == (1, "not_beside_printer")
    assert play(ROOM, "D D PICK").reason == "not_beside_printer"


def test_a_second_pick_is_refused() -> None:
    assert play(ROOM, "PICK PICK").reason == "already_carrying"


def test_drop_needs_the_printer_in_hand() -> None:
    trace = play(ROOM, "D D DROP")  # beside nothing but floor
    assert trace.reason == "empty_handed"
    trace = play(ROOM, "D R R DROP")  # at (1,2), beside the table
    assert (trace.outcome, trace.reason) == (Outcome.RUNNING, "empty_handed")


def test_drop_needs_the_table_beside_the_agent() -> None:
    trace = play(ROOM, "PICK DROP")
    assert (trace.outcome, trace.reason) == (Outcome.RUNNING, "not_beside_table")
    assert play(ROOM, "PICK D R DROP").reason == "not_beside_table"  # (1,1) touches a corner only


def test_a_refused_drop_keeps_the_printer_in_hand() -> None:
    assert play(ROOM, "PICK DROP R R D DROP").outcome is Outcome.SUCCESS


@pytest.mark.parametrize("way", ["D D R", "D D D D R R", "D R R", "D R R R R"])
def test_every_side_of_the_table_will_do(way: str) -> None:
    assert play(ROOM, f"PICK {way} DROP").outcome is Outcome.SUCCESS


def test_leaving_the_room_is_refused() -> None:
    for way in ("U", "L", "D D D D D"):
        assert play(ROOM, way).reason == "off_grid"


def test_after_the_drop_nothing_is_legal() -> None:
    delivered = play(ROOM, "PICK R R D DROP").states[-1]
    assert legal_actions(ROOM, delivered) == []


@pytest.mark.parametrize("rules", ["mgsd-train", "mgsd-eval", "visualplanning"])
@pytest.mark.parametrize("way", ["U", "R", "D PICK", "DROP", "PICK PICK", "PICK DROP"])
def test_every_refused_action_ends_the_plan_under_every_benchmark(rules: str, way: str) -> None:
    trace = play(ROOM, f"{way} L L", rules)
    assert (trace.outcome, trace.steps) == (Outcome.ILLEGAL, len(way.split()))


def test_the_agent_can_start_walled_in_between_printer_and_table() -> None:
    corner = room("""AP..
                     TTT.
                     TTT.
                     ....""")
    assert play(corner, "PICK DROP").outcome is Outcome.SUCCESS
    machine = solve_layout(corner)
    assert machine.distance[machine.start] == 2


# The symbolic observation


def symbols(layout: Layout, actions: str, max_level: int) -> dict[str, Any]:
    """What the symbolic observation says after a plan, arrays as lists."""
    options = {"level": layout.level, "max_level": max_level, "observation": "symbolic"}
    env = PlanningEnv(layout.task, **options)
    observation, _ = env.reset(options={"layout": layout})
    for action in plan(actions):
        observation = env.step(action)[0]
    return {name: np.asarray(value).tolist() for name, value in observation.items()}


def test_a_lake_in_symbols() -> None:
    grid = [[4, 1, 1, 0], [1, 2, 1, 0], [1, 1, 3, 0], [0, 0, 0, 0]]  # padded to max_level
    seen = {"level": 3, "grid": grid, "agent": [0, 1], "goal": [2, 2]}
    assert symbols(LAKE, "R", 4) == seen
    assert symbols(LAKE, "R D", 4) == seen | {"agent": [1, 1]}  # in the hole


def test_a_maze_in_symbols() -> None:
    # N1 S2 W4 E8
    walls = [[5, 3, 9], [12, 7, 10], [6, 3, 11]]
    seen = {"level": 3, "walls": walls, "agent": [2, 0], "goal": [2, 2]}
    assert symbols(MAZE, "D D", 3) == seen


def test_a_room_in_symbols() -> None:
    floor, table = [1, 1, 1, 1, 1], [1, 1, 2, 2, 2]
    seen = {
        "level": 5,
        "grid": [[1, 3, 1, 1, 1], floor, table, table, floor],
        "agent": [0, 0],
        "printer": [0, 1],
        "table": [2, 2],
        "carrying": 0,
    }
    assert symbols(ROOM, "", 5) == seen
    picked = seen | {
        "grid": [floor, floor, table, table, floor],
        "printer": [-1, -1],
        "carrying": 1,
    }
    assert symbols(ROOM, "PICK", 5) == picked
    assert symbols(ROOM, "PICK R R D", 5) == picked | {"agent": [1, 2]}
    delivered = picked | {"agent": [1, 2], "printer": [2, 2], "carrying": 0}
    assert symbols(ROOM, "PICK R R D DROP", 5) == delivered


# What is no board


@pytest.mark.parametrize(
    ("task", "data", "words"),
    [
        ("frozenlake", {"map": ["SF", "FX"]}, "rows of S, F, H and G"),
        ("frozenlake", {"map": ["SF", "FF"]}, "one S and one G"),
        ("frozenlake", {"map": ["SGG", "FFF", "FFF"]}, "one S and one G"),
        ("frozenlake", {"map": ["SFG", "FF"]}, "square"),
        ("frozenlake", {"map": "SFG"}, "square"),
        ("frozenlake", {"map": [1, 2]}, "list of rows"),
        ("frozenlake", {}, "a frozenlake layout holds map; this one lacks map"),
        ("maze", {}, "a maze layout holds walls, start, goal; this one lacks walls"),
        ("maze", {"walls": [[5, 9], [6, 10.5]], "start": [0, 0], "goal": [1, 1]}, "rows of masks"),
        ("maze", {"walls": [[5, 3], [6]], "start": [0, 0], "goal": [1, 1]}, "rows of masks"),
        ("maze", {"walls": [[5, 9, 1]], "start": [0, 0], "goal": [0, 1]}, "square"),
        ("maze", {"walls": [[4, 9], [6, 10]], "start": [0, 0], "goal": [1, 1]}, "has a gap"),
        ("maze", {"walls": [[5, 9], [7, 10]], "start": [0, 0], "goal": [1, 1]}, "disagree"),
        ("maze", {"walls": [[5, 99], [6, 10]], "start": [0, 0], "goal": [1, 1]}, "0 to 15"),
        ("maze", {"walls": [[5, 9], [6, 10]], "start": [0, 0], "goal": [2, 1]}, "outside"),
        ("maze", {"walls": [[5, 9], [6, 10]], "start": [0, 0], "goal": [0, 0]}, "both (0,0)"),
        ("maze", {"walls": [[5, 9], [6, 10]], "start": [0, 0]}, "this one lacks goal"),
        ("minibehaviour", {}, "this one lacks start, printer, table"),
    ],
)
def test_what_is_no_board_gives_one_line_that_says_why(
    task: str, data: dict[str, object], words: str
) -> None:
    with pytest.raises(LayoutError) as caught:
        load_layout(task, data)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


TABLE = [[2, 2], [2, 3], [2, 4], [3, 2], [3, 3], [3, 4]]
OFF_BOARD = [[0, 3], [0, 5], [0, 4], [1, 3], [1, 5], [1, 4]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"start": [0, 1]}, "overlap"),
        ({"start": [2, 3]}, "overlap"),
        ({"printer": [3, 4]}, "overlap"),
        ({"printer": [0, 5]}, "outside the 5×5 board"),
        ({"printer": [0]}, "printer must be [row, col]"),
        ({"printer": "desk"}, "printer must be [row, col]"),
        ({"printer": [0.9, 1]}, "printer must be [row, col], got [0.9, 1]"),
        ({"table": TABLE[:5]}, "2 rows × 3 columns"),
        ({"table": [[c, r] for r, c in TABLE]}, "2 rows × 3 columns"),
        ({"table": []}, "2 rows × 3 columns"),
        ({"table": [[1, 2, 3]]}, "six table cells"),
        ({"table": OFF_BOARD}, "outside the 5×5 board"),
    ],
)
def test_what_is_no_room_gives_one_line_that_says_why(
    change: dict[str, object], words: str
) -> None:
    data = {"level": 5, "start": [0, 0], "printer": [0, 1], "table": TABLE, **change}
    with pytest.raises(LayoutError) as caught:
        load_layout("minibehaviour", data)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_room_without_its_size_has_the_smallest_of_the_papers_levels_that_holds_it() -> None:
    for data, level in (
        ({"start": [0, 0], "printer": [0, 1], "table": TABLE}, 5),
        ({"start": [5, 0], "printer": [0, 1], "table": TABLE}, 6),
        ({"start": [0, 0], "printer": [0, 7], "table": TABLE}, 8),
    ):
        assert load_layout("minibehaviour", data).level == level
    assert load_layout("minibehaviour", {**data, "start": [1, 1]}, 9).level == 9


@pytest.mark.parametrize("task", ["frozenlake", "maze", "minibehaviour"])
@pytest.mark.parametrize("data", [None, "SFG", 3, ["SF", "FG"]])
def test_data_that_is_no_mapping_is_refused(task: str, data: object) -> None:
    with pytest.raises(LayoutError, match=f"a {task} layout is a mapping, not"):
        load_layout(task, data)  # type: ignore[arg-type]


def test_a_drawn_maze_has_the_masks_of_the_golden_format() -> None:
    drawn = maze_data("""
        +-+-+
        |S G|
        + +-+
        |   |
        +-+-+
    """)
    # N1 S2 W4 E8
    assert drawn == {"walls": [[5, 11], [6, 11]], "start": [0, 0], "goal": [0, 1]}
