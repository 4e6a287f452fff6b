"""Drawn layouts: solvable, as asked for, and the same for the same seed."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from itertools import islice
from typing import Any

import numpy as np
import pytest

from vsp_envs import (
    TASKS,
    Layout,
    LayoutSpec,
    NoLayoutError,
    draw_distinct,
    draw_layouts,
    load_layout,
    shortest_plan,
    split_of,
)  # fmt: skip
from vsp_envs.core.splits import SPLITS

every_task = pytest.mark.parametrize("task", TASKS)


def drawn(task: str, level: int, count: int, seed: int = 0, **spec: Any) -> list[Layout]:
    spec = LayoutSpec(task, level, **spec)
    return list(islice(draw_layouts(spec, np.random.default_rng(seed)), count))


@every_task
def test_drawn_layouts_are_boards_of_the_level_that_can_be_solved(task: str) -> None:
    for level in (TASKS[task].min_level, *TASKS[task].paper_levels, 12):
        for layout in drawn(task, level, 5):
            assert layout.level == level
            assert load_layout(task, layout.to_data(), level) == layout
            assert shortest_plan(layout)


@every_task
@pytest.mark.parametrize("split", SPLITS)
def test_drawn_layouts_are_of_the_split(task: str, split: str) -> None:
    layouts = drawn(task, TASKS[task].paper_levels[0], 30, split=split)
    assert {split_of(layout) for layout in layouts} == {split}


@every_task
def test_without_a_split_all_splits_are_drawn(task: str) -> None:
    layouts = drawn(task, TASKS[task].paper_levels[0], 100)
    assert {split_of(layout) for layout in layouts} == set(SPLITS)


@every_task
@pytest.mark.parametrize("min_plan", [1, 4, 7])
def test_no_drawn_layout_has_a_shorter_plan_than_asked_for(task: str, min_plan: int) -> None:
    lengths = [len(shortest_plan(each) or []) for each in drawn(task, 5, 50, min_plan=min_plan)]
    assert min(lengths) >= min_plan
    assert len(set(lengths)) > 1


@every_task
def test_equal_seeds_draw_equal_layouts_and_other_seeds_others(task: str) -> None:
    assert drawn(task, 5, 20, seed=1) == drawn(task, 5, 20, seed=1)
    assert drawn(task, 5, 20, seed=1) != drawn(task, 5, 20, seed=2)


def test_another_process_draws_the_same_layouts() -> None:
    code = (
        "from vsp_envs import LayoutSpec, draw_distinct\n"
        "for task in ('frozenlake', 'maze', 'minibehaviour'):\n"
        "    drawn = draw_distinct(LayoutSpec(task, 5, 'test'), 5, 3)\n"
        "    print(*[each.layout_id for each in drawn])\n"
    )
    # A hash seed of its own: nothing may hang on the order of a set.
    out = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True,
        env={"PYTHONHASHSEED": "99", "PYTHONPATH": ":".join(sys.path)},
    ).stdout  # fmt: skip
    here = [
        " ".join(each.layout_id for each in draw_distinct(LayoutSpec(task, 5, "test"), 5, 3))
        for task in ("frozenlake", "maze", "minibehaviour")
    ]
    assert out.splitlines() == here


# One after another, all different


@every_task
def test_distinct_layouts_are_distinct_and_the_first_ones_do_not_hang_on_their_number(
    task: str,
) -> None:
    spec = LayoutSpec(task, TASKS[task].paper_levels[0], "test")
    many = draw_distinct(spec, 100, seed=0)
    assert len(set(many)) == len(many) == 100
    for count in (0, 1, 13, 99):
        assert draw_distinct(spec, count, seed=0) == many[:count]
    assert draw_distinct(spec, 100, seed=1) != many


@every_task
def test_distinct_layouts_can_exhaust_a_small_space_and_then_say_so(task: str) -> None:
    level = TASKS[task].min_level
    spec = LayoutSpec(task, level, **dict.fromkeys(TASKS[task].build_arguments, 0.5))
    # A 2×2 lake: 4 · 3 places for S and G; of the four ways to fill the rest, all can be solved
    # where S and G are neighbours (8 places), three where they are not (4).
    # A 2×2 maze: 4 spanning trees · 12 places. A room of side 3: 2 tables · 3 · 2 places.
    count = {"frozenlake": 8 * 4 + 4 * 3, "maze": 4 * 12, "minibehaviour": 12}[task]
    assert len(draw_distinct(spec, count, seed=0)) == count
    with pytest.raises(NoLayoutError, match=f"asked for {count + 1} different .* only {count}"):
        draw_distinct(spec, count + 1, seed=0)


@every_task
@pytest.mark.parametrize("spec", [{"min_plan": 1000}, {"min_plan": 26, "split": "val"}])
def test_an_impossible_wish_ends_with_an_error_that_names_it(
    task: str, spec: dict[str, Any]
) -> None:
    level = TASKS[task].min_level
    with pytest.raises(NoLayoutError) as caught:
        drawn(task, level, 1, **spec)
    message = str(caught.value)
    assert "\n" not in message
    assert all(f"{name}={value!r}" in message for name, value in spec.items())
    assert f"{task} layout of level {level}" in message


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"task": "mase", "level": 3}, "unknown task 'mase'"),
        ({"task": "maze", "level": 1}, "level 1 is out of range for maze"),
        ({"task": "minibehaviour", "level": 2}, "3 to 32"),
        ({"task": "maze", "level": 3, "split": "dev"}, "unknown split 'dev'"),
        ({"task": "frozenlake", "level": 3, "frozen_prob": -0.1}, "frozen_prob is a probability"),
        ({"task": "maze", "level": 3, "frozen_prob": 0.5}, "maze has no frozen_prob, got 0.5"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused_at_once(spec: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        LayoutSpec(**spec)


# FrozenLake


def test_frozen_prob_is_the_share_of_ice() -> None:
    assert b"\2" not in b"".join(each.grid for each in drawn("frozenlake", 6, 20, frozen_prob=1))
    thin = drawn("frozenlake", 6, 50, frozen_prob=0)
    # All holes but S and G: those are neighbours.
    assert {each.grid.count(2) for each in thin} == {34}
    assert {len(shortest_plan(each) or []) for each in thin} == {1}
    half = b"".join(each.grid for each in drawn("frozenlake", 3, 500, frozen_prob=0.8))
    assert 0.12 < half.count(2) / (500 * 7) < 0.2  # 0.2 less what solvability takes away


# Maze


def prefills(layout: Layout) -> set[tuple[int, int]]:
    """Pairs of neighbours without a wall between them, by flat index."""
    walls, level = layout.codes(), layout.level
    pairs = set()
    for row in range(level):
        for col in range(level):
            here = row * level + col
            if not walls[row, col] & 8:
                pairs.add((here, here + 1))
            if not walls[row, col] & 2:
                pairs.add((here, here + level))
    return pairs


@pytest.mark.parametrize("level", [2, 3, 4, 5, 6, 9])
def test_mazes_are_perfect(level: int) -> None:
    for layout in drawn("maze", level, 20):
        pairs = prefills(layout)
        assert len(pairs) == level * level - 1
        reached = {0}
        for _ in range(level * level):
            reached |= {b for a, b in pairs if a in reached} | {a for a, b in pairs if b in reached}
        assert len(reached) == level * level  # n - 1 openings that join n cells: a tree


def test_every_maze_of_side_three_that_depth_first_search_can_make_is_drawn() -> None:
    # Of the 192 spanning trees of the 3×3 grid, depth-first search can make 88.
    layouts = drawn("maze", 3, 6000)
    assert {frozenset(prefills(layout)) for layout in layouts} == depth_first_trees(3)
    assert len(depth_first_trees(3)) == 88
    assert len({layout.cells for layout in layouts}) == 72


def depth_first_trees(level: int) -> set[frozenset[tuple[int, int]]]:
    """The openings of every maze that a depth-first walk can carve, by walking all of them."""
    cells = range(level * level)
    beside = {
        here: [
            there
            for there in cells
            if abs(here // level - there // level) + abs(here % level - there % level) == 1
        ]
        for here in cells
    }
    trees = set()

    def walk(path: list[int], seen: set[int], tree: frozenset[tuple[int, int]]) -> None:
        while path:
            here = path[-1]
            fresh = [there for there in beside[here] if there not in seen]
            for there in fresh:
                pair = (min(here, there), max(here, there))
                walk([*path, there], seen | {there}, tree | {pair})
            if fresh:
                return
            path = path[:-1]
        trees.add(tree)

    for root in cells:
        walk([root], {root}, frozenset())
    return trees


# All tasks


@every_task
def test_start_and_the_other_landmarks_are_spread_over_the_board(task: str) -> None:
    level = TASKS[task].paper_levels[0]
    layouts = drawn(task, level, 1500)
    for landmark in TASKS[task].landmarks:
        counts = Counter(layout.cell(landmark) for layout in layouts)
        if landmark == "table":
            assert len(counts) == (level - 1) * (level - 2)
        else:
            assert len(counts) == level * level
        # No cell more than six times as often as another: the table keeps others from the middle.
        assert max(counts.values()) < 6 * min(counts.values()), (landmark, counts)
