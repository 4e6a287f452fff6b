"""Random rooms: table, printer and agent anywhere they fit, every layout equally likely."""

import numpy as np

from vsp_envs.task import Boards
from vsp_envs.tasks.minibehaviour.rules import FLOOR, TABLE_COLS, TABLE_ROWS, furnish


def generate(level: int, count: int, rng: np.random.Generator, frozen_prob: float) -> Boards:
    """Every candidate can be solved: the free cells of a room hang together."""
    row = rng.integers(level - TABLE_ROWS + 1, size=count)
    table = row * level + rng.integers(level - TABLE_COLS + 1, size=count)
    anywhere = np.zeros(count, np.int64)
    bare = furnish(level, anywhere, table, table).flat() == FLOOR
    bare[np.arange(count), table] = False
    # The two largest of random numbers on the free cells: an ordered pair, all equally likely.
    order = np.where(bare, rng.random(bare.shape), -1.0).argsort(axis=1)
    return furnish(level, order[:, -1], order[:, -2], table)
