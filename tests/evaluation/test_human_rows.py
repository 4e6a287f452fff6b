"""A person's recorded game in the report, beside models."""

import pytest

from agents.multi_turn import TurnPolicy
from agents.recorded_human import Human
from agents.rollout import Case
from agents.scripted import Blind
from evaluation import planning
from evaluation.options import CaseSet
from evaluation.report.__main__ import ReportConfig, run
from evaluation.report.recording import read_recording
from tests.drawn import lake, plan
from vsp_envs.core.task_level import TaskLevel
from vsp_envs.play.boards import ListedBoards
from vsp_envs.play.game import Game
from vsp_envs.utils.cli import main

POND = lake("SFH FFF FFG")
OTHER = lake("SFF HFF FFG")


def walk(game, text):
    for action in plan(text):
        game.act(action)


def test_the_report_sets_a_human_row_beside_a_model(tmp_path, capsys):
    file = tmp_path / "person.jsonl"
    game = Game(ListedBoards([POND, OTHER]), recording=file)
    walk(game, "R R")
    game.restart()
    walk(game, "D D R R")
    game.next_board()
    walk(game, "R D D R")
    found = read_recording(file)
    assert found.results["macro"]["success"] == pytest.approx(
        {"value": 0.5, "n": 2, "low": 0.0945, "high": 0.9055}, abs=1e-3
    )
    planning.evaluate(Blind(), [TaskLevel("frozenlake", 3)], episodes=2, out=tmp_path / "blind")
    page = tmp_path / "page.html"
    main(run, ReportConfig, [str(file), str(tmp_path / "blind"), "--out", str(page)])
    text = page.read_text()
    assert "human person" in text and ">blind" in text


@pytest.mark.parametrize("asks_again", [{"act": "step"}, {"malformed": "retry"}])
def test_a_person_who_answered_once_is_not_asked_in_turns(asks_again, tmp_path):
    walk(Game(ListedBoards([POND]), recording=tmp_path / "person.jsonl"), "D D R R")
    person = Human(tmp_path / "person.jsonl")
    given = CaseSet("person", [Case(layout) for layout in person.layouts()])
    with pytest.raises(ValueError, match="a recorded person has one answer a board"):
        planning.evaluate(person, given=given, turn_policy=TurnPolicy(**asks_again))
    once = planning.evaluate(person, given=given, turn_policy=TurnPolicy(illegal="skip"))
    assert once["macro"]["success"]["value"] == 1


def test_two_recordings_of_one_name_are_two_rows(tmp_path):
    for folder in ("ann", "bob"):
        (tmp_path / folder).mkdir()
        game = Game(ListedBoards([POND]), recording=tmp_path / folder / "human.jsonl")
        walk(game, "D D R R")
    files = [str(tmp_path / folder / "human.jsonl") for folder in ("ann", "bob")]
    main(run, ReportConfig, [*files, "--out", str(tmp_path / "page.html")])
    rows = (tmp_path / "page.md").read_text()
    assert all(f"| {file} |" in rows for file in files)
