"""Layouts from JSON data, checked: from users, files and public test sets."""

from __future__ import annotations

from collections.abc import Mapping
from operator import index
from typing import Any

from vsp_envs.core.layout import Cell, Layout, LayoutError
from vsp_envs.core.solver import shortest_plan
from vsp_envs.core.task import get_task


def load_layout(task: str, data: Mapping[str, Any], level: int | None = None) -> Layout:
    """A layout from JSON data, checked and solvable.

    FrozenLake: `{"map": ["SFF", "FHF", "FFG"]}`. Maze: `{"walls": [[masks]], "start": [r, c],
    "goal": [r, c]}`, masks N1 S2 W4 E8. MiniBehaviour: `{"start", "printer", "table": six cells}`
    with the side of the room in `level` or in `data["level"]`; without either it is the smallest
    of the paper's levels that holds every cell. Raises LayoutError naming what is wrong.
    """
    if not isinstance(data, Mapping):
        raise LayoutError(
            f"a {task} layout is a mapping, not {type(data).__name__}; FrozenLake's is such as "
            '{"map": ["SF", "FG"]}, and `Layout.to_data()` shows the others'
        )
    layout = get_task(task).load(data, level)
    if shortest_plan(layout) is None:
        raise LayoutError(f"this {task} layout has no solution: {layout.to_data()}")
    return layout


def need(task: str, data: Mapping[str, Any], *names: str) -> None:
    """Raises a LayoutError that says which of the names a layout's data does not hold."""
    missing = ", ".join(name for name in names if name not in data)
    if missing:
        raise LayoutError(f"a {task} layout holds {', '.join(names)}; this one lacks {missing}")


def read_cell(data: Mapping[str, Any], name: str, level: int) -> Cell:
    """`data[name]`, which is there, as a cell of a board of that side. Raises LayoutError."""
    try:
        row, col = map(index, data[name])
    except (TypeError, ValueError):
        raise LayoutError(f"{name} must be [row, col], got {data[name]!r}") from None
    if not (0 <= row < level and 0 <= col < level):
        raise LayoutError(f"{name} ({row},{col}) is outside the {level}×{level} board")
    return Cell(row, col)
