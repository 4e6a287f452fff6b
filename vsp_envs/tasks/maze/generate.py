"""Random perfect mazes by depth-first search, all mazes of a batch in lockstep."""

import math
from itertools import combinations, permutations

import numpy as np

from vsp_envs.core.grid import moves
from vsp_envs.core.layout import LayoutBatch
from vsp_envs.core.task import RandomNumbers
from vsp_envs.tasks.maze.rules import EAST, NORTH, SOUTH, WEST

_WALLS = np.array([WEST, SOUTH, EAST, NORTH], np.uint8)  # in the order of the actions
_BEHIND = np.array([EAST, NORTH, WEST, SOUTH], np.uint8)  # the same wall from the other side


def sample_numbers(level: int, count: int, rng: np.random.Generator) -> RandomNumbers:
    """The first cell to carve, four numbers per step, the start, and the steps on to the goal."""
    cells = level * level
    first = rng.integers(cells, size=count)
    # Each step enters a new cell or goes back one: every maze is complete after 2(cells - 1) steps.
    steps = rng.random((2 * (cells - 1), count, 4))
    start, onward = rng.integers(cells, size=count), rng.integers(1, cells, size=count)
    return first, np.moveaxis(steps, 1, 0), start, onward


def build(level: int, numbers: RandomNumbers) -> LayoutBatch:
    """Spanning trees with start and goal anywhere; all of them solvable."""
    first, steps, start, onward = numbers
    walls = _carve(level, first, np.moveaxis(steps, 1, 0))
    goal = (start + onward) % (level * level)  # anywhere but the start
    return LayoutBatch("maze", level, walls.reshape(-1, level, level), np.stack([start, goal], 1))


def size(level: int) -> int:
    """Spanning trees of the grid (by Kirchhoff's theorem) times ordered pairs of start and goal.

    Carving depth first makes some of the trees only: 88 of 192 at level 3.
    """
    wave = 2 - 2 * np.cos(np.pi * np.arange(level) / level)
    factors = (wave[:, None] + wave).ravel()[1:]
    cells = level * level
    trees: int = round(math.prod(factors.tolist()) / cells)
    return trees * cells * (cells - 1)


def every(level: int) -> LayoutBatch:
    """All perfect mazes, including those that depth-first carving cannot make."""
    cells = level * level
    target, inside = moves(level)
    borders = [(cell, move) for cell in range(cells) for move in (1, 2) if inside[cell, move]]
    trees = []
    for opened in combinations(borders, cells - 1):
        walls, group = np.full(cells, 15, np.uint8), list(range(cells))
        for cell, move in opened:
            other = target[cell, move]
            walls[cell] &= ~_WALLS[move]
            walls[other] &= ~_BEHIND[move]
            old, new = group[other], group[cell]
            group = [new if each == old else each for each in group]
        if len(set(group)) == 1:
            trees.append(walls.reshape(level, level))
    pairs = np.array(list(permutations(range(cells), 2)))
    grid = np.repeat(np.array(trees), len(pairs), axis=0)
    return LayoutBatch("maze", level, grid, np.tile(pairs, (len(trees), 1)))


def difficulty(level: int) -> tuple[int, int]:
    """Longest shortest plan that the reference (MGSD) calls easy, and that it calls medium."""
    return max(1, level // 2), level


def _carve(level: int, here: np.ndarray, steps: np.ndarray) -> np.ndarray:
    count, cells = len(here), level * level
    target, inside = moves(level)
    walls = np.full((count, cells), 15, np.uint8)
    visited = np.zeros((count, cells), bool)
    stack = np.zeros((count, cells), np.int64)
    depth = np.zeros(count, np.int64)
    board = np.arange(count)
    visited[board, here], stack[:, 0] = True, here
    for numbers in steps:
        fresh = inside[here] & ~visited[board[:, None], target[here]]  # [board, 4]
        # Argmax of random numbers picks one of the fresh neighbours, each equally likely.
        move = np.where(fresh, numbers, -1.0).argmax(axis=1)
        enter = fresh.any(axis=1)
        b, to, by = board[enter], target[here, move][enter], move[enter]
        walls[b, here[enter]] &= ~_WALLS[by]
        walls[b, to] &= ~_BEHIND[by]
        visited[b, to] = True
        depth += np.where(enter, 1, -1)
        stack[b, depth[enter]] = to
        here = stack[board, depth]
    return walls
