"""Boards for hypothesis: all that `load_layout` takes, not only what the generators make."""

from __future__ import annotations

from typing import Any

from hypothesis import assume
from hypothesis import strategies as st
from referee import KNOWS

from vsp_envs import TASKS, Layout, LayoutError, load_layout

OPPOSITE = {1: (2, -1, 0), 4: (8, 0, -1)}  # N1 S2 W4 E8: the same wall from the cell beyond it


@st.composite
def any_board(draw: st.DrawFn, highest: int = 6) -> Layout:
    """A solvable board of any task of ours, up to that level."""
    task = draw(st.sampled_from(KNOWS))
    level = draw(st.integers(TASKS[task].min_level, highest))
    data = draw({"frozenlake": lakes, "maze": mazes, "minibehaviour": rooms}[task](level))
    try:
        return load_layout(task, data)
    except LayoutError as error:
        assume("has no solution" not in str(error))
        raise


@st.composite
def lakes(draw: st.DrawFn, level: int) -> dict[str, Any]:
    """Start, goal and holes anywhere."""
    letters = draw(st.lists(st.sampled_from("FFFH"), min_size=level**2, max_size=level**2))
    start, goal = draw(_places(level**2))
    letters[start], letters[goal] = "S", "G"
    return {"map": ["".join(letters[i : i + level]) for i in range(0, level**2, level)]}


@st.composite
def mazes(draw: st.DrawFn, level: int) -> dict[str, Any]:
    """Walls anywhere: mazes with loops, halls and cells that cannot be reached."""
    walls = [[0] * level for _ in range(level)]
    for row in range(level):
        for col in range(level):
            for here, (there, up, left) in OPPOSITE.items():
                outer = row + up < 0 or col + left < 0
                if outer or draw(st.sampled_from([False, False, True])):
                    walls[row][col] |= here
                    if not outer:
                        walls[row + up][col + left] |= there
        walls[row][-1] |= 8
    walls[-1] = [mask | 2 for mask in walls[-1]]
    start, goal = (list(divmod(cell, level)) for cell in draw(_places(level**2)))
    return {"walls": walls, "start": start, "goal": goal}


@st.composite
def rooms(draw: st.DrawFn, level: int) -> dict[str, Any]:
    """Table, agent and printer anywhere."""
    top, left = draw(st.integers(0, level - 2)), draw(st.integers(0, level - 3))
    table = [[top + row, left + col] for row in range(2) for col in range(3)]
    free = [[r, c] for r in range(level) for c in range(level) if [r, c] not in table]
    start, printer = (free[i] for i in draw(_places(len(free))))
    return {"level": level, "start": start, "printer": printer, "table": table}


def _places(count: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, count - 1), min_size=2, max_size=2, unique=True)
