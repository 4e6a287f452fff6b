"""The stream's difficulty: least plans, thirds, weights, ice and distance, by task."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from agents.agent import View
from training.config import TrainingConfig
from training.data.layout_stream import live_boards
from training.data.wanted import wanted_of
from training.presets import PRESETS
from training.validate import check_boards
from vsp_envs import LayoutSpec, draw_distinct, get_task, shortest_plan


def config(**settings: Any) -> TrainingConfig:
    return TrainingConfig(
        out=Path("run"), **{"eval_every": 0, "steps": 6, "batch_size": 24} | settings
    )


def lengths(settings: TrainingConfig) -> list[int]:
    boards = live_boards(settings, View(image_size=64))
    return [len(shortest_plan(board.layout) or []) for board in boards]


def buckets(task: str, level: int, plans: list[int]) -> Counter[str]:
    difficulty = get_task(task).difficulty
    assert difficulty
    easy, medium = difficulty(level)
    names = ["easy" if n <= easy else "medium" if n <= medium else "hard" for n in plans]
    return Counter(names)


def test_without_settings_the_boards_are_those_of_before() -> None:
    settings = config(tasks=("frozenlake:3", "maze:3"))
    assert wanted_of(settings) == {"frozenlake": [()], "maze": [()]}


@pytest.mark.parametrize("batch_size", [1, 4, 24])
def test_thirds_are_thirds_whatever_the_batch(batch_size: int) -> None:
    settings = config(
        tasks=("maze:4",), difficulty=("thirds",), batch_size=batch_size, steps=72 // batch_size
    )
    assert set(buckets("maze", 4, lengths(settings)).values()) == {24}


def test_shares_have_weights() -> None:
    settings = config(tasks=("maze:4",), difficulty=("easy@2,hard",), steps=3)
    assert buckets("maze", 4, lengths(settings)) == {"easy": 48, "hard": 24}


def test_a_value_may_be_for_one_task() -> None:
    settings = config(tasks=("frozenlake:4", "maze:3"), min_plan=("1", "frozenlake=4"))
    boards = list(live_boards(settings, View(image_size=64)))
    by_task: dict[str, list[int]] = {"frozenlake": [], "maze": []}
    for board in boards:
        by_task[board.layout.task].append(len(shortest_plan(board.layout) or []))
    assert min(by_task["frozenlake"]) == 4 > min(by_task["maze"])


def test_start_and_goal_lie_apart() -> None:
    settings = config(tasks=("frozenlake:4",), min_distance=("4",))
    for board in live_boards(settings, View(image_size=64)):
        start, goal = board.layout.cell("start"), board.layout.cell("goal")
        assert abs(start.row - goal.row) + abs(start.col - goal.col) >= 4


def test_more_ice_means_fewer_holes() -> None:
    def holes(prob: float) -> int:
        settings = config(tasks=("frozenlake:6",), frozen_prob=prob)
        boards = live_boards(settings, View(image_size=64))
        return sum(describe.count("H") for describe in (str(b.layout.to_data()) for b in boards))

    assert holes(0.95) < holes(0.6) / 2


def test_a_board_does_not_depend_on_the_batch_that_asks_for_it() -> None:
    boards = live_boards(config(tasks=("maze:4",), difficulty=("thirds",)), View(image_size=64))
    together = boards.__getitems__([5, 3, 40, 3])
    assert [board.layout for board in together] == [boards[i].layout for i in (5, 3, 40, 3)]
    assert [board.stream_index for board in together] == [5, 3, 40, 3]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"difficulty": ("eazy",)}, "unknown difficulty 'eazy'"),
        ({"difficulty": ("easy@0",)}, "weights as in easy@2,hard; got 'easy@0'"),
        ({"difficulty": ("maize=easy",)}, "unknown task 'maize'"),
        ({"difficulty": ("frozenlake=easy",)}, "frozenlake has no difficulties"),
        ({"min_plan": ("two",)}, "--min-plan is a whole number, or task=number, got 'two'"),
        ({"min_plan": ("2", "3")}, "--min-plan is given twice for all tasks"),
        ({"difficulty": ("easy", "hard")}, "--difficulty is given twice for all tasks"),
        ({"min_distance": ("maze=2", "1", "maze=3")}, "--min-distance is given twice for maze"),
        ({"min_plan": ("frozenlake=20",)}, "there is no frozenlake layout of level 3"),
        ({"frozen_prob": 0.9, "tasks": ("maze:3",)}, "--frozen-prob 0.9: no task of this run"),
        ({"frozen_prob": 1.5}, "frozen_prob is a probability"),
        ({"difficulty": ("hard",), "tasks": ("frozenlake:3",)}, "no task of this run has that"),
        ({"min_distance": ("2",), "tasks": ("minibehaviour:5",)}, "no task of this run has that"),
        ({"min_distance": ("minibehaviour=2",), "tasks": ("minibehaviour:5",)}, "has no goal"),
    ],
)
def test_what_cannot_be_drawn_is_refused_at_once(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_boards(config(**{"tasks": ("frozenlake:3", "maze:3")} | settings))


def test_the_papers_presets_draw_as_the_reference_does() -> None:
    for stage in ("sft", "opcd"):
        for name in ("qwen3-vl-4b", "qwen3-vl-8b"):
            found = PRESETS[stage][name]
            settings = config(
                min_plan=found["min_plan"], difficulty=found["difficulty"], tasks=found["tasks"]
            )
            assert wanted_of(settings)["frozenlake"] == [(("min_plan", 2),)]
            for task in ("maze", "minibehaviour"):
                assert len(wanted_of(settings)[task]) == 3
            # A run of some of the tasks may keep the preset.
            wanted_of(config(min_plan=found["min_plan"], difficulty=found["difficulty"]))


def test_a_layout_spec_knows_the_distance() -> None:
    spec = LayoutSpec("maze", 4, min_distance=6)
    for layout in draw_distinct(spec, 20, seed=0):
        start, goal = layout.cell("start"), layout.cell("goal")
        assert abs(start.row - goal.row) + abs(start.col - goal.col) == 6
    assert "min_distance=6" in str(spec)
