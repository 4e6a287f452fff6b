"""Public test sets in their own formats → layouts, each checked by the solver. Nothing is shipped.

VSP's FrozenLake (UCSB, MIT) is a folder of text tables with pictures beside them; VisualPlanning
(arXiv 2505.11409, MIT) has a `test_dataset.jsonl` per task; DiffThinker (arXiv 2512.24165) has
tables like VSP's and mazes as rows of wall masks, up to a side of 32.
"""

from __future__ import annotations

import json
import os
import re
import sys
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from vsp_envs.core.layout import Layout, LayoutBatch, LayoutError, canonical_ids
from vsp_envs.core.layout_io import load_layout
from vsp_envs.core.solver import shortest_plan
from vsp_envs.tasks.maze.rules import EAST, NORTH, SOUTH, WEST
from vsp_envs.utils.choices import pick_name
from vsp_envs.utils.files import MOST_BYTES, decoded, storable
from vsp_envs.utils.words import counted

_VSP_LETTERS = {"@": "S", "*": "G", "#": "H", "_": "F"}
_WALLS = {"north": NORTH, "south": SOUTH, "west": WEST, "east": EAST}
_TABLE, _ROWS, _MAZES = "table/*.txt", "test_dataset.jsonl", "Maze/*_test/*.txt"
_BOARD = re.compile(r"\s*[|\d]")
"""How the text of a board begins; a README beside the boards does not."""
FORMATS = {"vsp": (_TABLE,), "visualplanning": (_ROWS,), "diffthinker": (_TABLE, _MAZES)}
"""Name of a public set → its files, below whatever folder it was unpacked to. Capitals or small
letters are all one, on every system."""
_PICTURES = (".png", ".jpg", ".jpeg")


class PublicBoard(NamedTuple):
    """A board of a public set."""

    layout: Layout
    source: str
    """Its file, relative to the folder that was read; for a `.jsonl` also the line."""
    picture: Path | None = None
    """The set's own picture of the board, if there is one."""


def read_benchmark(path: Path) -> list[Layout]:
    """The boards of a public file, or of all files below a folder, in the order of their names.

    Raises ValueError that names the file and, in a `.jsonl`, the line of a bad board.
    """
    return [board.layout for board in read_boards(path)]


def read_boards(path: Path, name: str = "") -> list[PublicBoard]:
    """Like `read_benchmark`, with where each board is from; `name` is one of FORMATS, or any."""
    path = Path(os.path.expanduser(path))  # a shell leaves the `~` of `vsp:~/maps` as it is
    patterns = FORMATS[pick_name("benchmark", name, FORMATS)] if name else (_TABLE, _ROWS, _MAZES)
    found = [path] if path.is_file() else _find(path, patterns)
    pictures = cache(_pictures)
    boards = [board for file in found for board in _read(file, path, pictures)]
    if not boards:
        raise ValueError(
            f"no boards at {path}; a benchmark is a folder with {' or '.join(patterns)} below it, "
            "or one such file"
        )
    return boards


def _find(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """The files of boards below a folder, in order; others that lie among them are named.

    The folder may itself be a part of a pattern, such as `table`.
    """
    endings = {Path(each).suffix for each in patterns}
    below = (file for file in _below(folder) if file.suffix.lower() in endings)
    alike = [file for file in below if _matches(file, patterns)]
    boards = [file for file in alike if _may_hold_boards(file, folder)]
    if len(boards) < len(alike):
        names = sorted(storable(str(file)) for file in {*alike} - {*boards})
        shown = ", ".join(names[:3]) + ", …" * (len(names) > 3)
        print(f"skipped {counted(len(names), 'file')} without a board: {shown}", file=sys.stderr)
    return sorted(boards, key=_in_order)


def _below(folder: Path) -> Iterator[Path]:
    """All that lies below a folder, also behind links; a folder that is met again is left out."""
    seen = set()
    for here, folders, files in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(here)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        yield from (Path(here, name) for name in (*folders, *files))


def _matches(file: Path, patterns: Sequence[str]) -> bool:
    path = PurePath(str(file.absolute()).lower())
    return any(path.match(each.lower()) for each in patterns)


def _is_rows(file: Path) -> bool:
    return file.suffix.lower() == ".jsonl"


def _may_hold_boards(file: Path, folder: Path) -> bool:
    """Whether it is neither a Mac's shadow of a file, nor empty, nor a text about the boards."""
    parts = file.relative_to(folder).parts
    if not file.is_file() or any(part[0] == "." or part == "__MACOSX" for part in parts):
        return False
    with file.open("rb") as opened:
        head = opened.read(4096)
    if _is_rows(file) or not head.strip():
        return bool(head.strip())
    return bool(_BOARD.match(decoded(head, errors="replace")))


def benchmark_ids(path: Path, name: str = "") -> frozenset[str]:
    """Canonical hashes of a public set's boards, which their rotations and reflections share.

    A training stream that excludes them never shows a test board. `path` and `name` are those of
    `read_boards`.
    """
    by_level: dict[tuple[str, int], list[Layout]] = {}
    for layout, *_ in read_boards(path, name):
        by_level.setdefault((layout.task, layout.level), []).append(layout)
    return frozenset(
        each for group in by_level.values() for each in canonical_ids(LayoutBatch.stack(group))
    )


def read_vsp_table(text: str) -> Layout:
    """A VSP FrozenLake table: rows such as `| Row 1 | @ | _ | # |`. Raises LayoutError."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not is_rule(line)]
    rows = [line.strip("|").split("|")[1:] for line in lines[1:]]
    letters = [[_VSP_LETTERS.get(cell.strip(), cell.strip()) for cell in row] for row in rows]
    return load_layout("frozenlake", {"map": letters})


def is_rule(line: str) -> bool:
    """Whether a line is the rule under a table's head in Markdown, `|---|:-:|`."""
    return "-" in line and not line.strip(" \t|:-")


def read_visualplanning_row(row: Mapping[str, Any]) -> Layout:
    """A row of VisualPlanning; its `meta` tells the task.

    Raises LayoutError, also if the row's own shortest plan (`input_state`) differs in length from
    ours.
    """
    try:
        meta = row["meta"]
        layout = _room(meta) if "table_pos" in meta else _cells(meta)
        given = len(row["input_state"]) - 1
    except (LookupError, TypeError, ArithmeticError) as error:
        raise LayoutError(f"not a row of VisualPlanning ({error!r})") from None
    found = len(shortest_plan(layout) or [])
    if found != given:
        raise LayoutError(f"its way has {counted(given, 'step')}, but the shortest has {found}")
    return layout


def _room(meta: Mapping[str, Any]) -> Layout:
    keys = {"start": "start_pos", "printer": "printer_pos", "table": "table_pos"}
    data = {name: meta[key] for name, key in keys.items()}
    return load_layout("minibehaviour", data | {"table": sorted(data["table"])}, meta["level"])


def _cells(meta: Mapping[str, Any]) -> Layout:
    grid, level = meta["layout"], meta["level"]
    if isinstance(grid[0][0], str):
        return load_layout("frozenlake", {"map": grid}, level)
    walls = [[sum(bit for side, bit in _WALLS.items() if cell[side]) for cell in r] for r in grid]
    ends = {"start": divmod(meta["start_pos"], level), "goal": divmod(meta["target_pos"], level)}
    return load_layout("maze", {"walls": walls, **ends}, level)


def read_diffthinker_maze(text: str) -> Layout:
    """A DiffThinker maze: the side, `row col` of start and goal, then rows of wall masks.

    Raises LayoutError.
    """
    try:
        [[level], start, goal, *walls] = [
            [int(each) for each in line.split()] for line in text.splitlines() if line.strip()
        ]
    except ValueError as error:
        raise LayoutError(f"not a DiffThinker maze ({error})") from None
    return load_layout("maze", {"walls": walls, "start": start, "goal": goal}, level)


def _pictures(tables: Path) -> dict[str, Path]:
    """The name of a table → its picture, from the folder `img` beside the folder of tables."""
    folders = (each for each in tables.parent.iterdir() if each.name.lower() == "img")
    inside = (file for folder in folders if folder.is_dir() for file in folder.iterdir())
    files = [file for file in inside if file.is_file()]
    return {
        file.stem: file
        for kind in reversed(_PICTURES)  # the first kind counts
        for file in files
        if file.suffix.lower() == kind
    }


def _read(
    file: Path, root: Path, pictures: Callable[[Path], Mapping[str, Path]]
) -> Iterator[PublicBoard]:
    if file.stat().st_size > MOST_BYTES:
        raise ValueError(f"{file}: {file.stat().st_size} bytes are too many for a file of boards")
    source = storable(str(file.relative_to(root)) if file != root else file.name)
    if not _is_rows(file):
        try:
            text = decoded(file.read_bytes())
            read = read_vsp_table if text.lstrip().startswith("|") else read_diffthinker_maze
            yield PublicBoard(read(text), source, pictures(file.absolute().parent).get(file.stem))
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from None
        return
    lines = file.read_bytes().removeprefix(BOM_UTF8).splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield PublicBoard(read_visualplanning_row(json.loads(line)), f"{source}:{number}")
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{file}, line {number}: {error}") from None


def _in_order(file: Path) -> list[tuple[int, str]]:
    """Numbers in names count as numbers: level10 comes after level9."""
    return [(int(part or 0), word) for word, part in re.findall(r"(\D*)(\d*)", str(file))]
