"""Boards as data: actions, outcomes, layouts and their content hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vsp_envs.core.registry import find_task
from vsp_envs.utils.choices import pick_name

UInt8 = NDArray[np.uint8]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]


class Action(IntEnum):
    """What an agent can do. The number is the Gymnasium action and the solver's tie-break."""

    LEFT = 0
    DOWN = 1
    RIGHT = 2
    UP = 3
    PICK = 4
    DROP = 5


MOVES = (Action.LEFT, Action.DOWN, Action.RIGHT, Action.UP)


class Outcome(IntEnum):
    """What an action leads to. SUCCESS and FAILURE are final; ILLEGAL leaves the state as is."""

    RUNNING = 0
    SUCCESS = 1
    FAILURE = 2
    ILLEGAL = 3


class Cell(NamedTuple):
    """A cell of the board, 0-based from the top left; written `(row,col)` everywhere."""

    row: int
    col: int

    def __str__(self) -> str:
        return f"({self.row},{self.col})"


class LayoutError(ValueError):
    """The data is not a layout of the task; the message names what is wrong."""


class NoLayoutError(ValueError):
    """No layout satisfies what was asked for, or none was found in bounded time."""


@dataclass(frozen=True)
class Layout:
    """One board before the first move. Immutable and hashable; equal boards are equal objects.

    `grid` holds level × level codes row by row, whose meaning is the task's own (see its
    `rules.py`); `cells` holds the task's landmarks as flat indices `row * level + col`.
    """

    task: str
    level: int
    grid: bytes
    cells: tuple[int, ...]

    def cell(self, landmark: str) -> Cell:
        """The cell of a landmark of the task, for example `layout.cell("start")`.

        Raises ValueError for a landmark that the task does not have.
        """
        known = find_task(self.task).landmarks
        index = known.index(pick_name(f"landmark of {self.task}", landmark, known))
        return Cell(*divmod(self.cells[index], self.level))

    def codes(self) -> UInt8:
        """The grid as a fresh uint8[level, level] array."""
        return np.frombuffer(self.grid, np.uint8).reshape(self.level, self.level).copy()

    @property
    def layout_id(self) -> str:
        """Content hash of the board, 16 hexadecimal digits."""
        return layout_id(self)

    def to_data(self) -> dict[str, Any]:
        """The board as JSON data; `load_layout(layout.task, layout.to_data())` gives it back."""
        data: dict[str, Any] = find_task(self.task).dump(self)
        return data


@dataclass(frozen=True, eq=False)
class LayoutBatch:
    """Many layouts of one task and level as arrays, one board per row."""

    task: str
    level: int
    grid: UInt8  # [board, level, level]
    cells: Int  # [board, landmark]

    @classmethod
    def stack(cls, layouts: Sequence[Layout]) -> LayoutBatch:
        """Layouts of one task and level as arrays."""
        task, level = layouts[0].task, layouts[0].level
        grid = np.frombuffer(b"".join(each.grid for each in layouts), np.uint8)
        cells = np.array([each.cells for each in layouts], np.int64)
        return cls(task, level, grid.reshape(len(layouts), level, level), cells)

    def __len__(self) -> int:
        return len(self.grid)

    def __getitem__(self, rows: Any) -> LayoutBatch:
        """The boards that an index array, mask or slice selects."""
        return LayoutBatch(self.task, self.level, self.grid[rows], self.cells[rows])

    def layout(self, row: int) -> Layout:
        """One board as a Layout."""
        cells = tuple(int(cell) for cell in self.cells[row])
        return Layout(self.task, self.level, self.grid[row].tobytes(), cells)

    def flat(self) -> UInt8:
        """The grids with one axis of cells: uint8[board, level * level]."""
        return self.grid.reshape(len(self), self.level**2)


@lru_cache(maxsize=65536)
def layout_id(layout: Layout) -> str:
    """Content hash of a layout: 16 hexadecimal digits of SHA-256."""
    return layout_ids(LayoutBatch.stack([layout]))[0]


def layout_ids(boards: LayoutBatch) -> list[str]:
    """Content hash of each board."""
    return [_digest(boards.task, each.tobytes()) for each in find_task(boards.task).pattern(boards)]


def canonical_ids(boards: LayoutBatch) -> list[str]:
    """A content hash per board that its rotations and reflections share."""
    pattern = find_task(boards.task).pattern(boards)
    images = [np.rot90(side, turn, (1, 2)) for side in _mirrored(pattern) for turn in range(4)]
    rows = [_rows(image) for image in images]  # eight lists, one row per board in each
    return [_digest(boards.task, min(same)) for same in zip(*rows, strict=True)]


def canonical_id(layout: Layout) -> str:
    """Content hash that a layout shares with its rotations and reflections."""
    return canonical_ids(LayoutBatch.stack([layout]))[0]


def _mirrored(pattern: UInt8) -> tuple[UInt8, UInt8]:
    return pattern, pattern[:, :, ::-1]


def _rows(pattern: UInt8) -> list[bytes]:
    # The shape is part of the content: 2×3 and 3×2 patterns with the same bytes differ.
    shape = bytes(pattern.shape[1:])
    return [shape + row.tobytes() for row in pattern]


def _digest(task: str, content: bytes) -> str:
    return hashlib.sha256(task.encode() + b"\0" + content).hexdigest()[:16]
