"""Boards in Minigrid's encoding, for tools that read it."""

from __future__ import annotations

import numpy as np
from minigrid.core.constants import COLOR_TO_IDX, OBJECT_TO_IDX, STATE_TO_IDX
from minigrid.core.grid import Grid
from minigrid.core.world_object import WorldObj

from vsp_envs.core.layout import Layout, LayoutBatch, UInt8
from vsp_envs.core.task import Task


def encode(task: Task, layout: Layout, state: int) -> UInt8:
    """uint8[width, height, 3] as `minigrid.core.grid.Grid.encode` gives it, the agent included."""
    kinds = _kinds(task, layout, state)
    grid = Grid(kinds.shape[1], kinds.shape[0])
    for (row, col), kind in np.ndenumerate(kinds):
        if kind != "empty":
            thing = WorldObj.decode(OBJECT_TO_IDX[kind], COLOR_TO_IDX["grey"], STATE_TO_IDX["open"])
            grid.set(col, row, thing)
    code = np.array(grid.encode(), np.uint8)
    stride = (len(kinds) - 1) // layout.level
    row, col = (stride * each + 1 for each in divmod(state % layout.level**2, layout.level))
    code[col, row] = OBJECT_TO_IDX["agent"], COLOR_TO_IDX["red"], 0
    return code


def _kinds(task: Task, layout: Layout, state: int) -> np.ndarray:
    """Names of Minigrid's objects, walls around them: str[height, width]."""
    boards = LayoutBatch.stack([layout])
    parts = task.symbolic(boards, np.array([state]), layout.level)
    now = next(part for part in parts.values() if part.ndim == 3)
    pattern = task.pattern(LayoutBatch(task.name, layout.level, now, boards.cells))[0]
    kinds = np.array([task.minigrid.get(code, "empty") for code in range(int(pattern.max()) + 1)])
    inside = kinds[pattern]
    return inside if len(inside) > layout.level else np.pad(inside, 1, constant_values="wall")
