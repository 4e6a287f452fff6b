"""Differences of rates: published examples, and what must hold for any pair of runs."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.agent import Reply, View
from agents.scripted import Oracle
from evaluation import modality_gap
from evaluation.modality_gap import GapConfig
from evaluation.paired import independent_gap, independent_p, mcnemar, mean_gap, paired_gap
from evaluation.rates import wilson
from vsp_envs import describe
from vsp_envs.prompts.targets import planning_target
from vsp_envs.utils.cli import main
from vsp_envs.utils.files import read_json_lines


def pairs(both, first_only, second_only, neither):
    first = [True] * (both + first_only) + [False] * (second_only + neither)
    second = [True] * both + [False] * first_only + [True] * second_only + [False] * neither
    return first, second


@pytest.mark.parametrize(
    ("table", "low", "high"),
    # Newcombe, Statistics in Medicine 17 (1998), 2635–2650, table III, method 10.
    [
        ((36, 12, 2, 0), 0.0569, 0.3404),
        ((20, 12, 2, 16), 0.0562, 0.3292),
        ((36, 14, 0, 0), 0.1528, 0.4167),
    ],
)
def test_the_paired_interval_is_newcombes(table, low, high):
    gap = paired_gap(*pairs(*table))
    assert (gap.low, gap.high) == (pytest.approx(low, abs=2e-4), pytest.approx(high, abs=2e-4))


def test_the_independent_interval_is_newcombes():
    # The same author's companion paper, 873–890, table II, method 10: 56/70 against 48/80.
    gap = independent_gap(wilson(56, 70), wilson(48, 80))
    assert (gap.value, gap.n) == (pytest.approx(0.2), 150)
    assert (gap.low, gap.high) == (pytest.approx(0.0524, abs=1e-4), pytest.approx(0.3339, abs=1e-4))


def test_mcnemar_by_hand():
    assert mcnemar(0, 0) == mcnemar(3, 3) == 1
    assert mcnemar(5, 0) == mcnemar(0, 5) == 2 / 32
    assert mcnemar(1, 9) == pytest.approx(2 * 11 / 1024)


def test_large_counts_have_yates_chi_square():
    assert independent_p(wilson(50, 100), wilson(50, 100)) == 1
    # Yates: |0.8 − 0.6| − (1/70 + 1/80) / 2 = 0.1866, over its spread of 0.0755
    assert independent_p(wilson(56, 70), wilson(48, 80)) == pytest.approx(0.0134, abs=2e-4)


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [
        ((1, 3), (191, 200), 0.0079),
        ((3, 4), (1, 4), 0.4857),  # Fisher's lady tasting tea, two-sided: 34 of 70 tables
        ((0, 5), (5, 5), 2 / 252),
        ((10, 10), (7, 7), 1),
        ((0, 3), (0, 200), 1),
    ],
)
def test_small_counts_have_fishers_exact_test(first, second, p):
    assert independent_p(wilson(*first), wilson(*second)) == pytest.approx(p, abs=1e-4)


counts = st.tuples(*[st.integers(0, 30)] * 4).filter(lambda table: sum(table) > 0)


@given(counts)
def test_a_paired_interval_holds_the_difference_and_turns_with_the_pair(table):
    first, second = pairs(*table)
    gap, back = paired_gap(first, second), paired_gap(second, first)
    assert -1 <= gap.low <= gap.value <= gap.high <= 1
    assert (back.value, back.low) == (pytest.approx(-gap.value), pytest.approx(-gap.high))
    assert back.p == gap.p and 0 < gap.p <= 1


def test_a_mean_gap_is_narrower_than_its_parts():
    gap = paired_gap(*pairs(30, 12, 4, 14))
    mean = mean_gap([gap, gap])
    assert mean.value == pytest.approx(gap.value) and mean.n == 2 * gap.n and mean.p is None
    assert gap.low < mean.low < mean.high < gap.high


# The modality gap


class Shortsighted(Oracle):
    """Plans right on text; reads and plans every third picture right, and reads every third."""

    name, view = "shortsighted", View(image_size=64)
    turn = 0

    def reply(self, requests):
        return [self._say(request) for request in requests]

    def _say(self, request):
        layout = request.layout
        if not request.prompt.images:
            return Reply(planning_target(layout))
        self.turn += 1
        if self.turn % 3 == 0:
            return Reply(planning_target(layout))
        if self.turn % 3 == 1:
            return Reply(describe(layout) + "\nno plan")
        return Reply(describe(layout).replace("size", "size 1") + "\nno plan")


def gap(tmp_path, agent, *arguments):
    config = GapConfig(out=tmp_path, tasks=("frozenlake:4-5",), episodes=6, quiet=True)
    results = modality_gap.evaluate(agent, config)
    return results["tasks"]["frozenlake"], results


def test_the_gap_is_taken_on_the_same_boards(tmp_path):
    task, _ = gap(tmp_path, Shortsighted())
    level = task["levels"]["4"]
    assert (level["text"]["value"], level["image"]["value"]) == (1, pytest.approx(1 / 3))
    assert level["gap"]["value"] == pytest.approx(2 / 3) and level["gap"]["n"] == 6
    assert (level["gap"]["first_only"], level["gap"]["second_only"]) == (4, 0)
    ids = [
        [record["layout_id"] for record in read_json_lines(tmp_path / name / "replies.jsonl")]
        for name in ("image", "text")
    ]
    assert ids[0] == ids[1]


def test_it_is_taken_apart_into_seeing_and_planning(tmp_path):
    level = gap(tmp_path, Shortsighted())[0]["levels"]["5"]
    assert level["read"]["value"] == pytest.approx(2 / 3)
    assert (level["given_read"]["value"], level["given_read"]["n"]) == (0.5, 4)
    assert (level["given_misread"]["value"], level["given_misread"]["n"]) == (0, 2)


def test_the_parts_add_up_to_success_by_image(tmp_path):
    level = gap(tmp_path, Shortsighted())[0]["levels"]["4"]
    read = level["read"]["value"]
    added = read * level["given_read"]["value"] + (1 - read) * level["given_misread"]["value"]
    assert added == pytest.approx(level["image"]["value"])


def test_an_agent_that_says_nothing_of_the_board_has_no_parts(tmp_path):
    class Silent(Oracle):
        def reply(self, requests):
            return [Reply("<answer>R</answer>") for _ in requests]

    level = gap(tmp_path, Silent())[0]["levels"]["4"]
    assert level["read"] is level["given_read"] is level["given_misread"] is None


def test_the_command_writes_the_page_and_goes_on_where_it_was(tmp_path, capsys):
    arguments = (
        "--agent", "oracle", "--tasks", "maze:3", "frozenlake:3", "--episodes", "4", "--quiet",
        "--state", "asked", "--out", str(tmp_path),
    )  # fmt: skip
    for _ in range(2):
        main(modality_gap.run, GapConfig, arguments)
    assert "text − image" in capsys.readouterr().out
    assert "+0.0" in (tmp_path / "report.html").read_text()
    assert json.loads((tmp_path / "gap.json").read_text())["macro"]["read"]["value"] == 1
    assert len((tmp_path / "perception/replies.jsonl").read_text().splitlines()) == 8
