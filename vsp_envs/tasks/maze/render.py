"""Maze pictures: black walls, a yellow disc for the player, a blue one for the goal."""

from __future__ import annotations

import numpy as np

from vsp_envs.drawing import BLACK, WHITE, Canvas, Color, Painter
from vsp_envs.task import Int, Layout
from vsp_envs.tasks.maze.rules import EAST, NORTH, SOUTH, WEST

PLAYER, GOAL = 16, 32
"""Bits of an appearance code beside the four of the wall mask."""

_GRID_LINE, _YELLOW, _BLUE = (224, 224, 224), (255, 255, 0), (0, 0, 255)


def appearance(layout: Layout, state: int) -> Int:
    """int64[level, level]: wall mask, + PLAYER where the agent stands, + GOAL at the goal."""
    codes = np.frombuffer(layout.grid, np.uint8).astype(np.int64)
    codes[state] += PLAYER
    codes[layout.cells[1]] += GOAL
    return codes.reshape(layout.level, layout.level)


def classic(canvas: Canvas, code: int) -> None:
    """The reference's drawing; a player at the goal is our addition: a disc in a disc."""
    wall = max(2, int(canvas.side / 4))
    canvas.fill(BLACK)
    _floor(canvas, code, wall / 2)
    radius = max(3, int(0.25 * (canvas.side - wall)))
    if code & GOAL:
        _disc(canvas, radius, _BLUE)
    if code & PLAYER:
        _disc(canvas, max(1, round(0.55 * radius)) if code & GOAL else radius, _YELLOW)


def _floor(canvas: Canvas, code: int, inset: float) -> None:
    """White up to the walls and over open borders, with a thin line along each of these."""
    west, north = canvas.left, canvas.top
    east, south = west + canvas.side, north + canvas.side
    left, top, right, bottom = west + inset, north + inset, east - inset, south - inset
    canvas.pen.rectangle((left, top, right, bottom), WHITE)
    reach = max(1, int(canvas.side / 16)) - 1
    above, below, before, behind = (
        int(border) - reach // 2 for border in (north, south, west, east)
    )
    for bit, bridge, line in (
        (NORTH, (left, north, right, top), (left, above, right, above + reach)),
        (SOUTH, (left, bottom, right, south), (left, below, right, below + reach)),
        (WEST, (west, top, left, bottom), (before, top, before + reach, bottom)),
        (EAST, (right, top, east, bottom), (behind, top, behind + reach, bottom)),
    ):
        if not code & bit:
            canvas.pen.rectangle(bridge, WHITE)
            canvas.pen.rectangle(line, _GRID_LINE)


def _disc(canvas: Canvas, radius: int, color: Color) -> None:
    across, down = canvas.left + canvas.side / 2, canvas.top + canvas.side / 2
    canvas.pen.ellipse((across - radius, down - radius, across + radius, down + radius), color)


THEMES: dict[str, Painter] = {"classic": classic}
