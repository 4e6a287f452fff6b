"""Geometry and arrays that the tasks' rules share, and the transition tables of any boards."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vsp_envs.core.layout import Bool, Int, LayoutBatch, UInt8
from vsp_envs.core.task import TransitionTables, get_task

STEPS = ((0, -1), (1, 0), (0, 1), (-1, 0))
"""(row, col) change of LEFT, DOWN, RIGHT, UP."""


class Moves(NamedTuple):
    """The four moves on an empty board: where they lead, and whether they stay on the board."""

    target: Int  # [cell, 4]; the cell itself where the move would leave the board
    inside: Bool  # [cell, 4]


@lru_cache(maxsize=64)
def moves(level: int) -> Moves:
    """Moves on a level × level board. The arrays are shared: do not write to them."""
    row, col = np.divmod(np.arange(level * level), level)
    to_row = row[:, None] + np.array([step[0] for step in STEPS])
    to_col = col[:, None] + np.array([step[1] for step in STEPS])
    inside = (to_row >= 0) & (to_row < level) & (to_col >= 0) & (to_col < level)
    own = np.arange(level * level)[:, None]
    return Moves(np.where(inside, to_row * level + to_col, own), inside)


def beside(level: int, marked: Bool) -> Bool:
    """bool[board, cell]: which cells have a 4-neighbour in `marked` bool[board, cell]."""
    target, inside = moves(level)
    return np.asarray((marked[:, target] & inside).any(axis=2))


def transitions(boards: LayoutBatch) -> TransitionTables:
    """The transition tables of boards of any task."""
    return get_task(boards.task).transitions(boards)


def positions(state: Int, level: int) -> Int:
    """(row, col) of the cell of each state: int64[board, 2]."""
    return np.stack(np.divmod(state % level**2, level), 1)


def padded(grid: UInt8, max_level: int) -> UInt8:
    """Grids with zeros to the right and below, as a fresh uint8[board, max_level, max_level]."""
    whole = np.zeros((len(grid), max_level, max_level), np.uint8)
    whole[:, : grid.shape[1], : grid.shape[2]] = grid
    return whole


def items(array: NDArray[Any]) -> NDArray[np.void]:
    """The last axis as one item, which NumPy copies several times faster."""
    return array.view(np.dtype((np.void, array.shape[-1] * array.itemsize)))[..., 0]
