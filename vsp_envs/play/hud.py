"""The lines above and below the board."""

from __future__ import annotations

import pygame
from pygame import Rect, Surface

from vsp_envs.play.drawing import DIM, INK, PANEL, Color, WindowAreas, font, wrap, write


def draw_top(surface: Surface, at: WindowAreas, title: str, where: str, right: str) -> None:
    """The line above the board; what does not fit beside the title is left out."""
    size, row = at.size, at.top.top + round(at.size * 0.35)
    end = write(surface, title, at.top.topleft, round(size * 1.3), INK).right + size
    room = at.top.right - end
    if font(size).size(where)[0] <= room:
        end = write(surface, where, (end, row), size, DIM).right + size
    if font(size).size(right)[0] <= at.top.right - end:
        write(surface, right, (at.top.right, row), size, DIM, right=True)


def draw_message(surface: Surface, at: WindowAreas, words: str, color: Color) -> None:
    """A message below the board, in two lines at most."""
    for i, line in enumerate(wrap(words, font(at.size), at.bottom.width)[:2]):
        write(
            surface,
            line,
            (at.bottom.left, at.bottom.top + round(1.2 * i * at.size)),
            at.size,
            color,
        )


def draw_input(surface: Surface, at: WindowAreas, label: str, typed: str) -> None:
    """A line that is being typed, its end in sight."""
    size, (left, top) = at.size, at.bottom.topleft
    pygame.draw.rect(
        surface, PANEL, Rect(left - size // 3, top - size // 4, at.bottom.width, 2 * size), 0, 6
    )
    start = write(surface, label, (left, top + size // 4), size, DIM).right + size // 2
    tail = f"{typed}_"
    while font(size).size(tail)[0] > at.bottom.right - start - size and len(tail) > 1:
        tail = tail[1:]
    write(surface, tail, (start, top + size // 4), size, INK)


def draw_foot(surface: Surface, at: WindowAreas, left: str, right: str) -> None:
    """The last line: two texts, or in a narrow window two lines."""
    size, bottom = at.size, at.bottom.bottom - round(at.size * 1.1)
    if font(size).size(left)[0] + font(size).size(right)[0] + size <= at.bottom.width:
        write(surface, left, (at.bottom.left, bottom), size, INK)
        write(surface, right, (at.bottom.right, bottom), size, DIM, right=True)
        return
    size = max(10, round(0.85 * size))
    write(surface, left, (at.bottom.left, bottom - size), size, INK)
    write(surface, right, (at.bottom.left, bottom + size // 4), size, DIM)
