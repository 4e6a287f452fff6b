"""Which split a layout belongs to: its content decides, up to rotations and reflections."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Literal, cast

from vsp_envs.core.layout import Layout, LayoutBatch, canonical_ids
from vsp_envs.utils.choices import pick_name
from vsp_envs.utils.files import decoded

Split = Literal["train", "val", "test"]
SPLITS: dict[Split, float] = {"train": 0.8, "val": 0.1, "test": 0.1}
"""Share of all layout classes in each split."""


def read_hashes(path: str | Path) -> frozenset[str]:
    """Canonical hashes from a file, one per line; empty lines and `#` comments are skipped.

    Raises ValueError for a line that is not a hash.
    """
    text = decoded(Path(path).read_bytes(), errors="replace")
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    hashes = frozenset(filter(None, lines))
    for each in hashes:
        if not re.fullmatch("[0-9a-f]{16}", each):
            raise ValueError(f"{path}: {each!r} is no hash of 16 hexadecimal digits")
    return hashes


def splits_of(boards: LayoutBatch) -> list[Split]:
    """The split of each board."""
    return [split_of_id(each) for each in canonical_ids(boards)]


@lru_cache(maxsize=65536)
def split_of(layout: Layout) -> Split:
    """`train`, `val` or `test`: it depends only on the layout's canonical hash."""
    return splits_of(LayoutBatch.stack([layout]))[0]


def check_split(split: str | None) -> Split | None:
    """`split` itself; None means all layouts. Raises ValueError for an unknown split."""
    return None if split is None else cast(Split, pick_name("split", split, SPLITS))


def split_of_id(canonical_id: str) -> Split:
    """The split of all layouts with that canonical hash."""
    share = int(canonical_id, 16) / 16 ** len(canonical_id)
    for name, width in SPLITS.items():
        share -= width
        if share < 0:
            return name
    return name
