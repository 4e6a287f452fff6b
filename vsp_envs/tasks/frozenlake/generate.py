"""Random lakes: every cell freezes with `frozen_prob`; start and goal lie anywhere."""

import numpy as np

from vsp_envs.task import Boards
from vsp_envs.tasks.frozenlake.rules import FROZEN, GOAL, HOLE, START


def generate(level: int, count: int, rng: np.random.Generator, frozen_prob: float) -> Boards:
    """Candidates, some without a way from start to goal."""
    cells = level * level
    frozen = rng.random((count, cells)) < frozen_prob
    grid = np.where(frozen, FROZEN, HOLE).astype(np.uint8)
    start = rng.integers(cells, size=count)
    goal = (start + rng.integers(1, cells, size=count)) % cells  # anywhere but the start
    board = np.arange(count)
    grid[board, start], grid[board, goal] = START, GOAL
    return Boards("frozenlake", level, grid.reshape(-1, level, level), np.stack([start, goal], 1))
