"""MiniBehaviour with Minigrid's floor and agent.

In a file of its own because Minigrid takes as long to import as the rest of `vsp_envs`.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from minigrid.core.constants import COLORS
from minigrid.core.world_object import Floor
from minigrid.utils.rendering import (
    fill_coords,
    point_in_circle,
    point_in_rect,
    point_in_triangle,
)
from PIL import Image

from vsp_envs.core.layout import UInt8
from vsp_envs.rendering.canvas import BLACK, WHITE, Canvas
from vsp_envs.tasks.minibehaviour.render import AGENT, CARRYING, PRINTER_ON_TABLE
from vsp_envs.tasks.minibehaviour.rules import PRINTER, TABLE

_WOOD, _WOOD_DARK = (176, 124, 72), (140, 94, 52)


def paint(canvas: Canvas, code: int) -> None:
    """Minigrid's floor and agent, with a table and a printer drawn by its helpers."""
    size = canvas.image.size
    large = max(size) > _TILE
    picture = Image.fromarray(_tile(code))
    canvas.paste(picture.resize(size, Image.Resampling.BICUBIC if large else Image.Resampling.BOX))


_TILE = 240  # px: Minigrid's helpers ask a Python function for every pixel


@lru_cache(maxsize=32)
def _tile(code: int) -> UInt8:
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
