"""Public test sets in their own formats → layouts, each checked by the solver. Nothing is shipped.

VSP's FrozenLake (UCSB, MIT) is a folder of text tables; VisualPlanning (arXiv 2505.11409, MIT) has
a `test_dataset.jsonl` per task.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vsp_envs.solve import shortest_plan
from vsp_envs.task import Layout, LayoutError, load_layout

_VSP_LETTERS = {"@": "S", "*": "G", "#": "H", "_": "F"}
_WALLS = {"north": 1, "south": 2, "west": 4, "east": 8}
_TABLE, _ROWS = "table/*.txt", "test_dataset.jsonl"


def read_benchmark(path: Path) -> list[Layout]:
    """The boards of a public file, or of all files below a folder, in the order of their names.

    Raises ValueError that names the file and, in a `.jsonl`, the line of a bad board.
    """
    files = [path] if path.is_file() else [*path.rglob(_TABLE), *path.rglob(_ROWS)]
    layouts = [layout for file in sorted(files, key=_in_order) for layout in _read(file)]
    if not layouts:
        raise ValueError(
            f"no boards at {path}; a benchmark is a folder with VSP's {_TABLE} or VisualPlanning's "
            f"{_ROWS} below it, or one such file"
        )
    return layouts


def read_vsp_table(text: str) -> Layout:
    """A VSP FrozenLake table: rows such as `| Row 1 | @ | _ | # |`. Raises LayoutError."""
    rows = [line.strip().strip("|").split("|")[1:] for line in text.strip().splitlines()[1:]]
    letters = [[_VSP_LETTERS.get(cell.strip(), cell.strip()) for cell in row] for row in rows]
    return load_layout("frozenlake", {"map": letters})


def read_visualplanning_row(row: Mapping[str, Any]) -> Layout:
    """A row of VisualPlanning, which task it is of shows in its `meta`.

    Raises LayoutError, also where the row's own shortest way (`input_state`) has another length
    than ours.
    """
    try:
        meta = row["meta"]
        layout = _room(meta) if "table_pos" in meta else _cells(meta)
        given = len(row["input_state"]) - 1
    except (KeyError, IndexError, TypeError) as error:
        raise LayoutError(f"not a row of VisualPlanning ({error!r})") from None
    found = len(shortest_plan(layout) or [])
    if found != given:
        raise LayoutError(f"its way has {given} steps, but the shortest has {found}")
    return layout


def _room(meta: Mapping[str, Any]) -> Layout:
    places = {"start": "start_pos", "printer": "printer_pos", "table": "table_pos"}
    data = {name: meta[place] for name, place in places.items()}
    return load_layout("minibehaviour", data | {"table": sorted(data["table"])}, meta["level"])


def _cells(meta: Mapping[str, Any]) -> Layout:
    grid, level = meta["layout"], meta["level"]
    if isinstance(grid[0][0], str):
        return load_layout("frozenlake", {"map": grid}, level)
    walls = [[sum(bit for side, bit in _WALLS.items() if cell[side]) for cell in r] for r in grid]
    ends = {"start": divmod(meta["start_pos"], level), "goal": divmod(meta["target_pos"], level)}
    return load_layout("maze", {"walls": walls, **ends}, level)


def _read(file: Path) -> Iterator[Layout]:
    if file.suffix != ".jsonl":
        try:
            yield read_vsp_table(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from None
        return
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        try:
            yield read_visualplanning_row(json.loads(line))
        except ValueError as error:
            raise ValueError(f"{file}, line {number}: {error}") from None


def _in_order(file: Path) -> list[tuple[int, str]]:
    """Numbers in names count as numbers: level10 comes after level9."""
    return [(int(part or 0), word) for word, part in re.findall(r"(\D*)(\d*)", str(file))]
