"""MiniBehaviour pictures: a red triangle, a white printer and a tan table on a black floor."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image

from vsp_envs.core.layout import Int, Layout, LayoutBatch, UInt8
from vsp_envs.rendering.canvas import BLACK, WHITE, Canvas, Painter
from vsp_envs.tasks.minibehaviour.rules import (
    CARRIED,
    DELIVERED,
    FLOOR,
    PRINTER,
    TABLE,
    WAITING,
    drop_cells,
)

PRINTER_ON_TABLE = 4
"""Appearance code of a cell, beside FLOOR, TABLE and PRINTER."""
AGENT, CARRYING = 8, 16
"""Added to FLOOR where the agent stands: AGENT alone, or both with the printer in hand."""

_WOOD, _WOOD_DARK = (176, 124, 72), (140, 94, 52)
_GRID_LINE, _TAN, _RED = (60, 60, 60), (181, 143, 96), (255, 24, 16)


def appearance(layout: Layout, state: int) -> Int:
    """int64[level, level]: what is in each cell, and the agent with or without the printer."""
    phase, cell = divmod(state, layout.level**2)
    codes = np.frombuffer(layout.grid, np.uint8).astype(np.int64)
    if phase != WAITING:
        codes[layout.cells[1]] = FLOOR
    if phase == DELIVERED:
        codes[drop_cells(LayoutBatch.stack([layout]), np.array([cell]))] = PRINTER_ON_TABLE
    codes[cell] += AGENT + CARRYING * (phase == CARRIED)
    return codes.reshape(layout.level, layout.level)


def classic(canvas: Canvas, code: int) -> None:
    """The reference's drawing; the carried and the delivered printer are our additions."""
    thing = code % AGENT
    canvas.fill(_TAN if thing in (TABLE, PRINTER_ON_TABLE) else BLACK)
    width, height = canvas.image.size
    canvas.pen.line((0, 0, width, 0), _GRID_LINE)
    canvas.pen.line((0, 0, 0, height), _GRID_LINE)
    if thing in (PRINTER, PRINTER_ON_TABLE):
        _printer(canvas)
    if code & AGENT:
        canvas.polygon([(0.22, 0.2), (0.78, 0.5), (0.22, 0.8)], _RED)
    if code & CARRYING:
        _printer(canvas.within(0.17, 0.25, 0.5))


def _printer(canvas: Canvas) -> None:
    """Measured on the reference's pictures, to which the third digit matters."""
    canvas.rectangle((0.325, 0.24, 0.675, 0.5), WHITE)
    canvas.rectangle((0.315, 0.5, 0.685, 0.76), WHITE)
    canvas.rounded((0.21, 0.375, 0.79, 0.615), 0.04, WHITE)
    canvas.rounded((0.335, 0.481, 0.72, 0.531), 0.025, BLACK)
    canvas.ellipse((0.28, 0.4275, 0.35, 0.4975), BLACK)


def minigrid(canvas: Canvas, code: int) -> None:
    """Minigrid's floor and agent, with a table and a printer drawn by its helpers."""
    size = canvas.image.size
    large = max(size) > _TILE
    picture = Image.fromarray(_tile(code))
    canvas.paste(picture.resize(size, Image.Resampling.BICUBIC if large else Image.Resampling.BOX))


_TILE = 240  # px: Minigrid's helpers ask a Python function for every pixel


@lru_cache(maxsize=32)
def _tile(code: int) -> UInt8:
    from minigrid.core.constants import COLORS
    from minigrid.core.world_object import Floor
    from minigrid.utils.rendering import fill_coords, point_in_rect, point_in_triangle

    tile = np.zeros((_TILE, _TILE, 3), np.uint8)
    thing = code % AGENT
    if thing in (TABLE, PRINTER_ON_TABLE):
        fill_coords(tile, point_in_rect(0, 1, 0, 1), _WOOD)
        for top in (0.0, 0.25, 0.5, 0.75):
            fill_coords(tile, point_in_rect(0, 1, top, top + 0.02), _WOOD_DARK)
    else:
        Floor("grey").render(tile)
    fill_coords(tile, point_in_rect(0, 0.031, 0, 1), COLORS["grey"])
    fill_coords(tile, point_in_rect(0, 1, 0, 0.031), COLORS["grey"])
    if thing in (PRINTER, PRINTER_ON_TABLE):
        _device(tile, 0.18, 0.2, 0.66)
    if code & AGENT:
        triangle = point_in_triangle((0.12, 0.19), (0.87, 0.50), (0.12, 0.81))
        fill_coords(tile, triangle, COLORS["red"])
    if code & CARRYING:
        _device(tile, 0.16, 0.33, 0.36)
    return tile


def _device(tile: UInt8, left: float, top: float, side: float) -> None:
    from minigrid.core.constants import COLORS
    from minigrid.utils.rendering import fill_coords, point_in_circle, point_in_rect

    def box(x: float, y: float, width: float, height: float, color: tuple[int, int, int]) -> None:
        west, north = left + x * side, top + y * side
        fill_coords(
            tile, point_in_rect(west, west + width * side, north, north + height * side), color
        )

    box(0.2, 0, 0.6, 0.4, WHITE)  # paper
    box(0, 0.32, 1, 0.48, (205, 210, 218))
    box(0, 0.72, 1, 0.08, (150, 156, 166))
    box(0.16, 0.56, 0.68, 0.08, BLACK)
    box(0.22, 0.6, 0.56, 0.38, WHITE)
    for y in (0.72, 0.82):
        box(0.3, y, 0.4, 0.04, (130, 150, 200))
    light = point_in_circle(left + 0.88 * side, top + 0.43 * side, 0.045 * side)
    fill_coords(tile, light, COLORS["green"])


THEMES: dict[str, Painter] = {"classic": classic, "minigrid": minigrid}
