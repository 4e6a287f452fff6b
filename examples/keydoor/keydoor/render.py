"""KeyDoor pictures: a blue robot on light tiles, a brick wall, a wooden door, a golden key."""

from __future__ import annotations

import numpy as np

from vsp_envs.core.layout import Int, Layout, LayoutBatch
from vsp_envs.rendering.canvas import WHITE, Canvas, Painter, smooth

from .rules import CARRIED, DOOR, GOAL, KEY, OPEN, WALL, grid_now

AGENT, CARRYING = 8, 16
"""Added to the code of the grid where the agent stands: AGENT alone, or both with the key."""

_TILE, _TILE_LIGHT, _TILE_DARK = (236, 229, 214), (244, 239, 228), (216, 207, 188)
_BRICK, _BRICK_DARK, _MORTAR = (158, 84, 66), (138, 70, 56), (206, 192, 176)
_WOOD, _WOOD_DARK, _FRAME, _IRON = (150, 98, 52), (116, 72, 36), (84, 54, 32), (52, 54, 62)
_GOLD, _GOLD_DARK = (244, 182, 34), (176, 118, 10)
_BLUE, _BLUE_DARK, _SCREEN, _GLOW = (44, 110, 214), (24, 66, 146), (18, 30, 54), (130, 232, 255)
_RED, _RED_LIGHT = (206, 38, 38), (255, 150, 130)
_POLE, _FLAG, _FLAG_DARK = (92, 64, 51), (30, 158, 90), (20, 116, 66)


def appearance(layout: Layout, state: int) -> Int:
    """int64[level, level]: what is in each cell, and the agent with or without the key."""
    phase, cell = divmod(state, layout.level**2)
    codes = grid_now(LayoutBatch.stack([layout]), np.array([phase]))[0].astype(np.int64)
    codes[divmod(cell, layout.level)] += AGENT + CARRYING * (phase == CARRIED)
    return codes


def classic(art: Canvas, code: int) -> None:
    """Our own drawing; the open door and the goal stay visible under the agent."""
    thing, with_agent = code % AGENT, bool(code & AGENT)
    _floor(art)
    if thing == WALL:
        _bricks(art)
    if thing == DOOR:
        _door(art)
    if thing == OPEN:
        _open_door(art)
    if thing == KEY:
        _key(art)
    if thing == GOAL:
        _flag(art.within(0.12, 0, 1) if with_agent else art)
    if with_agent and thing == DOOR:
        _alarm(art)
    if with_agent:
        _robot(art.within(-0.13, 0.02, 1) if thing == GOAL else art)
    if code & CARRYING:
        _key(art.within(0.52, 0.44, 0.5))


def _floor(art: Canvas) -> None:
    art.fill(_TILE_DARK)
    art.rectangle((0, 0, 0.97, 0.97), _TILE)
    art.rectangle((0, 0, 0.97, 0.02), _TILE_LIGHT)
    art.rectangle((0, 0, 0.02, 0.97), _TILE_LIGHT)


def _bricks(art: Canvas) -> None:
    art.fill(_MORTAR)
    for row in range(4):
        top, shift = row / 4, 0.25 * (row % 2)
        for left in (shift - 0.5, shift, shift + 0.5):  # those at the edge reach beyond it
            box = (left + 0.015, top + 0.015, left + 0.485, top + 0.235)
            art.rectangle(box, _BRICK_DARK)
            art.rectangle((*box[:3], top + 0.195), _BRICK)


def _door(art: Canvas) -> None:
    art.fill(_FRAME)
    art.rectangle((0.09, 0.09, 0.91, 0.91), _WOOD)
    for across in (0.29, 0.5, 0.71):
        art.rectangle((across - 0.012, 0.09, across + 0.012, 0.91), _WOOD_DARK)
    for down in (0.2, 0.72):
        art.rectangle((0.09, down, 0.91, down + 0.07), _IRON)
    art.rounded((0.36, 0.36, 0.64, 0.66), 0.05, _GOLD_DARK)
    art.rounded((0.375, 0.375, 0.625, 0.645), 0.04, _GOLD)
    art.disc((0.5, 0.47), 0.055, _IRON)
    art.polygon([(0.5, 0.47), (0.455, 0.6), (0.545, 0.6)], _IRON)


def _open_door(art: Canvas) -> None:
    art.fill(_FRAME)
    art.rectangle((0.09, 0.09, 0.91, 0.91), _TILE)
    art.polygon([(0.09, 0.09), (0.22, 0.15), (0.22, 0.85), (0.09, 0.91)], _WOOD)
    art.line([(0.22, 0.15), (0.22, 0.85)], 0.025, _WOOD_DARK)
    art.disc((0.175, 0.52), 0.032, _GOLD)


def _alarm(art: Canvas) -> None:
    art.disc((0.5, 0.5), 0.46, _RED)
    art.disc((0.5, 0.5), 0.38, _RED_LIGHT)


def _key(art: Canvas) -> None:
    for color, grow in ((_GOLD_DARK, 0.022), (_GOLD, 0.0)):
        art.disc((0.31, 0.5), 0.18 + grow, color)
        art.line([(0.45, 0.5), (0.84, 0.5)], 0.09 + 2 * grow, color)
        for across in (0.68, 0.82):
            art.line([(across, 0.52), (across, 0.65)], 0.075 + 2 * grow, color)
    art.disc((0.29, 0.5), 0.095, _GOLD_DARK)
    art.disc((0.29, 0.5), 0.075, _TILE_LIGHT)


def _flag(art: Canvas) -> None:
    art.ellipse((0.14, 0.79, 0.64, 0.94), _TILE_DARK)
    art.line([(0.37, 0.13), (0.37, 0.86)], 0.06, _POLE)
    art.polygon([(0.4, 0.14), (0.88, 0.33), (0.4, 0.53)], _FLAG)
    art.polygon([(0.4, 0.335), (0.88, 0.33), (0.4, 0.53)], _FLAG_DARK)
    art.disc((0.37, 0.11), 0.055, _GOLD)


def _robot(art: Canvas) -> None:
    art.ellipse((0.24, 0.83, 0.76, 0.94), _TILE_DARK)
    art.line([(0.5, 0.2), (0.5, 0.1)], 0.035, _BLUE_DARK)
    art.disc((0.5, 0.1), 0.05, _GLOW)
    for across in (0.38, 0.62):
        art.disc((across, 0.85), 0.075, _SCREEN)
    for across in (0.24, 0.76):
        art.disc((across, 0.66), 0.07, _BLUE_DARK)
    art.rounded((0.28, 0.56, 0.72, 0.84), 0.09, _BLUE)
    art.rounded((0.24, 0.19, 0.76, 0.57), 0.13, _BLUE_DARK)
    art.rounded((0.26, 0.2, 0.74, 0.55), 0.12, _BLUE)
    art.rounded((0.31, 0.27, 0.69, 0.48), 0.08, _SCREEN)
    for across in (0.41, 0.59):
        art.disc((across, 0.375), 0.045, _GLOW)
    art.disc((0.5, 0.69), 0.04, WHITE)


THEMES: dict[str, Painter] = {"classic": smooth(classic)}
