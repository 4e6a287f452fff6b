"""The reference implementation's outcomes and pictures, all of them; see data/golden/README.md."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vsp_envs import Outcome, load_layout, parse_plan, render, score_reply
from vsp_envs.scoring.answer_format import action_name

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
PICTURES = sorted((GOLDEN / "render").glob("*.png"))


@pytest.fixture(scope="module")
def outcomes() -> list[dict[str, Any]]:
    lines = (GOLDEN / "plan_outcomes.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def writings() -> list[dict[str, Any]]:
    lines = (GOLDEN / "parse_outcomes.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def boards(rows: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], Any]]:
    for row in rows:
        yield row, load_layout(row["task"], row["layout"], row["level"])


def test_all_golden_facts_are_here(outcomes: list[dict[str, Any]]) -> None:
    assert len(outcomes) == 600
    assert {row["task"] for row in outcomes} == {"frozenlake", "maze", "minibehaviour"}
    assert len(PICTURES) == 30


def test_the_golden_replies_are_read_as_the_reference_reads_them(
    outcomes: list[dict[str, Any]],
) -> None:
    for row in outcomes:
        parsed = parse_plan(row["response"], row["task"])
        assert [action_name(action) for action in parsed.plan] == row["plan"], row


def test_the_mgsd_reader_reads_every_writing_as_the_reference_does(
    outcomes: list[dict[str, Any]], writings: list[dict[str, Any]]
) -> None:
    assert len(writings) == 102 and len({row["writing"] for row in writings}) == 34
    for row, layout in boards(writings):
        score = score_reply(layout, row["reply"], "mgsd-eval", reader="mgsd")
        assert [action.name.lower() for action in score.parsed.plan] == row["actions"], row
        assert (score.success, score.optimal) == (row["success"], row["optimal_success"]), row
    for row in outcomes:
        parsed = parse_plan(row["response"], row["task"], reader="mgsd")
        assert [action_name(action) for action in parsed.plan] == row["plan"], row


def test_the_tolerant_reader_fails_no_right_plan_of_these_writings_but_prose(
    writings: list[dict[str, Any]],
) -> None:
    solved: dict[str, set[str]] = {"strict": set(), "tolerant": set(), "mgsd": set()}
    for row, layout in boards(writings):
        for reader, names in solved.items():
            if score_reply(layout, row["reply"], "mgsd-eval", reader).success:
                names.add(f"{row['writing']} {row['task']}")
    lost = {name.split()[0] for name in solved["mgsd"] - solved["tolerant"]}
    assert lost == {"sentence", "untagged_prose"}
    assert len(solved["strict"]) == 37 and len(solved["mgsd"]) == 73
    assert len(solved["tolerant"]) == 80


def test_mgsd_eval_scores_as_the_reference_evaluates(outcomes: list[dict[str, Any]]) -> None:
    for row, layout in boards(outcomes):
        score, golden = score_reply(layout, row["response"], "mgsd-eval"), row["checkpoint_eval"]
        ours = (score.success, score.optimal, score.steps, score.optimal_length)
        theirs = (golden["success"], golden["optimal_success"], golden["steps"], golden["shortest"])
        assert ours == theirs, row


def test_mgsd_eval_says_why_a_plan_failed_where_the_reference_does(
    outcomes: list[dict[str, Any]],
) -> None:
    ours_for = {
        "fell_into_hole": "hole",
        "out_of_bounds": "off_grid",
        "wall_blocked": "wall",
        "entered_table": "table",
        "entered_printer": "printer",
        "pick_not_adjacent_to_printer": "not_beside_printer",
        "pick_while_carrying": "already_carrying",
        "drop_without_printer": "empty_handed",
        "drop_not_adjacent_to_table": "not_beside_table",
    }
    for row, layout in boards(outcomes):
        theirs = (row["checkpoint_eval"]["invalid_reason"] or "").partition(":")[0]
        score = score_reply(layout, row["response"], "mgsd-eval")
        assert score.reason == ours_for.get(theirs, ""), row


def test_mgsd_train_scores_as_the_reference_rewards(outcomes: list[dict[str, Any]]) -> None:
    for row, layout in boards(outcomes):
        score, golden = score_reply(layout, row["response"], "mgsd-train"), row["training_reward"]
        assert score.success == golden["success"], row
        assert (score.outcome is Outcome.ILLEGAL) == golden["illegal"], row


def test_the_rule_sets_differ_on_golden_rows(outcomes: list[dict[str, Any]]) -> None:
    differ = [
        row["task"]
        for row in outcomes
        if row["training_reward"]["success"] != row["checkpoint_eval"]["success"]
    ]
    assert differ == ["frozenlake"] * 7  # bumps at the edge of the lake, and nothing else


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_the_classic_theme_equals_the_reference_to_the_pixel(path: Path) -> None:
    row = json.loads(path.with_suffix(".json").read_text())
    layout = load_layout(row["task"], row["layout"], row["level"])
    with Image.open(path) as picture:
        golden = np.array(picture.convert("RGB"))
    ours = render(layout, row["image_size"], "classic")
    assert np.array_equal(ours, golden), f"{(ours != golden).any(axis=2).sum()} pixels differ"
