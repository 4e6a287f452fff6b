"""Random lakes: every cell freezes with `frozen_prob`; start and goal lie anywhere."""

import numpy as np

from vsp_envs.task import Boards, Chance
from vsp_envs.tasks.frozenlake.rules import FROZEN, GOAL, HOLE, START


def draw(level: int, count: int, rng: np.random.Generator) -> Chance:
    """A number per cell, the start, and how many cells further on the goal lies."""
    cells = level * level
    return (
        rng.random((count, cells)),
        rng.integers(cells, size=count),
        rng.integers(1, cells, size=count),
    )


def build(level: int, chance: Chance, frozen_prob: float) -> Boards:
    """Candidates, some without a way from start to goal."""
    ice, start, onward = chance
    grid = np.where(ice < frozen_prob, FROZEN, HOLE).astype(np.uint8)
    goal = (start + onward) % (level * level)  # anywhere but the start
    board = np.arange(len(start))
    grid[board, start], grid[board, goal] = START, GOAL
    return Boards("frozenlake", level, grid.reshape(-1, level, level), np.stack([start, goal], 1))
