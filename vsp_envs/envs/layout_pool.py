"""Different layouts that are dealt again and again, each once per round, and at times renewed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vsp_envs.core.generator import LayoutSpec, SampledLayouts, sample_blocks
from vsp_envs.core.layout import Int, layout_ids
from vsp_envs.envs.config import EnvConfig
from vsp_envs.envs.layout_store import LayoutStore

_BLOCK = 1024
_PATIENCE = 4
"""Blocks in a row without a new layout after which a space counts as exhausted."""


class LayoutPool:
    """`size` different layouts, fewer where the space holds fewer, in a new order each round.

    After `rounds` rounds other layouts are drawn in their place; with None that is never.
    """

    def __init__(
        self,
        config: EnvConfig,
        store: LayoutStore,
        size: int,
        rng: np.random.Generator,
        rounds: int | None = None,
    ) -> None:
        self._config, self._store, self._size, self._rng = config, store, size, rng
        self._rounds, self._left = rounds, rounds
        self._rows = self._draw()
        self._dealt = len(self._rows)
        self._old: set[int] = set()
        """Rows of layouts that were replaced while an environment played them."""

    def next_layouts(self, count: int, in_play: Int) -> Int:
        """Rows of the next layouts; `in_play` are the rows that the environments hold now."""
        dealt = self._next(count)
        while len(dealt) < count:
            self._begin_round(np.concatenate([in_play, dealt]))
            dealt = np.concatenate([dealt, self._next(count - len(dealt))])
        return dealt

    def _next(self, most: int) -> Int:
        rows = self._rows[self._dealt : self._dealt + most]
        self._dealt += len(rows)
        return rows

    def _begin_round(self, in_play: Int) -> None:
        if self._left == 0:
            self._old.update(self._rows.tolist())
            free = self._old.difference(in_play.tolist())
            self._old -= free
            self._store.free(free)
            self._rows, self._left = self._draw(), self._rounds
        if self._left is not None:
            self._left -= 1
        self._rows = self._rng.permutation(self._rows)
        self._dealt = 0

    def _draw(self) -> Int:
        low, high = self._config.levels
        bounds = np.linspace(0, self._size, high - low + 2).astype(int)
        rows: list[int] = []
        for level, share in enumerate(np.diff(bounds).tolist(), start=low):
            rows += _fill(replace(self._config.spec, level=level), self._store, share, self._rng)
        return np.array(rows)


def _fill(spec: LayoutSpec, store: LayoutStore, size: int, rng: np.random.Generator) -> list[int]:
    """Rows of up to `size` different layouts."""
    rows: list[int] = []
    known: set[str] = set()
    barren = 0
    while len(rows) < size and barren < _PATIENCE:
        for drawn in sample_blocks(spec, [rng], _BLOCK):
            new = []
            for row, each in enumerate(layout_ids(drawn.boards.boards)):
                if each not in known and len(known) < size:
                    known.add(each)
                    new.append(row)
            rows += store.add(SampledLayouts(drawn.boards[new], [0] * len(new)))
            barren = 0 if new else barren + 1
    return rows
