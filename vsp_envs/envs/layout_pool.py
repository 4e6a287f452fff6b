"""Different layouts that are played again and again, each once per round."""

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

    After `rounds` rounds other layouts replace them; None: never.
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
        self._rows = self._sample()
        self._taken = len(self._rows)
        self._old: set[int] = set()
        """Rows of replaced layouts that an environment was still playing."""

    def next_layouts(self, count: int, in_play: Int) -> Int:
        """Rows of the next layouts; `in_play` are the rows that the environments hold now."""
        rows = self._next(count)
        while len(rows) < count:
            self._begin_round(np.concatenate([in_play, rows]))
            rows = np.concatenate([rows, self._next(count - len(rows))])
        return rows

    def _next(self, most: int) -> Int:
        rows = self._rows[self._taken : self._taken + most]
        self._taken += len(rows)
        return rows

    def _begin_round(self, in_play: Int) -> None:
        if self._left == 0:
            self._old.update(self._rows.tolist())
            free = self._old.difference(in_play.tolist())
            self._old -= free
            self._store.free(free)
            self._rows, self._left = self._sample(), self._rounds
        if self._left is not None:
            self._left -= 1
        self._rows = self._rng.permutation(self._rows)
        self._taken = 0

    def _sample(self) -> Int:
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
    without_new = 0
    while len(rows) < size and without_new < _PATIENCE:
        for sampled in sample_blocks(spec, [rng], _BLOCK):
            new = []
            for row, each in enumerate(layout_ids(sampled.boards.boards)):
                if each not in known and len(known) < size:
                    known.add(each)
                    new.append(row)
            rows += store.add(SampledLayouts(sampled.boards[new], [0] * len(new)))
            without_new = 0 if new else without_new + 1
    return rows
