"""Prompts are texts in a folder, which another folder may replace; a bad text is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from drawn import LAKE, MAZE

from agents.scripted import Oracle
from evaluation import perception, planning
from evaluation.options import make_agent
from vsp_envs import TASKS, Action, LayoutSpec, View, draw_distinct, question, shortest_plan
from vsp_envs.core.simulator import simulate
from vsp_envs.core.task_level import TaskLevel
from vsp_envs.prompts.question import GOALS, INPUTS, first_turn_words, next_turn_words
from vsp_envs.prompts.texts import OURS, ROLES, STYLES, check_texts, role_text, style_of, texts_hash
from vsp_envs.rendering.renderer import render

KIND = [TaskLevel("frozenlake", 3)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of prompts that says what ours does."""
    return Path(shutil.copytree(OURS / "full", tmp_path / "prompts"))


def test_our_folders_hold_every_role_and_nothing_else() -> None:
    for style in STYLES:
        assert {file.name for file in (OURS / style).iterdir()} == {f"{role}.txt" for role in ROLES}
        for role in ROLES:
            for task in TASKS:
                assert role_text(style, task, role)


def test_a_copy_of_our_folder_asks_in_our_words(folder: Path) -> None:
    copy = View(style=str(folder))
    for task in TASKS:
        layout = draw_distinct(LayoutSpec(task, TASKS[task].paper_levels[0]), 1, seed=1)[0]
        for input in INPUTS:
            for goal in (*GOALS, "act"):
                ours = question(layout, input, goal)
                assert question(layout, input, goal, view=copy).messages == ours.messages
        for chunk, seen in ((0, True), (3, True), (0, False), (3, False)):
            for words in (first_turn_words, next_turn_words):
                assert words(layout, copy, chunk, seen) == words(layout, View(), chunk, seen)


def test_a_text_is_used_as_it_stands_but_for_its_places(folder: Path) -> None:
    (folder / "teacher.txt").write_text('Map:\n{state}\nReply as {"plan": []}. Hint: {plan}\n\n')
    prompt = question(LAKE, "text", view=View(str(folder)), plan=shortest_plan(LAKE))
    assert prompt.text == 'Map:\nSFF\nFHF\nFFG\nReply as {"plan": []}. Hint: DDRR\n'


def test_braces_after_a_command_of_latex_are_no_place(folder: Path) -> None:
    text = r"{rules} \boxed{answer} \boxed{\text{state}} $\mathbf{plan}$ \boxed{} {instruction}"
    (folder / "student.txt").write_text(text)
    said = question(LAKE, view=View(str(folder))).text
    assert r" \boxed{answer} \boxed{\text{state}} $\mathbf{plan}$ \boxed{} End with" in said


def test_a_task_may_have_a_text_of_its_own(folder: Path) -> None:
    (folder / "maze").mkdir()
    (folder / "maze" / "student.txt").write_text("Solve this maze. {instruction}")
    assert question(MAZE, view=View(str(folder))).text.startswith("Solve this maze. End with")
    assert question(LAKE, view=View(str(folder))).text == question(LAKE).text


@pytest.mark.parametrize(
    ("role", "text", "said"),
    [
        ("text", "Solve it.", "lacks the place {state}: the board as text"),
        ("teacher", "{state}", "lacks the place {plan}: a shortest plan"),
        ("student", "{stat}", "cannot have the place {stat}; its places are {title}, {rules}"),
        ("student", "{state}", "must not have the place {state}"),
        ("text", "{state} {plan}", "must not have the place {plan}"),
        ("go_on", "{state}", "must not have the place {state}"),
        ("student", "", "is empty"),
        ("student", " \n", "is empty"),
        ("perceive", None, "for every task"),
    ],
)
def test_a_text_that_cannot_be_used_is_named(
    folder: Path, role: str, text: str | None, said: str
) -> None:
    file = folder / f"{role}.txt"
    file.unlink()
    if text is not None:
        file.write_text(text)
    with pytest.raises(ValueError, match=f"{role}.txt") as caught:
        role_text(str(folder), "maze", role)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [("frozen_lake/student", "of no task"), ("maze/students", "of no role"), ("maze/student", "")],
)
def test_a_text_that_no_run_would_read_is_named(folder: Path, name: str, said: str) -> None:
    (folder / name).parent.mkdir()
    (folder / f"{name}.txt").write_text("Solve it.")
    if not said:
        return check_texts(str(folder), TASKS, ["student"])
    with pytest.raises(ValueError, match=f"{name}.txt is {said}"):
        check_texts(str(folder), TASKS, ["student"])


def test_the_marks_and_line_ends_of_editors_are_no_part_of_a_text(folder: Path) -> None:
    expected, total = role_text("full", "maze", "text"), texts_hash(str(folder))
    for mark, encoding in (("\ufeff", "utf-8"), ("", "utf-16")):
        written = (mark + expected + "\n").replace("\n", "\r\n")
        (folder / "text.txt").write_bytes(written.encode(encoding))
        role_text.cache_clear()
        assert role_text(str(folder), "maze", "text") == expected
        assert texts_hash(str(folder)) == total


def test_a_file_that_is_no_text_is_named(folder: Path) -> None:
    (folder / "student.txt").write_bytes(b"caf\xe9 {instruction}")
    for read in (
        lambda: role_text(str(folder), "maze", "student"),
        lambda: texts_hash(str(folder)),
    ):
        with pytest.raises(ValueError, match=r"student\.txt is not a text"):
            read()


@pytest.mark.parametrize("name", ["nowhere", "no/where"])
def test_a_folder_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=f"--prompts {name}: there is no such folder"):
        style_of(name)
    with pytest.raises(ValueError, match=name):
        question(LAKE, view=View(style=name))


def test_the_hash_tells_texts_apart_and_not_places(folder: Path, tmp_path: Path) -> None:
    assert texts_hash(str(folder)) == texts_hash("full") != texts_hash("brief")
    (folder / "maze").mkdir()
    (folder / "maze" / "student.txt").write_text("Solve it.")
    assert texts_hash(str(folder)) != texts_hash("full")


# Runs


class Listening(Oracle):
    def __init__(self, view: View) -> None:
        super().__init__()
        self.view, self.heard = view, []

    def reply(self, requests):  # type: ignore[no-untyped-def]
        self.heard += [request.prompt.text for request in requests]
        return super().reply(requests)


def test_a_run_asks_with_its_folder_and_keeps_the_hash_of_the_texts(
    folder: Path, tmp_path: Path
) -> None:
    (folder / "student.txt").write_text("Where to? {instruction}")
    agent, out = Listening(View(str(folder))), tmp_path / "run"
    planning.evaluate(agent, KIND, episodes=2, out=out)
    assert agent.heard[0].startswith("Where to? End with")
    settings = json.loads((out / "config.json").read_text())["settings"]
    assert settings["prompts"] == texts_hash(str(folder))
    moved = Path(shutil.move(folder, tmp_path / "moved"))
    planning.evaluate(Listening(View(str(moved))), KIND, episodes=2, out=out)
    (moved / "text.txt").write_text("{state}")
    with pytest.raises(ValueError, match="other settings: prompts"):
        planning.evaluate(Listening(View(str(moved))), KIND, episodes=2, out=out)


def test_a_run_with_our_prompts_says_nothing_of_them(tmp_path: Path) -> None:
    planning.evaluate(Oracle(), KIND, episodes=2, out=tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())["settings"]
    assert "prompts" not in settings
    assert settings["view"]["style"] == "full"


def test_a_text_that_a_run_lacks_is_named_before_it_starts(folder: Path, tmp_path: Path) -> None:
    (folder / "perceive.txt").unlink()
    agent = Listening(View(str(folder)))
    planning.evaluate(agent, KIND, episodes=1)
    with pytest.raises(ValueError, match=r"perceive\.txt"):
        perception.evaluate(agent, KIND, episodes=1, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_command_takes_a_folder(folder: Path, tmp_path: Path) -> None:
    config = planning.PlanningConfig(out=tmp_path, agent="oracle", prompts=str(folder))
    assert make_agent(config).view.style == str(folder)


# `question`


def test_a_question_by_image_shows_the_board_and_by_text_writes_it() -> None:
    seen, read = question(LAKE), question(LAKE, "text")
    assert (seen.images[0] == render(LAKE, 256)).all()
    assert not read.pictures
    assert "SFF\nFHF\nFFG" in read.text
    assert "SFF" not in seen.text


def test_a_question_for_the_next_action_is_about_the_board_after_those_played() -> None:
    played = [Action.DOWN, Action.DOWN]
    seen, read = (
        question(LAKE, goal="act", played=played),
        question(LAKE, "text", "act", played=played),
    )
    assert (seen.images[0] == render(LAKE, 256, state=simulate(LAKE, played).states[-1])).all()
    assert "the next action alone" in seen.text
    assert read.text.endswith("Played so far: DD. The player is now at (2,0).")
    assert "at most 3" in question(LAKE, goal="act", chunk=3).text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"input": "sound"}, "unknown input 'sound'; inputs are image, text"),
        ({"goal": "win"}, "unknown goal 'win'; goals are plan, perceive, search, answer, act"),
        ({"plan": [Action.DOWN]}, "a reference plan goes into a text prompt"),
        ({"played": [Action.DOWN]}, "a prompt with goal 'plan' is about the start"),
    ],
)
def test_a_question_that_cannot_be_asked_gives_one_line(arguments: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        question(LAKE, **arguments)
