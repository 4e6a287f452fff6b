"""Which split a layout belongs to: decided by its content, equal under the eight symmetries."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from pathlib import Path

import numpy as np

from vsp_envs.task import Boards, Layout, UInt8, get_task, pick_name

SPLITS = {"train": 0.8, "val": 0.1, "test": 0.1}
"""Share of all layout classes in each split."""


@lru_cache(maxsize=65536)
def layout_id(layout: Layout) -> str:
    """Content hash of a layout: 16 hexadecimal digits of SHA-256."""
    return layout_ids(Boards.stack([layout]))[0]


def layout_ids(boards: Boards) -> list[str]:
    """Content hash of each board."""
    return [_digest(boards.task, each.tobytes()) for each in get_task(boards.task).pattern(boards)]


def canonical_ids(boards: Boards) -> list[str]:
    """A content hash per board that its rotations and reflections share."""
    pattern = get_task(boards.task).pattern(boards)
    images = [np.rot90(side, turn, (1, 2)) for side in _mirrored(pattern) for turn in range(4)]
    rows = [_rows(image) for image in images]  # eight lists, one row per board in each
    return [_digest(boards.task, min(same)) for same in zip(*rows, strict=True)]


def canonical_id(layout: Layout) -> str:
    """Content hash that a layout shares with its rotations and reflections."""
    return canonical_ids(Boards.stack([layout]))[0]


def read_hashes(path: str | Path) -> frozenset[str]:
    """Canonical hashes from a file, one per line; empty lines and `#` comments are left out.

    Raises ValueError for a line that is no hash.
    """
    text = Path(path).read_text(encoding="utf-8", errors="replace")
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    hashes = frozenset(filter(None, lines))
    for each in hashes:
        if not re.fullmatch("[0-9a-f]{16}", each):
            raise ValueError(f"{path}: {each!r} is no hash of 16 hexadecimal digits")
    return hashes


def splits_of(boards: Boards) -> list[str]:
    """The split of each board."""
    return [split_of_id(each) for each in canonical_ids(boards)]


@lru_cache(maxsize=65536)
def split_of(layout: Layout) -> str:
    """`train`, `val` or `test`: a function of the layout's canonical hash alone."""
    return splits_of(Boards.stack([layout]))[0]


def check_split(split: str | None) -> str | None:
    """`split` if it is one; otherwise a ValueError. None means all layouts."""
    return None if split is None else pick_name("split", split, SPLITS)


def split_of_id(canonical_id: str) -> str:
    """The split of all layouts with that canonical hash."""
    share = int(canonical_id, 16) / 16 ** len(canonical_id)
    for name, width in SPLITS.items():
        share -= width
        if share < 0:
            return name
    return name


def _mirrored(pattern: UInt8) -> tuple[UInt8, UInt8]:
    return pattern, pattern[:, :, ::-1]


def _rows(pattern: UInt8) -> list[bytes]:
    # The shape is part of the content: a 2×3 and a 3×2 pattern of equal bytes differ.
    shape = bytes(pattern.shape[1:])
    return [shape + row.tobytes() for row in pattern]


def _digest(task: str, content: bytes) -> str:
    return hashlib.sha256(task.encode() + b"\0" + content).hexdigest()[:16]
