"""A fixed set of different layouts that are dealt again and again, each once per round."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vsp_envs.generate import Drawn, LayoutSpec, draw_blocks
from vsp_envs.settings import Settings
from vsp_envs.splits import layout_ids
from vsp_envs.store import Store
from vsp_envs.task import Int

_BLOCK = 1024
_PATIENCE = 4
"""Blocks in a row without a new layout after which a space counts as exhausted."""


class Pool:
    """`size` different layouts, fewer where the space holds fewer, in a new order each round."""

    def __init__(
        self, settings: Settings, store: Store, size: int, rng: np.random.Generator
    ) -> None:
        low, high = settings.levels
        bounds = np.linspace(0, size, high - low + 2).astype(int)
        rows: list[int] = []
        for level, share in enumerate(np.diff(bounds).tolist(), start=low):
            rows += _fill(replace(settings.wish, level=level), store, share, rng)
        self._rows, self._rng, self._dealt = np.array(rows), rng, len(rows)

    def deal(self, count: int) -> Int:
        """Rows of the next layouts."""
        dealt = []
        while count > 0:
            if self._dealt == len(self._rows):
                self._rng.shuffle(self._rows)
                self._dealt = 0
            dealt.append(self._rows[self._dealt : self._dealt + count].copy())
            self._dealt += len(dealt[-1])
            count -= len(dealt[-1])
        return np.concatenate(dealt)


def _fill(spec: LayoutSpec, store: Store, size: int, rng: np.random.Generator) -> list[int]:
    """Rows of up to `size` different layouts."""
    rows: list[int] = []
    known: set[str] = set()
    barren = 0
    while len(rows) < size and barren < _PATIENCE:
        for drawn in draw_blocks(spec, [rng], _BLOCK):
            new = []
            for row, each in enumerate(layout_ids(drawn.boards.boards)):
                if each not in known and len(known) < size:
                    known.add(each)
                    new.append(row)
            rows += store.add(Drawn(drawn.boards[new], [0] * len(new)))
            barren = 0 if new else barren + 1
    return rows
