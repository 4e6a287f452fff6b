"""MiniBehaviour pictures: a red triangle, a white printer and a tan table on a black floor."""

from __future__ import annotations

import numpy as np

from vsp_envs.core.layout import Int, Layout, LayoutBatch
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


THEMES: dict[str, Painter | str] = {
    "classic": classic,
    "minigrid": "vsp_envs.tasks.minibehaviour.minigrid_theme:paint",
}
