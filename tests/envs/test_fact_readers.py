"""What replies say of the board: a table of writings, and no text that breaks its reading."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from growth import growth
from hypothesis import given
from hypothesis import strategies as st

from vsp_envs import TASKS, LayoutSpec, draw_distinct, load_layout
from vsp_envs.prompts.targets import perception_target, planning_target
from vsp_envs.scoring.perception import Fact, facts_of_reply

TABLE = Path(__file__).parents[1] / "data" / "fact_writings.jsonl"
WRITINGS = [json.loads(line) for line in TABLE.read_text(encoding="utf-8").splitlines()]
BOARDS = {name: draw_distinct(LayoutSpec(name, 5), 12, seed=3) for name in TASKS}


def test_the_table_holds_sixty_writings_of_all_tasks() -> None:
    assert len(WRITINGS) >= 60
    assert {row["task"] for row in WRITINGS} == set(TASKS)


@pytest.mark.parametrize("row", WRITINGS, ids=lambda row: row["reply"])
def test_a_writing_is_judged_as_the_table_says(row: dict) -> None:
    layout = load_layout(row["task"], row["layout"], row["layout"].get("level"))
    facts = {fact.question: fact for fact in facts_of_reply(row["reply"], layout)}
    fact: Fact = facts[row["question"]]
    assert (fact.right, fact.tolerant) == (row["exact"], row["tolerant"]), fact


@pytest.mark.parametrize("task", TASKS)
def test_the_answers_that_the_prompts_ask_for_are_right_both_ways(task: str) -> None:
    for layout in BOARDS[task]:
        facts = facts_of_reply(f"{perception_target(layout)}\n{planning_target(layout)}", layout)
        assert all(fact.right and fact.tolerant for fact in facts), facts


@pytest.mark.parametrize("task", TASKS)
def test_what_is_true_of_another_board_is_right_in_neither_way(task: str) -> None:
    first, *others = BOARDS[task]
    for other in others:
        for fact in facts_of_reply(perception_target(other), first):
            assert fact.right == fact.tolerant
        assert not all(fact.tolerant for fact in facts_of_reply(perception_target(other), first))


HEADS = (
    "{} {}", "{}: {}", "**{}**: {}", "**{}:** {}", "- {}: {}", "`{}`: `{}`", "| {} | {} |",
    "{} -> {}", "* {} — {}", '"{}": {},', "### {}\n{}", "{}:\n{}", "{}: [{}]", "{}: {}.",
)  # fmt: skip
BETWEEN = (" ", ", ", "; ", " and ", " | ", ",\n")
CELLS = ("({}, {})", "[{},{}]", "row {}, column {}", '{{"row": {}, "col": {}}}')


def writings(true: str) -> list[str]:
    """The true answer of a question, in several writings."""
    if true.isdecimal():
        return [true, f"{true}x{true}", f"{true} cells"]
    if true.startswith("("):
        places = re.findall(r"\((\d+),(\d+)\)", true)
        cells = [[cell.format(*each) for each in places] for cell in CELLS]
        lists = ["".join(f"\n- {cell}" for cell in each) for each in cells]
        return [*lists, *(between.join(each) for between in BETWEEN for each in cells)]
    if true == "none":
        return ["none", "Empty", "None visible"]
    if true.startswith("["):
        return [true, true.replace("][", "], [")]
    return [true, ", ".join(reversed(true)), " or ".join(true)]


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("task", TASKS)
def test_each_way_to_open_a_statement_goes_with_each_way_to_write_its_answer(
    task: str, head: str
) -> None:
    first, other = BOARDS[task][:2]
    for fact, theirs in zip(facts_of_reply("", first), facts_of_reply("", other), strict=True):
        for answer in writings(fact.true):
            said = head.format(fact.question.title(), answer)
            read = {each.question: each for each in facts_of_reply(said, first)}[fact.question]
            assert read.tolerant, (said, read)
            read = {each.question: each for each in facts_of_reply(said, other)}[fact.question]
            assert read.tolerant == (fact.meant_true == theirs.meant_true), (said, read)


PIECES = st.sampled_from(
    ["size", "player", "goal", "holes", "open", "moves", "table", "agent", "the ", "**", ":",
     " is ", " at ", "(0,1)", "(2, 2)", "[0, 1]", "[DR]", "[", "(", "3", "3x3", " cells", "none",
     "not", ",", ";", "\n", "- ", "1. ", "<think>", "</think>", "and ", "or", "row 1, column 2",
     "ı", "\0", "|"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=20).map("".join), st.sampled_from(sorted(TASKS)))
def test_no_text_breaks_the_reading_and_nothing_is_read_that_is_not_said(
    text: str, task: str
) -> None:
    layout = BOARDS[task][0]
    for fact in facts_of_reply(text, layout):
        if fact.tolerant and fact.true != "none":
            said = text.lower()
            assert fact.question.removesuffix("s") in said
            digits = {char for char in fact.true if char.isdigit()}
            assert digits <= set(said)


@pytest.mark.parametrize(
    "piece",
    ["player ", "player (0,0) ", "the ", "* ", "(0,1) ", " ", "\n", "[DR]", "size: ",
     "size of the ", "- (0,1)\n", "holes:\n", "</think>", "3x", "1. ", "(", "row 1 ", "and ",
     "size 3\n"],
)  # fmt: skip
def test_a_long_reply_is_read_in_linear_time(piece: str) -> None:
    layout = BOARDS["frozenlake"][0]

    def read(length: int) -> None:
        facts_of_reply(piece * (length // len(piece)) + "x", layout)

    assert growth(read, 5_000) < 40
