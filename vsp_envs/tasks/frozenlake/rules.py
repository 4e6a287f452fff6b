"""FrozenLake: cross the ice to the goal; a hole ends it, the edge of the lake refuses the move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from gymnasium import spaces

from vsp_envs.core.grid import moves, padded, positions
from vsp_envs.core.layout import Int, Layout, LayoutBatch, LayoutError, Outcome, UInt8
from vsp_envs.core.layout_io import need
from vsp_envs.core.task import TransitionTables, check_level, get_task

FROZEN, HOLE, GOAL, START = 1, 2, 3, 4
"""Codes of the grid, in layouts and in observations alike."""
LETTERS = {FROZEN: "F", HOLE: "H", GOAL: "G", START: "S"}
_CODES = {letter: code for code, letter in LETTERS.items()}


def load(data: Mapping[str, Any], level: int | None = None) -> Layout:
    """`{"map": ["SFF", "FHF", "FFG"]}` → layout. Rows may be strings or lists of letters.

    Letters may be bytes, as in the `desc` of Gymnasium's FrozenLake.
    """
    need("frozenlake", data, "map")
    try:
        rows = [_row(row) for row in data["map"]]
        size = check_level(get_task("frozenlake"), len(rows))
        grid = bytes(_CODES[letter] for row in rows for letter in row)
    except KeyError as error:
        raise LayoutError(f"a FrozenLake map is rows of S, F, H and G; got {error}") from None
    except TypeError:
        raise LayoutError(f"a FrozenLake map is a list of rows, got {data['map']!r}") from None
    if any(len(row) != size for row in rows) or level not in (None, size):
        raise LayoutError(f"the map must be square with side {level or size}, got rows {rows}")
    if grid.count(START) != 1 or grid.count(GOAL) != 1:
        raise LayoutError(f"a FrozenLake map has one S and one G, got rows {rows}")
    return Layout("frozenlake", size, grid, (grid.index(START), grid.index(GOAL)))


def _row(letters: Any) -> str:
    if isinstance(letters, bytes):
        return letters.decode("latin-1")
    return "".join(_row(each) if isinstance(each, bytes) else each for each in letters)


def dump(layout: Layout) -> dict[str, Any]:
    """The layout as `{"map": rows}`."""
    return {"map": rows(layout)}


def rows(layout: Layout) -> list[str]:
    """The map as one string of letters per row."""
    letters = "".join(LETTERS[code] for code in layout.grid)
    return [letters[i : i + layout.level] for i in range(0, len(letters), layout.level)]


def in_state(layout: Layout, phase: int, agent: int) -> Layout:
    """The lake with the player in another cell; S stands for the player."""
    start, goal = layout.cells
    grid = bytearray(layout.grid)
    grid[start], grid[agent] = FROZEN, START
    return replace(layout, grid=bytes(grid), cells=(agent, goal))


def holes(layout: Layout) -> int:
    """How many holes the lake has."""
    return layout.grid.count(HOLE)


def pattern(boards: LayoutBatch) -> UInt8:
    """The grid itself."""
    return boards.grid


def transitions(boards: LayoutBatch) -> TransitionTables:
    """The rules, for many lakes at once. A state is the agent's cell."""
    target, inside = moves(boards.level)
    landed = boards.flat()[:, target]  # [board, cell, 4]
    outcome = np.full(landed.shape, Outcome.RUNNING, np.uint8)
    outcome[landed == HOLE] = Outcome.FAILURE
    outcome[landed == GOAL] = Outcome.SUCCESS
    outcome[:, ~inside] = Outcome.ILLEGAL
    reason = np.broadcast_to(np.uint8(0), landed.shape)  # the edge is all that refuses a move
    return TransitionTables(np.broadcast_to(target, landed.shape), outcome, reason)


def symbolic(boards: LayoutBatch, state: Int, max_level: int) -> dict[str, Any]:
    """level, grid {0 pad, 1 frozen, 2 hole, 3 goal, 4 start}, agent, goal."""
    return {
        "level": np.full(len(boards), boards.level),
        "grid": padded(boards.grid, max_level),
        "agent": positions(state, boards.level),
        "goal": positions(boards.cells[:, 1], boards.level),
    }


def symbolic_space(max_level: int) -> dict[str, spaces.Space[Any]]:
    """The spaces of `symbolic`."""
    return {
        "level": spaces.Discrete(max_level + 1),
        "grid": spaces.Box(0, 4, (max_level, max_level), np.uint8),
        "agent": spaces.Box(0, max_level - 1, (2,), np.int64),
        "goal": spaces.Box(0, max_level - 1, (2,), np.int64),
    }
