"""Maze: walk to the goal of a perfect maze; a wall between two cells refuses the move."""

from __future__ import annotations

from collections.abc import Mapping
from operator import index
from typing import Any

import numpy as np
from gymnasium import spaces

from vsp_envs.core.grid import moves, padded, positions
from vsp_envs.core.layout import Action, Int, Layout, LayoutBatch, LayoutError, Outcome, UInt8
from vsp_envs.core.layout_io import need, read_cell
from vsp_envs.core.task import TransitionTables, check_level, get_task

NORTH, SOUTH, WEST, EAST = 1, 2, 4, 8
"""Bits of a cell's wall mask: set where a wall stands."""
WALL, START, GOAL = 1, 2, 3
"""Codes of `pattern`."""
WALL_OF = {Action.LEFT: WEST, Action.DOWN: SOUTH, Action.RIGHT: EAST, Action.UP: NORTH}
_BITS = np.array([WEST, SOUTH, EAST, NORTH])  # in the order of the actions
_OPPOSITE = np.array([EAST, NORTH, WEST, SOUTH])


def load(data: Mapping[str, Any], level: int | None = None) -> Layout:
    """`{"walls": [[masks]], "start": [r, c], "goal": [r, c]}` → layout; masks N1 S2 W4 E8."""
    need("maze", data, "walls", "start", "goal")
    try:
        walls = np.array([[index(mask) for mask in row] for row in data["walls"]], np.int64)
    except (TypeError, ValueError, OverflowError):
        raise LayoutError(f"maze walls are rows of masks, got {data['walls']!r}") from None
    if walls.ndim != 2 or walls.shape[0] != walls.shape[1] or level not in (None, len(walls)):
        raise LayoutError(f"maze walls must be square, got shape {walls.shape}")
    size = check_level(get_task("maze"), len(walls))
    _check_walls(walls)
    start, goal = read_cell(data, "start", size), read_cell(data, "goal", size)
    if start == goal:
        raise LayoutError(f"start and goal are both {start}")
    cells = tuple(row * size + col for row, col in (start, goal))
    return Layout("maze", size, walls.astype(np.uint8).tobytes(), cells)


def _check_walls(walls: np.ndarray) -> None:
    if walls.min() < 0 or walls.max() > 15:
        raise LayoutError(f"wall masks are 0 to 15 (N1 S2 W4 E8), got {walls.tolist()}")
    target, inside = moves(len(walls))
    here = (walls.reshape(-1, 1) & _BITS) > 0
    there = (walls.reshape(-1)[target] & _OPPOSITE) > 0
    if (~here & ~inside).any():
        raise LayoutError(f"the outer wall has a gap: {walls.tolist()}")
    if ((here != there) & inside).any():
        raise LayoutError(f"neighbours disagree on the wall between them: {walls.tolist()}")


def dump(layout: Layout) -> dict[str, Any]:
    """The layout as `{"walls", "start", "goal"}`."""
    return {
        "walls": layout.codes().tolist(),
        "start": list(layout.cell("start")),
        "goal": list(layout.cell("goal")),
    }


def dead_ends(layout: Layout) -> int:
    """How many cells have three walls."""
    return sum(mask.bit_count() == 3 for mask in layout.grid)


def pattern(boards: LayoutBatch) -> UInt8:
    """A (2 level + 1)² map of cells and walls: 0 free, 1 wall, 2 start, 3 goal."""
    count, level = len(boards), boards.level
    drawn = np.zeros((count, 2 * level + 1, 2 * level + 1), np.uint8)
    drawn[:, ::2, ::2] = WALL
    drawn[:, 0, 1::2] = drawn[:, 1::2, 0] = WALL
    drawn[:, 2::2, 1::2] = (boards.grid & SOUTH) > 0
    drawn[:, 1::2, 2::2] = (boards.grid & EAST) > 0
    for code, cells in ((START, boards.cells[:, 0]), (GOAL, boards.cells[:, 1])):
        row, col = np.divmod(cells, level)
        drawn[np.arange(count), 2 * row + 1, 2 * col + 1] = code
    return drawn


def transitions(boards: LayoutBatch) -> TransitionTables:
    """The rules, for many mazes at once. A state is the agent's cell."""
    target, _ = moves(boards.level)
    blocked = (boards.flat()[:, :, None] & _BITS) > 0
    goal = boards.cells[:, 1, None, None]
    outcome = np.where(target == goal, Outcome.SUCCESS, Outcome.RUNNING).astype(np.uint8)
    outcome[blocked] = Outcome.ILLEGAL
    own = np.arange(boards.level**2)[:, None]
    reason = np.broadcast_to(np.uint8(0), blocked.shape)  # walls are all that refuses a move
    return TransitionTables(np.where(blocked, own, target), outcome, reason)


def symbolic(boards: LayoutBatch, state: Int, max_level: int) -> dict[str, Any]:
    """level, walls (bit mask N1 S2 W4 E8), agent, goal."""
    return {
        "level": np.full(len(boards), boards.level),
        "walls": padded(boards.grid, max_level),
        "agent": positions(state, boards.level),
        "goal": positions(boards.cells[:, 1], boards.level),
    }


def symbolic_space(max_level: int) -> dict[str, spaces.Space[Any]]:
    """The spaces of `symbolic`."""
    return {
        "level": spaces.Discrete(max_level + 1),
        "walls": spaces.Box(0, 15, (max_level, max_level), np.uint8),
        "agent": spaces.Box(0, max_level - 1, (2,), np.int64),
        "goal": spaces.Box(0, max_level - 1, (2,), np.int64),
    }
