"""Pixels back to the state: every picture says all that the symbolic observation says."""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import pytest
from test_referee import described

from vsp_envs import TASKS, LayoutSpec, draw_distinct, render
from vsp_envs.rendering.renderer import MAX_IMAGE_SIZE, MIN_IMAGE_SIZE, cell_picture

LAKE_AGENT, PLAYER, GOAL, ROOM_AGENT, CARRYING = 8, 16, 32, 8, 16
MASKS = range(15)  # a cell with all four walls is not in any maze
CODES = {
    "frozenlake": [code + agent for code in (1, 2, 3, 4) for agent in (0, LAKE_AGENT)],
    "maze": [mask + mark for mask in MASKS for mark in (0, 16, 32, 48, 64, 80)],
    "minibehaviour": [1, 2, 3, 4, 1 + ROOM_AGENT, 1 + ROOM_AGENT + CARRYING],
}  # a cell's appearance: what is in it, and who; 64 is a start, which not every theme shows
Codes = list[list[set[int]]]


@lru_cache(maxsize=256)
def table(
    task: str, theme: str, level: int, size: int, row_rest: int, col_rest: int
) -> dict[bytes, set[int]]:
    """What each picture of a cell can mean."""
    meanings = defaultdict(set)
    for code in CODES[task]:
        picture = cell_picture(task, theme, level, size, row_rest, col_rest, code)
        meanings[picture.tobytes()].add(code)
    return dict(meanings)


def look_up(image: np.ndarray, task: str, theme: str, level: int) -> Codes:
    """What each cell of a picture can mean."""
    size, cells = len(image), range(level)

    def meaning(row: int, col: int) -> set[int]:
        top, left = row * size // level, col * size // level
        cell = image[top : (row + 1) * size // level, left : (col + 1) * size // level]
        rests = row * size % level, col * size % level
        return table(task, theme, level, size, *rests)[cell.tobytes()]

    return [[meaning(row, col) for col in cells] for row in cells]


def only(found: Any) -> Any:
    [one] = found
    return one


def read_frozenlake(codes: Codes) -> dict[str, Any]:
    cells = {(r, c): only(code) for r, row in enumerate(codes) for c, code in enumerate(row)}
    grid = [[cells[r, c] % LAKE_AGENT for c in range(len(codes))] for r in range(len(codes))]
    agent = only(place for place, code in cells.items() if code >= LAKE_AGENT)
    goal = only(place for place, code in cells.items() if code % LAKE_AGENT == 3)
    return {"grid": grid, "agent": list(agent), "goal": list(goal)}


def read_maze(codes: Codes) -> dict[str, Any]:
    """Walls as both their sides agree: in small pictures one side alone may not tell."""
    places = list(product(range(len(codes)), repeat=2))
    masks = {(r, c): {code % 16 for code in codes[r][c]} for r, c in places}
    left = 0
    while left != (left := sum(map(len, masks.values()))):
        for place in places:
            masks[place] = {mask for mask in masks[place] if _fits(mask, place, masks)}
    marks = {(r, c): only({code & (PLAYER | GOAL) for code in codes[r][c]}) for r, c in places}
    return {
        "walls": [[only(masks[r, c]) for c in range(len(codes))] for r in range(len(codes))],
        "agent": list(only(place for place in places if marks[place] & PLAYER)),
        "goal": list(only(place for place in places if marks[place] & GOAL)),
    }


def _fits(mask: int, place: tuple[int, int], masks: dict[tuple[int, int], set[int]]) -> bool:
    """Whether some reading of each neighbour has the same wall between; around all stands one."""
    row, col = place
    for here, up, left, there in ((1, -1, 0, 2), (2, 1, 0, 1), (4, 0, -1, 8), (8, 0, 1, 4)):
        beyond = masks.get((row + up, col + left), {15})
        if not any(bool(mask & here) == bool(other & there) for other in beyond):
            return False
    return True


def read_minibehaviour(codes: Codes) -> dict[str, Any]:
    cells = {(r, c): only(code) for r, row in enumerate(codes) for c, code in enumerate(row)}
    grid = [[{4: 2}.get(cells[r, c] % 8, cells[r, c] % 8) for c in range(len(codes))]
            for r in range(len(codes))]  # fmt: skip
    agent = only(place for place, code in cells.items() if code & ROOM_AGENT)
    carrying = bool(cells[agent] & CARRYING)
    printers = [place for place, code in cells.items() if code in (3, 4)]
    table_cells = [place for place, code in cells.items() if code in (2, 4)]
    return {
        "grid": grid,
        "agent": list(agent),
        "printer": [-1, -1] if carrying else list(only(printers)),
        "table": list(min(table_cells)),
        "carrying": int(carrying),
    }


READERS = {
    "frozenlake": read_frozenlake,
    "maze": read_maze,
    "minibehaviour": read_minibehaviour,
}
THEMES = [(task, theme) for task in READERS for theme in TASKS[task].themes]


@pytest.mark.parametrize(("task", "theme"), THEMES)
def test_a_perceiver_recovers_every_state_from_its_picture(
    task: str, theme: str, long: bool, record_property: Any
) -> None:
    """Pictures of sampled sizes and every state of drawn boards, read back cell by cell by table
    look-up."""
    draw, seen, levels = np.random.default_rng(0), 0, TASKS[task].paper_levels
    largest = MAX_IMAGE_SIZE if long else 256
    drawn = np.exp(draw.uniform(*np.log([MIN_IMAGE_SIZE, largest]), 60 if long else 4))
    sizes = sorted({MIN_IMAGE_SIZE, largest, *map(int, drawn)})
    for size in sizes:
        level = int(draw.choice(levels if long else levels[:2]))
        for layout in draw_distinct(LayoutSpec(task, level), 6 if long else 1, size):
            for state, truth in list(described(layout))[:: 1 if size < 512 else 7]:
                codes = look_up(render(layout, size, theme, state), task, theme, level)
                assert {"level": level, **READERS[task](codes)} == truth, (layout, state, size)
                seen += 1
    record_property("pictures", seen)
    record_property("sizes", len(sizes))
