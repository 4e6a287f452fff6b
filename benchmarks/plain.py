"""Generators and breadth-first search in plain Python, as published data scripts have them."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable

STEPS = ((0, -1), (1, 0), (0, 1), (-1, 0))
Cell = tuple[int, int]
Enter = Callable[..., bool]
"""Row, column, previous cell → whether the cell may be entered."""


def lake(level: int, rng: random.Random, frozen: float = 0.8) -> int:
    """A random lake that has a solution; the length of its shortest plan."""
    while True:
        ice = [[rng.random() < frozen for _ in range(level)] for _ in range(level)]
        start, goal = random_pair(level, rng)
        ice[start[0]][start[1]] = ice[goal[0]][goal[1]] = True
        length = search(start, {goal}, lambda r, c, _, ice=ice: ice[r][c], level)
        if length > 0:
            return length


def maze(level: int, rng: random.Random) -> int:
    """A maze carved depth first; the length of its shortest plan."""
    open_borders: set[tuple[Cell, Cell]] = set()
    here = (rng.randrange(level), rng.randrange(level))
    seen, stack = {here}, [here]
    while stack:
        row, col = stack[-1]
        fresh = [
            (row + dr, col + dc)
            for dr, dc in STEPS
            if 0 <= row + dr < level and 0 <= col + dc < level and (row + dr, col + dc) not in seen
        ]
        if not fresh:
            stack.pop()
            continue
        there = rng.choice(fresh)
        open_borders |= {((row, col), there), (there, (row, col))}
        seen.add(there)
        stack.append(there)
    start, goal = random_pair(level, rng)
    return search(start, {goal}, lambda r, c, old: (old, (r, c)) in open_borders, level)


def room(level: int, rng: random.Random) -> int:
    """A room with table, printer and agent; the length of its shortest plan."""
    top, left = rng.randrange(level - 1), rng.randrange(level - 2)
    table = {(top + r, left + c) for r in range(2) for c in range(3)}
    free = [(r, c) for r in range(level) for c in range(level) if (r, c) not in table]
    start, printer = rng.sample(free, 2)
    best = 0
    for row, col in beside({printer}):
        if (row, col) not in free:
            continue
        fetch = search(start, {(row, col)}, lambda r, c, _: (r, c) in free and (r, c) != printer,
                       level)  # fmt: skip
        bring = search((row, col), beside(table), lambda r, c, _: (r, c) in free, level)
        if fetch >= 0 and bring >= 0 and (not best or fetch + bring + 2 < best):
            best = fetch + bring + 2
    return best


def beside(cells: set[Cell]) -> set[Cell]:
    """The 4-neighbours of cells."""
    return {(row + dr, col + dc) for row, col in cells for dr, dc in STEPS} - cells


def random_pair(level: int, rng: random.Random) -> tuple[Cell, Cell]:
    """Two different cells."""
    cells = [(row, col) for row in range(level) for col in range(level)]
    start, goal = rng.sample(cells, 2)
    return start, goal


def search(start: Cell, goals: set[Cell], enter: Enter, level: int) -> int:
    """Moves from start to the nearest goal; -1 if there is no way."""
    if start in goals:
        return 0
    distance, queue = {start: 0}, deque([start])
    while queue:
        row, col = queue.popleft()
        for dr, dc in STEPS:
            there = (row + dr, col + dc)
            if not (0 <= there[0] < level and 0 <= there[1] < level) or there in distance:
                continue
            if not enter(*there, (row, col)):
                continue
            distance[there] = distance[row, col] + 1
            if there in goals:
                return distance[there]
            queue.append(there)
    return -1
