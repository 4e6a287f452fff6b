"""Where perception errs: cells and kinds of tiles, on boards drawn by hand."""

import numpy as np
from drawn import lake, maze, room

from agents.agent import Reply, View
from agents.rollout import Case, play
from agents.scripted import Oracle
from evaluation import perception
from evaluation.perception_errors import perception_errors
from vsp_envs import TASKS
from vsp_envs.core.task_level import TaskLevel

POND = lake("SHF FHF FFG")
CORRIDOR = maze(
    """
    +-+-+
    |S  |
    +-+ +
    |G  |
    +-+-+
    """
)


def misread(layout, *replies):
    class Saying:
        name, view = "saying", View(image_size=64)

        def reply(self, requests):
            return [Reply(text, error="" if text else "timeout") for text in replies]

    cases = [Case(layout, goal="perceive")] * len(replies)
    return perception_errors([episode.record() for episode in play(Saying(), cases)])


def test_the_oracle_misreads_nothing():
    found = perception.evaluate(Oracle(), [TaskLevel(task, 5) for task in TASKS], episodes=5)
    for task in found["tasks"].values():
        errors = task["levels"]["5"]["where"]
        assert errors["boards"] == 5 and np.sum(errors["errors"]) == 0
        assert all(list(said) == [true] for true, said in errors["confusion"].items())


def test_a_hole_that_is_missed_and_one_that_is_invented():
    found = misread(POND, "size 3\nplayer (0,0)\ngoal (2,2)\nholes (0,1) (2,0)")
    assert found.errors.tolist() == [[0, 0, 0], [0, 1, 0], [1, 0, 0]]
    wrong = {pair: count for pair, count in found.confusion.items() if pair[0] != pair[1]}
    assert wrong == {("hole", "free"): 1, ("free", "hole"): 1}


def test_a_goal_that_is_seen_elsewhere_errs_in_two_cells():
    found = misread(POND, "player (0,0)\ngoal (0,0)\nholes (0,1) (1,1)")
    assert found.errors.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 1]]
    assert found.confusion["player", "player+goal"] == 1
    assert found.confusion["goal", "free"] == 1


def test_errors_add_up_over_boards_and_replies_without_a_state_are_left_out():
    right = "player (0,0)\ngoal (2,2)\nholes (0,1) (1,1)"
    found = misread(POND, right, right.replace(" (1,1)", ""), "no idea", "")
    assert (found.boards, found.errors.sum()) == (2, 1)


def test_cells_beyond_the_board_are_no_cells_of_it():
    found = misread(POND, "player (0,0)\ngoal (2,2)\nholes (0,1) (1,1) (7,7)")
    assert found.errors.sum() == 0


def test_walls_that_are_misread_show_at_their_cells():
    true = "player (0,0)\ngoal (1,0)\nopen [R][DL] [R][LU]"
    assert misread(CORRIDOR, true).errors.sum() == 0
    found = misread(CORRIDOR, true.replace("[R][DL]", "[DR][L]"))
    assert found.errors.tolist() == [[1, 1], [0, 0]]
    assert found.sides == {
        ("open", "open"): 5, ("wall", "wall"): 9, ("wall", "open"): 1, ("open", "wall"): 1,
    }  # fmt: skip


def test_a_room_has_the_table_in_six_cells():
    office = room("A.... P.... ..TTT ..TTT .....")
    text = "agent (0,0)\nprinter (1,1)\ntable (2,2) (2,3) (2,4) (3,2) (3,3) (3,4)"
    found = misread(office, text)
    assert found.confusion["table", "table"] == 6
    assert (found.confusion["printer", "free"], found.confusion["free", "printer"]) == (1, 1)
