"""Random rooms: a wall with a door separates agent and key from the goal."""

from itertools import permutations, product

import numpy as np

from vsp_envs.core.layout import LayoutBatch
from vsp_envs.core.task import RandomNumbers

from .rules import DOOR, FLOOR, GOAL, KEY, WALL


def sample_numbers(level: int, count: int, rng: np.random.Generator) -> RandomNumbers:
    """Whether the wall lies across, its line, the door's row in it, the agent's side, and a number
    per cell.
    """
    return (
        rng.integers(2, size=count),
        rng.integers(1, level - 1, size=count),
        rng.integers(level, size=count),
        rng.integers(2, size=count),
        rng.random((count, level * level)),
    )


def build(level: int, numbers: RandomNumbers) -> LayoutBatch:
    """Every candidate can be solved: nothing stands in a room but the key."""
    across, line, door, side, rank = numbers
    col = np.arange(level * level) % level
    left, right = col < line[:, None], col > line[:, None]
    near = np.where(side[:, None] == 0, left, right)
    # The two largest of random numbers on the agent's side: an ordered pair, all equally likely.
    order = np.where(near, rank, -1.0).argsort(axis=1)
    goal = np.where((left | right) & ~near, rank, -1.0).argmax(axis=1)
    return furnish(level, across, line, door, order[:, -1], order[:, -2], goal)


def furnish(
    level: int,
    across: np.ndarray,
    line: np.ndarray,
    door: np.ndarray,
    start: np.ndarray,
    key: np.ndarray,
    goal: np.ndarray,
) -> LayoutBatch:
    """Boards from int64[board] each: the wall fills column `line`, the door stands in its row
    `door`, the others are flat cells. Where `across` is 1, rows and columns change places.
    """
    board = np.arange(len(line))
    grid = np.full((len(line), level, level), FLOOR, np.uint8)
    grid[board, :, line] = WALL
    cells = np.stack([start, key, door * level + line, goal], 1)
    for landmark, code in enumerate((KEY, DOOR, GOAL), start=1):
        grid.reshape(len(line), -1)[board, cells[:, landmark]] = code
    turned, (row, col) = across == 1, np.divmod(cells, level)
    grid[turned] = grid[turned].transpose(0, 2, 1)
    cells[turned] = (col * level + row)[turned]
    return LayoutBatch("keydoor", level, grid, cells)


def size(level: int) -> int:
    """Directions of the wall × rows of the door × cells of agent, key and goal beside each wall."""
    both = 0
    for line in range(1, level - 1):
        left, right = level * line, level * (level - 1 - line)
        both += left * (left - 1) * right + right * (right - 1) * left
    return 2 * level * both


def every(level: int) -> LayoutBatch:
    """All boards."""
    found = []
    for across, line, door in product(range(2), range(1, level - 1), range(level)):
        left = [cell for cell in range(level * level) if cell % level < line]
        right = [cell for cell in range(level * level) if cell % level > line]
        for near, far in ((left, right), (right, left)):
            for (start, key), goal in product(permutations(near, 2), far):
                found.append((across, line, door, start, key, goal))
    return furnish(level, *np.array(found).T)
