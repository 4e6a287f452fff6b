"""KeyDoor: the key is picked up from beside it, and opens the door by walking into it.

MiniGrid's DoorKey without turning. The key blocks its cell until it is picked up. Walking into the
door with the key opens it, and the key stays in the lock; without the key it sets off the alarm,
which is a failure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from gymnasium import spaces

from vsp_envs.core.grid import beside, moves, padded, positions
from vsp_envs.core.layout import Action, Int, Layout, LayoutBatch, LayoutError, Outcome, UInt8
from vsp_envs.core.task import TransitionTables, check_level, get_task

FLOOR, WALL, KEY, DOOR, GOAL, OPEN = 1, 2, 3, 4, 5, 6
"""Codes of the grid, in layouts and in observations alike; layouts hold no OPEN door."""
AGENT = 7
"""The agent's code in `pattern`, and its letter in `LETTERS`; in the grid there is FLOOR."""
LETTERS = {FLOOR: "F", WALL: "W", KEY: "K", DOOR: "D", GOAL: "G", AGENT: "A"}
_CODES = {letter: code for code, letter in LETTERS.items()}
LYING, CARRIED, USED = 0, 1, 2
"""Phases of a state: where the key is. USED: it is in the lock, and the door open."""
REASONS = ("off_grid", "wall", "key", "not_beside_key", "no_key_left")
_OFF_GRID, _WALL, _KEY, _NOT_BESIDE_KEY, _NO_KEY_LEFT = range(len(REASONS))
_REFUSED = np.zeros(8, np.uint8)
_REFUSED[[WALL, KEY]] = _WALL, _KEY


def load(data: Mapping[str, Any], level: int | None = None) -> Layout:
    """`{"map": ["AFWF", "FFDF", …]}` → layout: A agent, K key, D door, G goal, W wall, F floor."""
    try:
        rows = ["".join(row) for row in data["map"]]
        grid = [_CODES[letter] for row in rows for letter in row]
    except (KeyError, TypeError) as error:
        raise LayoutError(f"a KeyDoor map is rows of A, K, D, G, W and F; got {error}") from None
    size = check_level(get_task("keydoor"), len(rows))
    if any(len(row) != size for row in rows) or level not in (None, size):
        raise LayoutError(f"the map must be square with side {level or size}, got rows {rows}")
    if any(grid.count(code) != 1 for code in (AGENT, KEY, DOOR, GOAL)):
        raise LayoutError(f"a KeyDoor map has one A, K, D and G each, got rows {rows}")
    cells = tuple(grid.index(code) for code in (AGENT, KEY, DOOR, GOAL))
    grid[cells[0]] = FLOOR
    return Layout("keydoor", size, bytes(grid), cells)


def dump(layout: Layout) -> dict[str, Any]:
    """The layout as `{"map": rows}`."""
    return {"map": rows(layout)}


def rows(layout: Layout) -> list[str]:
    """The map as one string of letters per row."""
    codes = bytearray(layout.grid)
    codes[layout.cells[0]] = AGENT
    letters = "".join("O" if code == OPEN else LETTERS[code] for code in codes)
    return [letters[i : i + layout.level] for i in range(0, len(letters), layout.level)]


def in_state(layout: Layout, phase: int, agent: int) -> Layout:
    """The room in a state. The key is in the agent's cell once carried, in the door's once used."""
    _, key, door, goal = layout.cells
    if phase == LYING:
        return replace(layout, cells=(agent, key, door, goal))
    grid = bytearray(layout.grid)
    grid[key] = FLOOR
    if phase == USED:
        grid[door] = OPEN
    return replace(
        layout, grid=bytes(grid), cells=(agent, door if phase == USED else agent, door, goal)
    )


def key_words(layout: Layout) -> str:
    """Where the key is: its cell, `carried`, or `in the lock`."""
    if OPEN in layout.grid:
        return "in the lock"
    return "carried" if layout.cells[0] == layout.cells[1] else str(layout.cell("key"))


def pattern(boards: LayoutBatch) -> UInt8:
    """The grid with the agent in it."""
    drawn = boards.flat().copy()
    drawn[np.arange(len(boards)), boards.cells[:, 0]] = AGENT
    return drawn.reshape(boards.grid.shape)


def transitions(boards: LayoutBatch) -> TransitionTables:
    """The rules, for many boards at once. A state is `phase * level**2 + agent's cell`."""
    count, cells = len(boards), boards.level**2
    target, inside = moves(boards.level)
    own, ahead = np.arange(cells)[:, None], boards.flat()[:, target]  # [board, cell, 4]
    next_state = np.arange(3 * cells).reshape(3, cells, 1).repeat(5, 2)[None].repeat(count, 0)
    outcome = np.full((count, 3, cells, 5), Outcome.ILLEGAL, np.uint8)
    reason = np.zeros_like(outcome)
    for phase, solid in ((LYING, (WALL, KEY)), (CARRIED, (WALL,)), (USED, (WALL,))):
        free = inside & ~np.isin(ahead, solid)
        opened = free & (ahead == DOOR) & (phase == CARRIED)
        onward = np.where(free, target, own) + (phase + opened) * cells
        next_state[:, phase, :, :4] = onward
        outcome[:, phase, :, :4][free] = Outcome.RUNNING
        outcome[:, phase, :, :4][free & (ahead == GOAL)] = Outcome.SUCCESS
        if phase == LYING:
            outcome[:, phase, :, :4][free & (ahead == DOOR)] = Outcome.FAILURE
        reason[:, phase, :, :4] = np.where(inside, _REFUSED[ahead], _OFF_GRID)
    reach = beside(boards.level, boards.flat() == KEY)
    next_state[:, LYING, :, Action.PICK] += reach * cells
    outcome[:, LYING, :, Action.PICK][reach] = Outcome.RUNNING
    reason[..., Action.PICK] = _NO_KEY_LEFT
    reason[:, LYING, :, Action.PICK] = _NOT_BESIDE_KEY
    return TransitionTables(
        *(each.reshape(count, 3 * cells, 5) for each in (next_state, outcome, reason))
    )


def grid_now(boards: LayoutBatch, phase: Int) -> UInt8:
    """The grids in a phase each: the key is gone once picked up, the door open once used."""
    grid, board = boards.flat().copy(), np.arange(len(boards))
    gone, opened = phase != LYING, phase == USED
    grid[board[gone], boards.cells[gone, 1]] = FLOOR
    grid[board[opened], boards.cells[opened, 2]] = OPEN
    return grid.reshape(boards.grid.shape)


def symbolic(boards: LayoutBatch, state: Int, max_level: int) -> dict[str, Any]:
    """level, grid {0 pad, 1 floor, 2 wall, 3 key, 4 door, 5 goal, 6 open door}, agent, key, door,
    goal, carrying. `key` is (-1, -1) once it is picked up.
    """
    level = boards.level
    phase = state // level**2
    key = positions(boards.cells[:, 1], level)
    key[phase != LYING] = -1
    return {
        "level": np.full(len(boards), level),
        "grid": padded(grid_now(boards, phase), max_level),
        "agent": positions(state, level),
        "key": key,
        "door": positions(boards.cells[:, 2], level),
        "goal": positions(boards.cells[:, 3], level),
        "carrying": (phase == CARRIED).astype(np.int64),
    }


def symbolic_space(max_level: int) -> dict[str, spaces.Space[Any]]:
    """The spaces of `symbolic`."""
    on_board = spaces.Box(0, max_level - 1, (2,), np.int64)
    return {
        "level": spaces.Discrete(max_level + 1),
        "grid": spaces.Box(0, OPEN, (max_level, max_level), np.uint8),
        "agent": on_board,
        "key": spaces.Box(-1, max_level - 1, (2,), np.int64),
        "door": on_board,
        "goal": on_board,
        "carrying": spaces.Discrete(2),
    }
