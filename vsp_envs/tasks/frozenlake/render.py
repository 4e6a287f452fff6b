"""FrozenLake pictures: a child in a red coat, a green flag, and dark water under broken ice."""

from __future__ import annotations

import numpy as np

from vsp_envs.core.layout import Int, Layout
from vsp_envs.rendering.canvas import WHITE, Canvas, Painter, smooth
from vsp_envs.tasks.frozenlake import sprites
from vsp_envs.tasks.frozenlake.rules import GOAL, HOLE, START
from vsp_envs.tasks.frozenlake.sprites import AGENT

_ICE, _ICE_LIGHT, _ICE_DARK = (216, 237, 248), (240, 249, 254), (176, 208, 228)
_START_RING = (142, 186, 216)
_WATER, _DEEP, _RIPPLE = (38, 78, 122), (16, 40, 74), (98, 146, 186)
_POLE, _FLAG, _FLAG_DARK, _GOLD = (92, 64, 51), (30, 158, 90), (20, 116, 66), (250, 196, 40)
_COAT, _COAT_DARK, _SKIN, _BOOT = (222, 50, 47), (146, 22, 30), (255, 222, 190), (66, 46, 58)


def appearance(layout: Layout, state: int) -> Int:
    """int64[level, level]: the codes of the grid, + AGENT where the agent stands."""
    codes = np.frombuffer(layout.grid, np.uint8).astype(np.int64)
    codes[state] += AGENT
    return codes.reshape(layout.level, layout.level)


def classic(art: Canvas, code: int) -> None:
    """Our own drawing. The start keeps a thin ring; in the hole and at the goal the agent shows."""
    _ice(art)
    thing, with_agent = code % AGENT, code >= AGENT
    if thing == START:
        _start(art)
    if thing == HOLE:
        _hole(art)
    if thing == GOAL:
        _flag(art.within(0.1, 0, 1) if with_agent else art)
    if with_agent and thing == HOLE:
        _swimmer(art)
    elif with_agent:
        _player(art.within(-0.2, 0.02, 1) if thing == GOAL else art, cheering=thing == GOAL)


def _ice(art: Canvas) -> None:
    art.fill(_ICE_DARK)
    art.rectangle((0, 0, 0.97, 0.97), _ICE)
    art.rectangle((0, 0, 0.97, 0.02), _ICE_LIGHT)
    art.rectangle((0, 0, 0.02, 0.97), _ICE_LIGHT)
    for start, end, width in (((0.1, 0.34), (0.34, 0.1), 0.035), ((0.1, 0.48), (0.48, 0.1), 0.015)):
        art.line([start, end], width, _ICE_LIGHT)
    art.line([(0.66, 0.9), (0.78, 0.84), (0.9, 0.7)], 0.012, _ICE_DARK)


def _start(art: Canvas) -> None:
    art.ellipse((0.2, 0.68, 0.8, 0.94), _START_RING)
    art.ellipse((0.25, 0.71, 0.75, 0.91), _ICE)


_CRACKS = (
    [(0.2, 0.24), (0.12, 0.16), (0.1, 0.05)], [(0.82, 0.3), (0.9, 0.22), (0.93, 0.1)],
    [(0.8, 0.76), (0.88, 0.8), (0.92, 0.92)], [(0.22, 0.76), (0.14, 0.86)],
)  # fmt: skip
_RIM = (
    (0.08, 0.52), (0.14, 0.32), (0.27, 0.2), (0.42, 0.12), (0.6, 0.13), (0.76, 0.2), (0.88, 0.35),
    (0.92, 0.54), (0.87, 0.72), (0.74, 0.84), (0.56, 0.9), (0.36, 0.88), (0.2, 0.8), (0.1, 0.66),
)  # fmt: skip


def _hole(art: Canvas) -> None:
    for crack in _CRACKS:
        art.line(crack, 0.018, _ICE_DARK)
    art.polygon(_RIM, WHITE)
    art.within(0.05, 0.052, 0.9).polygon(_RIM, _WATER)
    art.within(0.1, 0.152, 0.8).polygon(_RIM, _DEEP)
    for left, top, width in ((0.3, 0.56, 0.26), (0.5, 0.68, 0.2)):
        art.ellipse((left, top, left + width, top + 0.07), _WATER)
        art.ellipse((left, top + 0.025, left + width, top + 0.095), _DEEP)


def _flag(art: Canvas) -> None:
    art.ellipse((0.14, 0.77, 0.64, 0.94), _ICE_DARK)
    art.ellipse((0.16, 0.75, 0.62, 0.9), WHITE)
    art.line([(0.37, 0.13), (0.37, 0.83)], 0.06, _POLE)
    art.polygon([(0.4, 0.14), (0.88, 0.33), (0.4, 0.53)], _FLAG)
    art.polygon([(0.4, 0.335), (0.88, 0.33), (0.4, 0.53)], _FLAG_DARK)
    art.disc((0.37, 0.11), 0.055, _GOLD)


def _player(art: Canvas, cheering: bool) -> None:
    art.ellipse((0.28, 0.83, 0.72, 0.93), _ICE_DARK)
    for across in (0.42, 0.58):
        art.ellipse((across - 0.085, 0.79, across + 0.085, 0.9), _BOOT)
    _arms(art, 0.42 if cheering else 0.7)
    art.rounded((0.325, 0.5, 0.675, 0.84), 0.12, _COAT)
    art.rectangle((0.485, 0.56, 0.515, 0.83), _COAT_DARK)
    _head(art)


def _arms(art: Canvas, hands: float) -> None:
    for shoulder, hand in ((0.37, 0.24), (0.63, 0.76)):
        art.line([(shoulder, 0.58), (hand, hands)], 0.11, _COAT_DARK)
        art.disc((hand, hands), 0.06, _GOLD)


def _head(art: Canvas) -> None:
    art.disc((0.5, 0.34), 0.2, _COAT)
    art.disc((0.5, 0.37), 0.145, _SKIN)
    art.disc((0.5, 0.13), 0.06, WHITE)
    art.ellipse((0.44, 0.38, 0.56, 0.46), _COAT_DARK)  # a smile: all but the lower edge is
    art.ellipse((0.43, 0.36, 0.57, 0.445), _SKIN)  # covered again
    for across in (0.45, 0.55):
        art.disc((across, 0.36), 0.022, _BOOT)
    art.rounded((0.34, 0.5, 0.66, 0.575), 0.035, _GOLD)


def _swimmer(art: Canvas) -> None:
    low = art.within(0.12, 0.2, 0.76)
    _arms(low, 0.3)
    _head(low)
    art.ellipse((0.26, 0.6, 0.74, 0.74), _RIPPLE)
    art.ellipse((0.24, 0.63, 0.76, 0.8), _DEEP)


THEMES: dict[str, Painter] = {"classic": smooth(classic), "gymnasium": sprites.gymnasium}
for _theme in sprites.MISSING_THEMES:
    del THEMES[_theme]
