"""Arrows, ways, frames and tags over a board."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pygame
from pygame import Rect, Surface

from vsp_envs.core.grid import STEPS
from vsp_envs.core.layout import Action, Cell
from vsp_envs.play.drawing import GROUND, Color, font

Point = tuple[float, float]  # (across, down) in cells from the board's top left
Line = tuple[Point, Point]


class Marks:
    """What lies over a board, drawn larger and scaled down so that its edges are smooth."""

    def __init__(self, area: Rect, level: int) -> None:
        """Nothing drawn yet; `finish` puts it on the screen."""
        fine = max(1, min(3, 2100 // area.width))
        self._area, self._cell, self._fine = area, area.width * fine / level, fine
        self._layer = Surface((area.width * fine,) * 2, pygame.SRCALPHA)

    def arrow(self, cell: Cell, action: Action, color: Color) -> None:
        """An action: an arrow out of the cell, or for PICK and DROP a frame with the word."""
        if action > Action.UP:
            self.frame(cell, color)
            self.tag(cell, action.name, color, (0.5, 0.14))
            return
        down, across = STEPS[action]

        def at(ahead: float, aside: float) -> Point:
            return (
                cell.col + 0.5 + ahead * across + aside * down,
                cell.row + 0.5 + ahead * down + aside * across,
            )

        tip = at(0.92, 0)
        self._stroke([(at(0.38, 0), tip), (tip, at(0.7, 0.2)), (tip, at(0.7, -0.2))], 0.1, color)

    def way(self, cells: Sequence[Cell], color: Color) -> None:
        """The cells passed, as a line."""
        points = [(cell.col + 0.5, cell.row + 0.5) for cell in cells]
        self._stroke(list(pairwise(points)), 0.08, color)

    def cross(self, cell: Cell, action: Action, color: Color) -> None:
        """An action that was refused: a cross at the side that it ran into."""
        down, across = STEPS[action] if action <= Action.UP else (0, 0)
        x, y = cell.col + 0.5 + 0.42 * across, cell.row + 0.5 + 0.42 * down
        lines = [((x - 0.12, y - slant), (x + 0.12, y + slant)) for slant in (0.12, -0.12)]
        self._stroke(lines, 0.08, color)

    def frame(self, cell: Cell, color: Color, dashed: bool = False) -> None:
        """A frame inside a cell."""
        low, high = 0.08, 0.92
        corners = [(low, low), (high, low), (high, high), (low, high), (low, low)]
        parts = ((0, 0.2), (0.4, 0.6), (0.8, 1)) if dashed else ((0, 1),)
        self._stroke(
            [
                (
                    (cell.col + x + a * (to_x - x), cell.row + y + a * (to_y - y)),
                    (cell.col + x + b * (to_x - x), cell.row + y + b * (to_y - y)),
                )
                for (x, y), (to_x, to_y) in pairwise(corners)
                for a, b in parts
            ],
            0.055,
            color,
        )

    def side(self, cell: Cell, side: Action, color: Color, dashed: bool = False) -> None:
        """A side of a cell: a bar inside it."""
        down, across = STEPS[side]
        x, y = cell.col + 0.5 + 0.36 * across, cell.row + 0.5 + 0.36 * down
        along, beside = abs(down), abs(across)
        parts = ((-0.3, -0.22), (-0.04, 0.04), (0.22, 0.3)) if dashed else ((-0.3, 0.3),)
        lines = [
            ((x + a * along, y + a * beside), (x + b * along, y + b * beside)) for a, b in parts
        ]
        self._stroke(lines, 0.07, color)

    def tag(self, cell: Cell, words: str, color: Color, at: Point) -> None:
        """A small label with its middle at a point of the cell, in fractions."""
        size = int(min(max(self._cell * 0.17, 9 * self._fine), 16 * self._fine))
        picture = font(size).render(words, True, GROUND)
        box = picture.get_rect(center=self._pixels((cell.col + at[0], cell.row + at[1])))
        box.clamp_ip(self._layer.get_rect().inflate(-size, -size // 2))
        pygame.draw.rect(self._layer, color, box.inflate(size * 0.6, size * 0.3), 0, size // 3)
        self._layer.blit(picture, box)

    def finish(self, surface: Surface) -> None:
        """Put all of it on the screen."""
        surface.blit(pygame.transform.smoothscale(self._layer, self._area.size), self._area)

    def _stroke(self, lines: Sequence[Line], width: float, color: Color) -> None:
        # A dark casing below keeps every colour apart from every board.
        for wider, ink in ((0.05, GROUND), (0.0, color)):
            thick = max(1, round((width + wider) * self._cell))
            for start, end in lines:
                pygame.draw.line(self._layer, ink, self._pixels(start), self._pixels(end), thick)
                for point in (start, end):
                    pygame.draw.circle(self._layer, ink, self._pixels(point), thick / 2)

    def _pixels(self, point: Point) -> Point:
        return point[0] * self._cell, point[1] * self._cell
