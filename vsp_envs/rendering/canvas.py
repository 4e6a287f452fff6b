"""The canvas on which a theme paints one cell of a board."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from vsp_envs.core.layout import UInt8

Color = tuple[int, int, int]
Point = tuple[float, float]  # (across, down) from the top left, in fractions of the canvas's square
Box = tuple[float, float, float, float]  # left, top, right, bottom, likewise

BLACK, WHITE = (0, 0, 0), (255, 255, 255)


class Canvas:
    """The whole pixels of one cell, and the exact square that the cell is.

    A board of side 256 px and level 5 has cells of 51.2 px: `image` is 51 or 52 px wide, the
    square is 51.2 px wide and begins a fraction of a pixel (`left`, `top`) after the first pixel.
    The drawing methods take fractions of the square; `pen` draws in pixels of `image`.
    """

    def __init__(self, image: Image.Image, left: float, top: float, side: float) -> None:
        self.image, self.pen = image, ImageDraw.Draw(image)
        self.left, self.top, self.side = left, top, side

    def within(self, across: float, down: float, scale: float) -> Canvas:
        """A smaller square on the same pixels: its top left corner and its side as fractions."""
        left, top = self._pixels((across, down))
        return Canvas(self.image, left, top, self.side * scale)

    def fill(self, color: Color) -> None:
        """Paint every pixel."""
        self.image.paste(color, (0, 0, *self.image.size))

    def paste(self, picture: Image.Image) -> None:
        """Paint every pixel from a picture of the same size."""
        self.image.paste(picture)

    def rectangle(self, box: Box, color: Color) -> None:
        """Paint a box; its right and bottom pixels are part of it, as in every box here."""
        self.pen.rectangle(self._pixels(box), color)

    def rounded(self, box: Box, radius: float, color: Color) -> None:
        """Paint a box with round corners."""
        self.pen.rounded_rectangle(self._pixels(box), radius * self.side, color)

    def ellipse(self, box: Box, color: Color) -> None:
        """Paint the ellipse that touches the sides of a box."""
        self.pen.ellipse(self._pixels(box), color)

    def disc(self, center: Point, radius: float, color: Color) -> None:
        """Paint a disc."""
        across, down = center
        self.ellipse((across - radius, down - radius, across + radius, down + radius), color)

    def polygon(self, points: Sequence[Point], color: Color) -> None:
        """Paint the inside of a closed line."""
        self.pen.polygon([self._pixels(point) for point in points], color)

    def line(self, points: Sequence[Point], width: float, color: Color) -> None:
        """Paint a line with round ends and joints; `width` is a fraction too."""
        thick = max(1, round(width * self.side))
        self.pen.line([self._pixels(point) for point in points], color, thick)
        for point in points:
            self.disc(point, width / 2, color)

    def _pixels(self, fractions: Sequence[float]) -> tuple[float, ...]:
        corner = (self.left, self.top)
        return tuple(corner[i % 2] + each * self.side for i, each in enumerate(fractions))


Painter = Callable[[Canvas, int], None]
"""A theme: paints the cell whose appearance has that code (see the task's `appearance`)."""


def smooth(art: Painter) -> Painter:
    """A painter that draws a whole square cell large, by `art`, and averages it down."""

    @lru_cache(maxsize=512)
    def picture(size: tuple[int, int], code: int) -> Image.Image:
        side = max(512, 3 * max(size))  # thin lines break up below 512 px
        canvas = Canvas(Image.new("RGB", (side, side)), 0, 0, side)
        art(canvas, code)
        return canvas.image.resize(size, Image.Resampling.BOX)

    def paint(canvas: Canvas, code: int) -> None:
        canvas.paste(picture(canvas.image.size, code))

    return paint


def paint_cell(
    painter: Painter, level: int, image_size: int, row_rest: int, col_rest: int, code: int
) -> UInt8:
    """One cell as uint8[height, width, 3].

    Cell (row, col) begins `row * image_size / level` px from the top; `row_rest` is the remainder
    of that division, and all that the picture has to know of its row; `col_rest` likewise.
    """
    size = (col_rest + image_size) // level, (row_rest + image_size) // level
    image = Image.new("RGB", size)
    painter(Canvas(image, col_rest / level, row_rest / level, image_size / level), code)
    return np.array(image)
