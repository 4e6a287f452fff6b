"""What both windows draw with: areas, text and the board."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import pygame
from pygame import Rect, Surface
from pygame.font import Font

from vsp_envs.core.layout import Layout
from vsp_envs.rendering.renderer import MAX_IMAGE_SIZE, MIN_IMAGE_SIZE, render

Color = tuple[int, int, int]

GROUND, PANEL, INK, DIM = (22, 24, 30), (33, 36, 44), (233, 235, 240), (154, 160, 174)
GOOD, BAD, WARN, BLUE = (92, 200, 128), (244, 96, 96), (246, 190, 84), (104, 170, 255)
TONES = {"plain": INK, "good": GOOD, "bad": BAD, "warn": WARN}

_SANS = "dejavusans,segoeui,helveticaneue,arial,liberationsans,notosans"
_MONO = "dejavusansmono,menlo,consolas,liberationmono,notosansmono,couriernew"


class WindowAreas(NamedTuple):
    """The areas of a window."""

    board: Rect
    top: Rect
    bottom: Rect
    panel: Rect
    """Empty if there is no panel."""
    size: int
    """Height of the letters."""


def divide_window(window: tuple[int, int], hud: bool, panel: bool) -> WindowAreas:
    """Divide a window: a line above the board, two below, a panel beside it or, if tall, below."""
    width, height = max(window[0], 1), max(window[1], 1)
    size = min(max(min(width, height) // 34, 12), 30)
    gap, room = size // 2, Rect(0, 0, width, height)
    top, bottom = Rect(0, 0, width, 0), Rect(0, height, width, 0)
    if hud:
        top = Rect(gap * 2, gap, width - 4 * gap, 2 * size)
        bottom = Rect(gap * 2, height - gap - 4 * size, width - 4 * gap, 4 * size)
        room = Rect(0, top.bottom, width, max(1, bottom.top - top.bottom))
    beside = Rect(0, 0, 0, 0)
    if panel and room.width > room.height:
        share = min(int(room.width * 0.6), max(int(room.width * 0.42), room.width - room.height))
        beside = Rect(room.right - share, room.top, share, room.height)
        room = Rect(room.left, room.top, room.width - share, room.height)
    elif panel:
        share = int(room.height * 0.42)
        beside = Rect(room.left, room.bottom - share, room.width, share)
        room = Rect(room.left, room.top, room.width, room.height - share)
    side = max(1, min(room.width, room.height) - (2 * gap if hud or panel else 0))
    board = Rect(0, 0, side, side)
    board.center = room.center
    return WindowAreas(board, top, bottom, beside.inflate(-2 * gap, -2 * gap), size)


@lru_cache(maxsize=64)
def font(size: int, mono: bool = False) -> Font:
    """A font of the system with that letter height, or pygame's own; `mono` for a fixed width."""
    pygame.font.init()
    found = pygame.font.match_font(_MONO if mono else _SANS)
    return Font(found, size) if found else Font(None, round(size * 1.35))


def write(
    surface: Surface, words: str, corner: tuple[int, int], size: int, color: Color = INK,
    mono: bool = False, right: bool = False,
) -> Rect:  # fmt: skip
    """A line of text; `corner` is its top left, or its top right with `right`."""
    picture = font(size, mono).render(_printable(words), True, color)
    box = picture.get_rect(topright=corner) if right else picture.get_rect(topleft=corner)
    return surface.blit(picture, box)


def wrap(words: str, letters: Font, width: int) -> list[str]:
    """Lines that fit into a width, broken between words, and inside one that is too long."""
    lines = []
    for paragraph in _printable(words).split("\n"):
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            while letters.size(longer)[0] > width and len(longer) > 1:
                keep = line or _head(longer, letters, width)
                lines.append(keep)
                longer, line = longer[len(keep) :].removeprefix(" " if line else ""), ""
            line = longer
        lines.append(line)
    return lines


def _head(word: str, letters: Font, width: int) -> str:
    end = 1
    while letters.size(word[: end + 1])[0] <= width:
        end += 1
    return word[:end]


def _printable(words: str) -> str:
    # A font has no glyph for a control character, and a NUL is an error.
    return "".join(c if c.isprintable() or c == "\n" else " " for c in words.replace("\t", "    "))


def draw_board(surface: Surface, area: Rect, layout: Layout, state: int, theme: str) -> None:
    """The board in a state, sharp at any size."""
    surface.blit(_picture(layout, state, theme, area.width), area)


@lru_cache(maxsize=8)
def _picture(layout: Layout, state: int, theme: str, side: int) -> Surface:
    times = -(-side // MAX_IMAGE_SIZE)  # a larger picture is a smaller one in larger pixels
    drawn = max(side // times, MIN_IMAGE_SIZE)
    image = render(layout, drawn, theme, state)
    picture = pygame.image.frombuffer(image.tobytes(), (drawn, drawn), "RGB")
    return picture if drawn == side else pygame.transform.scale(picture, (side, side))
