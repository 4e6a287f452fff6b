"""What models are told: nothing symbolic beside a picture, and a plan to the teacher alone."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest
from drawn import LAKE, MAZE, ROOM, plan
from growth import growth

from agents.agent import Prompt, View
from agents.rollout import Case, prompt_of
from vsp_envs import (
    TASKS,
    Layout,
    LayoutSpec,
    ParseStatus,
    describe,  # fmt: skip
    draw_distinct,
    format_answer,
    get_task,
    parse_plan,
    render,  # fmt: skip
    score_reply,
    shortest_plan,
)  # fmt: skip
from vsp_envs.prompts.question import GOALS, text_prompt, visual_prompt, visual_words
from vsp_envs.prompts.targets import perception_target, planning_target, route_line
from vsp_envs.prompts.texts import STYLES
from vsp_envs.scoring.perception import normal, question_names, read_facts

every_task = pytest.mark.parametrize("task", TASKS)
every_style = pytest.mark.parametrize("style", STYLES)
every_goal = pytest.mark.parametrize("goal", GOALS)


def layouts(task: str, count: int = 30, **spec: int) -> list[Layout]:
    levels = get_task(task).paper_levels
    return [
        layout
        for level in (levels[0], levels[-1])
        for layout in draw_distinct(LayoutSpec(task, level, **spec), count, seed=5)
    ]


# The student's visual prompt


@every_task
@every_style
@every_goal
def test_a_visual_prompt_says_the_same_about_every_board(task: str, style: str, goal: str) -> None:
    view = View(style=style, image_size=64)
    prompts = [prompt_of(Case(each, "image", goal), view) for each in layouts(task, 10)]
    assert len({prompt.text for prompt in prompts}) == 1
    assert prompts[0].text == visual_words(task, goal, style, view.theme)
    assert all(prompt.messages == prompts[0].messages for prompt in prompts)
    assert len({prompt.images[0].tobytes() for prompt in prompts}) == len(prompts)


@every_task
@every_style
@every_goal
def test_a_visual_prompt_never_contains_symbolic_state(task: str, style: str, goal: str) -> None:
    text = visual_words(task, goal, style, "classic")
    assert not re.search(r"\(\d+, *\d+\)", text)  # no cell
    assert not re.search(r"\[[LDRU]*\]", text)  # no open directions
    assert not re.search(r"^[SFGHAPT.#_@*]{2,}$", text, re.MULTILINE)  # no row of a map
    said = set(text.splitlines())
    for layout in layouts(task):
        state = get_task(task).state_text(layout).splitlines() + describe(layout).splitlines()
        assert not said & set(state)
        assert format_answer(shortest_plan(layout) or [], task) not in text


def test_a_visual_prompt_is_made_from_names_alone_and_cannot_see_a_layout() -> None:
    names = ["task", "goal", "style", "theme", "art"]
    assert list(inspect.signature(visual_words).parameters) == names
    names = ["task", "image", "goal", "view", "art"]
    assert list(inspect.signature(visual_prompt).parameters) == names


@every_task
@every_style
@every_goal
def test_a_visual_prompt_is_one_image_and_then_words(task: str, style: str, goal: str) -> None:
    image = render(layouts(task, 1)[0], 64)
    prompt = visual_prompt(task, image, goal, View(style=style))
    (message,) = prompt.messages
    assert message["role"] == "user"
    assert [item["type"] for item in message["content"]] == ["image", "text"]
    assert len(prompt.images) == 1
    assert np.array_equal(prompt.images[0], image)


# The symbolic prompt, of student and teacher


@every_task
@every_style
@every_goal
def test_a_text_prompt_contains_the_whole_board_and_no_image(
    task: str, style: str, goal: str
) -> None:
    for layout in layouts(task, 5):
        prompt = text_prompt(layout, goal, style)
        assert get_task(task).state_text(layout) in prompt.text
        assert prompt.images == ()
        assert [item["type"] for item in prompt.messages[0]["content"]] == ["text"]


@every_task
@every_style
def test_the_teacher_sees_the_plan_only_when_it_is_given(task: str, style: str) -> None:
    for layout in layouts(task, 10, min_plan=5):
        answer = shortest_plan(layout) or []
        written = format_answer(answer, task).removeprefix("<answer>").removesuffix("</answer>")
        without = text_prompt(layout, "plan", style)
        given = text_prompt(layout, "plan", style, answer)
        assert written not in without.text
        assert given.text.count(written) == 1
        # Otherwise the two are identical: the plan's own line is all that is added.
        lines = [line for line in given.text.splitlines() if written not in line]
        assert lines == without.text.splitlines()
        assert without == text_prompt(layout, "plan", style, None)


@every_style
@pytest.mark.parametrize(
    ("layout", "written"), [(LAKE, "DDRR"), (MAZE, "DDRR"), (ROOM, "PICK,R,R,D,DROP")]
)
def test_the_reference_plan_is_absent_when_off_and_written_as_answers_are_when_on(
    layout: Layout, written: str, style: str
) -> None:
    answer = shortest_plan(layout)
    if written.startswith("PICK"):
        answer = plan("PICK R R D DROP")
    assert written not in text_prompt(layout, "plan", style).text
    assert written in text_prompt(layout, "plan", style, answer).text
    assert "reference" not in text_prompt(layout, "plan", style).text.lower()
    assert "plan that solves" not in text_prompt(layout, "plan", style).text.lower()


def test_the_full_teacher_is_told_to_keep_its_plan_to_itself() -> None:
    text = text_prompt(LAKE, "plan", "full", shortest_plan(LAKE)).text
    assert "Do not mention this plan." in text


@every_task
@every_goal
def test_both_styles_say_something_and_not_the_same(task: str, goal: str) -> None:
    words = {style: visual_words(task, goal, style, "classic") for style in STYLES}
    assert all(text.strip() for text in words.values())
    assert len(words["full"]) > 3 * len(words["brief"])
    assert get_task(task).title in words["brief"]


@every_task
@every_style
def test_the_two_goals_are_told_apart(task: str, style: str) -> None:
    assert len({visual_words(task, goal, style, "classic") for goal in GOALS}) == len(GOALS)


@every_task
def test_the_full_prompt_explains_rules_picture_questions_and_format(task: str) -> None:
    known = get_task(task)
    asked = known.questions(layouts(task, 1)[0])
    planning = visual_words(task, "plan", "full", "classic")
    perceiving = visual_words(task, "perceive", "full", "classic")
    for text in (planning, perceiving):
        assert known.rules_text in text
        assert known.legend["classic"] in text
    assert "<answer>" in planning
    assert "<answer>" not in perceiving
    for question in asked:
        assert (f"{question.name}: {question.text}" in planning) == question.states
        assert f"{question.name}: {question.text}" in perceiving


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("style", "breif", "unknown style 'breif'; styles are full, brief. Did you mean 'brief'?"),
        (
            "goal",
            "plann",
            "unknown goal 'plann'; goals are plan, perceive, search, answer. Did you mean 'plan'?",
        ),
    ],
)
def test_an_unknown_style_or_goal_gives_one_line(kind: str, value: str, words: str) -> None:
    spec = {"style": "full", "goal": "plan"} | {kind: value}
    with pytest.raises(ValueError) as caught:
        text_prompt(LAKE, **spec)
    assert str(caught.value) == words


def test_the_text_of_a_prompt_leaves_its_images_out() -> None:
    items = [{"type": "image"}, {"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    assert Prompt([{"role": "user", "content": items}]).text == "one\ntwo"


# The reference answers


def test_the_reference_answers_of_a_drawn_lake() -> None:
    state = "size 3\nplayer (0,0)\ngoal (2,2)\nholes (1,1)"
    assert describe(LAKE) == perception_target(LAKE) == state
    route = "route (0,0) (1,0) (2,0) (2,1) (2,2)"
    assert planning_target(LAKE) == f"{state}\n{route}\n<answer>DDRR</answer>"


def test_the_reference_answers_of_a_drawn_maze() -> None:
    opened = "[DR][LR][LD] [DU][R][LU] [RU][LR][L]"
    assert describe(MAZE) == f"size 3\nplayer (0,0)\ngoal (2,2)\nopen {opened}"
    assert perception_target(MAZE) == f"{describe(MAZE)}\nmoves DR"
    assert planning_target(MAZE).endswith(
        "route (0,0) (1,0) (2,0) (2,1) (2,2)\n<answer>DDRR</answer>"
    )


def test_the_reference_answers_of_a_drawn_room() -> None:
    assert perception_target(ROOM).splitlines() == [
        "size 5",
        "agent (0,0)",
        "printer (0,1)",
        "table (2,2) (2,3) (2,4) (3,2) (3,3) (3,4)",
        "beside printer (0,0) (0,2) (1,1)",
        "beside table (1,2) (1,3) (1,4) (2,1) (3,1) (4,2) (4,3) (4,4)",
        "moves D PICK",
    ]
    assert describe(ROOM).splitlines() == perception_target(ROOM).splitlines()[:4]
    assert route_line(ROOM, plan("PICK R R D DROP")) == "route (0,0) PICK (0,1) (0,2) (1,2) DROP"


@every_task
def test_the_planning_target_states_the_board_and_solves_it(task: str) -> None:
    for layout in layouts(task):
        target = planning_target(layout)
        assert target.startswith(describe(layout) + "\nroute ")
        assert parse_plan(target, task).status is ParseStatus.OK
        for rules in ("env", "mgsd-train", "mgsd-eval", "visualplanning"):
            score = score_reply(layout, target, rules)
            assert (score.success, score.optimal) == (True, True)
        facts = {q.name: normal(q.answer) for q in get_task(task).questions(layout) if q.states}
        assert read_facts(target, task) == facts


@every_task
def test_the_perception_target_is_read_back_exactly(task: str) -> None:
    for layout in layouts(task):
        facts = {q.name: normal(q.answer) for q in get_task(task).questions(layout)}
        assert read_facts(perception_target(layout), task) == facts
        assert tuple(facts) == question_names(task)
        assert parse_plan(perception_target(layout), task).status is ParseStatus.MISSING


# How facts are read


@pytest.mark.parametrize(
    ("reply", "facts"),
    [
        ("player (0,1)", {"player": "(0,1)"}),
        ("Player: (0, 1)", {"player": "(0,1)"}),
        ("PLAYER = ( 0 ,1 ).", {"player": "(0,1)"}),
        ("2. player (0,1)", {"player": "(0,1)"}),
        ("- player: (0,1)", {"player": "(0,1)"}),
        ("* **player** (0,1)", {}),
        ("the player (0,1)", {}),
        ("players (0,1)", {}),
        ("player(0,1)", {}),
        ("player (0,1)\nplayer (2,2)", {"player": "(0,1)"}),
        ("size 3\ngoal (2,2)", {"size": "3", "goal": "(2,2)"}),
        ("holes none", {"holes": "NONE"}),
        ("holes (0,1), (2,2)", {"holes": "(0,1) (2,2)"}),
        ("route (0,0) (0,1)\n<answer>R</answer>", {}),
        ("", {}),
    ],
)
def test_a_line_counts_for_the_question_whose_name_opens_it(
    reply: str, facts: dict[str, str]
) -> None:
    assert read_facts(reply, "frozenlake") == facts


def test_a_longer_name_is_not_taken_for_a_shorter_one() -> None:
    reply = "beside printer (0,0)\nbeside table none\nprinter (1,1)\ntable (2,2)"
    assert read_facts(reply, "minibehaviour") == {
        "beside printer": "(0,0)",
        "beside table": "NONE",
        "printer": "(1,1)",
        "table": "(2,2)",
    }


@pytest.mark.parametrize(
    ("answer", "even"),
    [
        ("(0,1) (2,2)", "(0,1) (2,2)"),
        ("(0,1),(2,2)", "(0,1) (2,2)"),
        ("(0, 1), (2, 2)", "(0,1) (2,2)"),
        ("( 0,1 );(2 ,2).", "(0,1) (2,2)"),
        ("(0,1)(2,2)", "(0,1) (2,2)"),
        ("  (0,1)   (2,2)\t", "(0,1) (2,2)"),
        ("none", "NONE"),
        ("None.", "NONE"),
        ("3", "3"),
        ("d pick", "D PICK"),
        ("[DR][L] [U]", "[DR][L] [U]"),
        ("", ""),
    ],
)
def test_writings_of_one_fact_become_equal(answer: str, even: str) -> None:
    assert normal(answer) == even
    assert normal(even) == even


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("(0,1) (2,2)", "(2,2) (0,1)"),
        ("(0,1)", "(1,0)"),
        ("(0,1)", "0,1"),
        ("none", ""),
        ("3", "03"),
    ],
)
def test_different_answers_stay_different(one: str, other: str) -> None:
    assert normal(one) != normal(other)


@pytest.mark.parametrize("piece", [" ", ")", "(", ") ", "( ", "1", "(1", "(1,", "\t", "size "])
def test_a_long_answer_is_read_in_linear_time(piece: str) -> None:
    def read(length: int) -> None:
        text = piece * (length // len(piece))
        normal(f"){text}x")
        read_facts(f"size {text}x\n{text}", "frozenlake")

    assert growth(read, 10_000) < 40
