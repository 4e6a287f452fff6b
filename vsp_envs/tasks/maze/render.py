"""Maze pictures: black walls, a yellow disc for the player, a blue one for the goal."""

from __future__ import annotations

import math

import numpy as np

from vsp_envs.core.layout import Int, Layout
from vsp_envs.rendering.canvas import BLACK, WHITE, Canvas, Color, Painter, smooth
from vsp_envs.tasks.maze.rules import EAST, NORTH, SOUTH, WEST

PLAYER, GOAL, START = 16, 32, 64
"""Bits of an appearance code beside the four of the wall mask."""

_GRID_LINE, _YELLOW, _BLUE = (224, 224, 224), (255, 255, 0), (0, 0, 255)


def appearance(layout: Layout, state: int) -> Int:
    """int64[level, level]: wall mask, + PLAYER where the agent stands, + START, + GOAL."""
    codes = np.frombuffer(layout.grid, np.uint8).astype(np.int64)
    codes[state] += PLAYER
    codes[list(layout.cells)] += START, GOAL
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


_INK, _PAPER, _FAINT = (38, 44, 56), (252, 252, 250), (228, 230, 234)
_GREEN, _RED, _RED_DARK = (52, 168, 83), (219, 50, 54), (160, 28, 36)
_STAR, _STAR_DARK = (38, 110, 220), (20, 62, 140)
_SIDES = (
    (NORTH, (0, 0, 1, 0)), (SOUTH, (0, 1, 1, 1)), (WEST, (0, 0, 0, 1)), (EAST, (1, 0, 1, 1)),
)  # fmt: skip


def thin(art: Canvas, code: int) -> None:
    """Thin walls, a green start, a red flag: the look of VisualPlanning's mazes, drawn by us."""
    art.fill(_PAPER)
    for reach, color, closed in ((0.012, _FAINT, False), (0.055, _INK, True)):
        for bit, (left, top, right, bottom) in _SIDES:
            if bool(code & bit) == closed:
                art.rectangle((left - reach, top - reach, right + reach, bottom + reach), color)
    if code & START:
        art.disc((0.5, 0.5), 0.3, _GREEN)
    if code & GOAL:
        _flag(art.within(0.1, 0, 1) if code & PLAYER else art)
    if code & PLAYER:
        _star(art, (0.36, 0.62) if code & GOAL else (0.5, 0.5))


def _flag(art: Canvas) -> None:
    art.ellipse((0.24, 0.78, 0.56, 0.88), _FAINT)
    art.line([(0.4, 0.2), (0.4, 0.82)], 0.06, _INK)
    art.polygon([(0.43, 0.18), (0.8, 0.34), (0.43, 0.5)], _RED)
    art.polygon([(0.43, 0.34), (0.8, 0.34), (0.43, 0.5)], _RED_DARK)


def _star(art: Canvas, center: tuple[float, float]) -> None:
    for size, color in ((0.25, _STAR_DARK), (0.205, _STAR)):
        points = []
        for corner in range(10):
            angle, reach = math.pi * corner / 5, size * (1 if corner % 2 == 0 else 0.48)
            points.append(
                (center[0] + reach * math.sin(angle), center[1] - reach * math.cos(angle))
            )
        art.polygon(points, color)


THEMES: dict[str, Painter] = {"classic": classic, "thin": smooth(thin)}
