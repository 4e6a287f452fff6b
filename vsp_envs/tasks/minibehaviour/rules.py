"""MiniBehaviour: fetch the printer and drop it on the table.

The VSP/VisualPlanning simplification of mini-BEHAVIOR's InstallingAPrinter: no turning, no
dimensions, no toggling. The table is 2 rows × 3 columns and never entered; the printer blocks its
cell until it is picked up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from operator import index
from typing import Any

import numpy as np
from gymnasium import spaces

from vsp_envs.core.grid import STEPS, beside, moves, padded, positions
from vsp_envs.core.layout import Action, Cell, Int, Layout, LayoutBatch, LayoutError, Outcome, UInt8
from vsp_envs.core.layout_io import need, read_cell
from vsp_envs.core.task import TransitionTables, check_level, get_task

FLOOR, TABLE, PRINTER = 1, 2, 3
"""Codes of the grid, in layouts and in observations alike."""
AGENT = 4
"""The agent's code in `pattern`."""
WAITING, CARRIED, DELIVERED = 0, 1, 2
"""Phases of a state: where the printer is. DELIVERED is final."""
TABLE_ROWS, TABLE_COLS = 2, 3
REASONS = (
    "off_grid", "table", "printer", "not_beside_printer", "already_carrying", "not_beside_table",
    "empty_handed",
)  # fmt: skip
(
    _OFF_GRID, _TABLE, _PRINTER, _NOT_BESIDE_PRINTER, _ALREADY_CARRYING, _NOT_BESIDE_TABLE,
    _EMPTY_HANDED,
) = range(len(REASONS))  # fmt: skip


def load(data: Mapping[str, Any], level: int | None = None) -> Layout:
    """`{"start": [r, c], "printer": [r, c], "table": six cells}` → layout; see `load_layout`."""
    task = get_task("minibehaviour")
    need("minibehaviour", data, "start", "printer", "table")
    try:
        table = [(index(row), index(col)) for row, col in data["table"]]
        size = data.get("level") if level is None else level
        if size is None:
            cells = [data["start"], data["printer"], *table]
            reach = max(index(value) for cell in cells for value in cell) + 1
            size = next((known for known in task.paper_levels if known >= reach), reach)
    except (TypeError, ValueError) as error:
        raise LayoutError(f"a room has start, printer and six table cells ({error})") from None
    size = check_level(task, size)
    row, col = min(table, default=(0, 0))
    if sorted(table) != [(row + r, col + c) for r in range(TABLE_ROWS) for c in range(TABLE_COLS)]:
        raise LayoutError(f"the table is {TABLE_ROWS} rows × {TABLE_COLS} columns, got {table}")
    for corner in (min(table), max(table)):
        read_cell({"table": corner}, "table", size)
    start, printer = read_cell(data, "start", size), read_cell(data, "printer", size)
    if start == printer or start in table or printer in table:
        raise LayoutError(f"start {start}, printer {printer} and table {table} overlap")
    return furnish(
        size, *(np.array([r * size + c]) for r, c in (start, printer, (row, col)))
    ).layout(0)


def furnish(level: int, start: np.ndarray, printer: np.ndarray, table: np.ndarray) -> LayoutBatch:
    """Rooms from the flat cells of start, printer and the table's top left, int64[board] each."""
    grid = np.full((len(start), level * level), FLOOR, np.uint8)
    board = np.arange(len(start))
    for row in range(TABLE_ROWS):
        for col in range(TABLE_COLS):
            grid[board, table + row * level + col] = TABLE
    grid[board, printer] = PRINTER
    cells = np.stack([start, printer, table], 1)
    return LayoutBatch("minibehaviour", level, grid.reshape(-1, level, level), cells)


def dump(layout: Layout) -> dict[str, Any]:
    """The layout as `{"level", "start", "printer", "table"}`."""
    return {
        "level": layout.level,
        "start": list(layout.cell("start")),
        "printer": list(layout.cell("printer")),
        "table": [list(cell) for cell in table_cells(layout)],
    }


def in_state(layout: Layout, phase: int, agent: int) -> Layout:
    """The room in a state. A printer in hand is in the agent's cell, where it never stands."""
    if phase == WAITING:
        return replace(layout, cells=(agent, *layout.cells[1:]))
    grid = bytearray(layout.grid)
    grid[layout.cells[1]] = FLOOR
    return replace(layout, grid=bytes(grid), cells=(agent, agent, layout.cells[2]))


def is_carried(layout: Layout) -> bool:
    """Whether the layout is a room `in_state` CARRIED."""
    return layout.cells[0] == layout.cells[1]


def table_cells(layout: Layout) -> list[Cell]:
    """The six cells of the table, row by row."""
    row, col = layout.cell("table")
    return [Cell(row + r, col + c) for r in range(TABLE_ROWS) for c in range(TABLE_COLS)]


def neighbours(layout: Layout, cells: list[Cell]) -> list[Cell]:
    """Cells on the board that are 4-adjacent to one of `cells` and not among them, row by row."""
    around = {Cell(row + dr, col + dc) for row, col in cells for dr, dc in STEPS} - set(cells)
    side = range(layout.level)
    return sorted(cell for cell in around if cell.row in side and cell.col in side)


def pattern(boards: LayoutBatch) -> UInt8:
    """The grid with the agent in it."""
    drawn = boards.flat().copy()
    drawn[np.arange(len(boards)), boards.cells[:, 0]] = AGENT
    return drawn.reshape(boards.grid.shape)


def transitions(boards: LayoutBatch) -> TransitionTables:
    """The rules, for many rooms at once. A state is `phase * level**2 + agent's cell`."""
    count, cells = len(boards), boards.level**2
    target, inside = moves(boards.level)
    own = np.arange(cells)[:, None]
    table, printer = boards.flat() == TABLE, boards.flat() == PRINTER
    next_state = np.empty((count, 3, cells, 6), np.int64)
    outcome = np.full((count, 3, cells, 6), Outcome.ILLEGAL, np.uint8)
    for phase, solid in ((WAITING, table | printer), (CARRIED, table)):
        free = inside & ~solid[:, target]  # [board, cell, 4]
        next_state[:, phase, :, :4] = np.where(free, target, own) + phase * cells
        outcome[:, phase, :, :4][free] = Outcome.RUNNING
    next_state[:, :, :, 4:] = np.arange(3 * cells).reshape(3, cells, 1)
    next_state[:, DELIVERED, :, :4] = own + DELIVERED * cells
    at_printer, at_table = beside(boards.level, printer), beside(boards.level, table)
    next_state[:, WAITING, :, Action.PICK] += at_printer * cells
    outcome[:, WAITING, :, Action.PICK][at_printer] = Outcome.RUNNING
    next_state[:, CARRIED, :, Action.DROP] += at_table * cells
    outcome[:, CARRIED, :, Action.DROP][at_table] = Outcome.SUCCESS
    reason = np.empty((count, 3, cells, 6), np.uint8)
    met = np.where(table[:, target], _TABLE, np.uint8(_PRINTER))
    reason[:, :, :, :4] = np.where(inside, met, _OFF_GRID)[:, None]
    reason[:, :, :, 4:] = [[[_NOT_BESIDE_PRINTER, _EMPTY_HANDED]],
                           [[_ALREADY_CARRYING, _NOT_BESIDE_TABLE]],
                           [[_EMPTY_HANDED, _EMPTY_HANDED]]]  # fmt: skip
    shape = (count, 3 * cells, 6)
    return TransitionTables(
        next_state.reshape(shape), outcome.reshape(shape), reason.reshape(shape)
    )


def drop_cells(boards: LayoutBatch, agent: Int) -> Int:
    """Where the delivered printer lies: the first table cell beside the agent in action order."""
    target, inside = moves(boards.level)
    around = target[agent]  # [board, 4]
    table = np.take_along_axis(boards.flat(), around, 1) == TABLE
    first = (table & inside[agent]).argmax(axis=1)
    return np.asarray(around[np.arange(len(agent)), first])


def symbolic(boards: LayoutBatch, state: Int, max_level: int) -> dict[str, Any]:
    """level, grid {0 pad, 1 floor, 2 table, 3 printer}, agent, printer, table (top left), carrying.

    `printer` is (-1, -1) once carried, and its cell on the table once delivered.
    """
    level, board = boards.level, np.arange(len(boards))
    phase, agent = np.divmod(state, level**2)
    grid, gone = boards.flat().copy(), phase != WAITING
    grid[board[gone], boards.cells[gone, 1]] = FLOOR
    printer = positions(boards.cells[:, 1], level)
    printer[phase == CARRIED] = -1
    done = phase == DELIVERED
    printer[done] = positions(drop_cells(boards[done], agent[done]), level)
    return {
        "level": np.full(len(boards), level),
        "grid": padded(grid.reshape(boards.grid.shape), max_level),
        "agent": positions(agent, level),
        "printer": printer,
        "table": positions(boards.cells[:, 2], level),
        "carrying": (phase == CARRIED).astype(np.int64),
    }


def symbolic_space(max_level: int) -> dict[str, spaces.Space[Any]]:
    """The spaces of `symbolic`."""
    return {
        "level": spaces.Discrete(max_level + 1),
        "grid": spaces.Box(0, 3, (max_level, max_level), np.uint8),
        "agent": spaces.Box(0, max_level - 1, (2,), np.int64),
        "printer": spaces.Box(-1, max_level - 1, (2,), np.int64),
        "table": spaces.Box(0, max_level - 1, (2,), np.int64),
        "carrying": spaces.Discrete(2),
    }
