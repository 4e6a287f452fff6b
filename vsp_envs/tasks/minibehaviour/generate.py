"""Random rooms: table, printer and agent anywhere they fit, every layout equally likely."""

from itertools import permutations, product

import numpy as np

from vsp_envs.core.layout import LayoutBatch
from vsp_envs.core.task import RandomNumbers
from vsp_envs.tasks.minibehaviour.rules import FLOOR, TABLE_COLS, TABLE_ROWS, furnish


def sample_numbers(level: int, count: int, rng: np.random.Generator) -> RandomNumbers:
    """Row and column of the table, and a number per cell."""
    return (
        rng.integers(level - TABLE_ROWS + 1, size=count),
        rng.integers(level - TABLE_COLS + 1, size=count),
        rng.random((count, level * level)),
    )


def build(level: int, numbers: RandomNumbers) -> LayoutBatch:
    """Every candidate can be solved: the free cells of a room are connected."""
    row, col, rank = numbers
    table, anywhere = row * level + col, np.zeros(len(row), np.int64)
    bare = furnish(level, anywhere, table, table).flat() == FLOOR
    bare[np.arange(len(row)), table] = False
    # The two largest of random numbers on the free cells: an ordered pair, all equally likely.
    order = np.where(bare, rank, -1.0).argsort(axis=1)
    return furnish(level, order[:, -1], order[:, -2], table)


def size(level: int) -> int:
    """Positions of the table times ordered pairs of free cells."""
    free = level * level - TABLE_ROWS * TABLE_COLS
    return (level - TABLE_ROWS + 1) * (level - TABLE_COLS + 1) * free * (free - 1)


def every(level: int) -> LayoutBatch:
    """All rooms."""
    found = []
    for row, col in product(range(level - TABLE_ROWS + 1), range(level - TABLE_COLS + 1)):
        taken = {(row + r) * level + col + c for r in range(TABLE_ROWS) for c in range(TABLE_COLS)}
        free = [cell for cell in range(level * level) if cell not in taken]
        found += [(*pair, row * level + col) for pair in permutations(free, 2)]
    return furnish(level, *np.array(found).T)


def difficulty(level: int) -> tuple[int, int]:
    """Longest shortest plan that the reference (MGSD) calls easy, and that it calls medium."""
    return level - 1, level + 1
