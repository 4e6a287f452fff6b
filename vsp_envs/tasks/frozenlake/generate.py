"""Random lakes: every cell freezes with `frozen_prob`; start and goal lie anywhere."""

from itertools import permutations

import numpy as np

from vsp_envs.core.layout import LayoutBatch
from vsp_envs.core.task import RandomNumbers
from vsp_envs.tasks.frozenlake.rules import FROZEN, GOAL, HOLE, START


def sample_numbers(level: int, count: int, rng: np.random.Generator) -> RandomNumbers:
    """A number per cell, the start, and how many cells further on the goal lies."""
    cells = level * level
    return (
        rng.random((count, cells)),
        rng.integers(cells, size=count),
        rng.integers(1, cells, size=count),
    )


def build(level: int, numbers: RandomNumbers, frozen_prob: float) -> LayoutBatch:
    """Candidates, some without a way from start to goal."""
    ice, start, onward = numbers
    grid = np.where(ice < frozen_prob, FROZEN, HOLE).astype(np.uint8)
    goal = (start + onward) % (level * level)  # anywhere but the start
    board = np.arange(len(start))
    grid[board, start], grid[board, goal] = START, GOAL
    return LayoutBatch(
        "frozenlake", level, grid.reshape(-1, level, level), np.stack([start, goal], 1)
    )


def size(level: int) -> int:
    """Ordered pairs of start and goal times ice or hole in each of the other cells."""
    cells = level * level
    return cells * (cells - 1) * int(2 ** (cells - 2))


def every(level: int) -> LayoutBatch:
    """All lakes, however likely `frozen_prob` makes them."""
    cells = level * level
    ice = np.arange(2 ** (cells - 2))[:, None] >> np.arange(cells - 2) & 1
    boards = []
    for start, goal in permutations(range(cells), 2):
        rest = [cell for cell in range(cells) if cell not in (start, goal)]
        grid = np.empty((len(ice), cells), np.uint8)
        grid[:, rest], grid[:, start], grid[:, goal] = np.where(ice, FROZEN, HOLE), START, GOAL
        boards.append(grid)
    cell_pairs = np.array(list(permutations(range(cells), 2)))
    return LayoutBatch("frozenlake", level, np.concatenate(boards).reshape(-1, level, level),
                  cell_pairs.repeat(len(ice), axis=0))  # fmt: skip
