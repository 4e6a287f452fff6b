"""Which layout an environment plays next: the one order that the scalar and vector face share."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Generic, TypeVar

import numpy as np

from vsp_envs.core.generator import LayoutSpec, SampledLayouts, sample_blocks

Queued = TypeVar("Queued")
_FIRST_BLOCK, _BLOCK = 8, 32


class LayoutQueue(Generic[Queued]):
    """The layouts that one environment has drawn and not played yet, per level.

    A reset draws a level, then takes the oldest unplayed layout of that level. Where there is
    none, a block of candidates is drawn (a small one first: often one layout is all that is
    wanted of a seed) and all that meet the wish are kept. So an environment's layouts hang on its
    seed and its resets alone, and a layout costs a fraction of a block.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.layouts: dict[int, deque[Queued]] = defaultdict(deque)
        self.block = _FIRST_BLOCK

    def generator(self) -> np.random.Generator:
        """Where the layouts come from."""
        return self.rng

    def unplayed(self) -> list[Queued]:
        """All cards that are left."""
        return [layout for layouts in self.layouts.values() for layout in layouts]


def next_layouts(
    queues: Sequence[LayoutQueue[Queued]],
    levels: tuple[int, int],
    spec: LayoutSpec,
    keep: Callable[[SampledLayouts], Sequence[Queued]],
) -> list[Queued]:
    """The next layout of each deck; `levels` is (low, high). `keep` turns boards into cards.

    Decks that have run dry are refilled together, each from its own generator.
    """
    low, high = levels
    wanted = [int(queue.rng.integers(low, high + 1)) if low < high else low for queue in queues]
    dry: dict[tuple[int, int], list[LayoutQueue[Queued]]] = defaultdict(list)
    for queue, level in zip(queues, wanted, strict=True):
        if not queue.layouts[level]:
            dry[level, queue.block].append(queue)
            queue.block = _BLOCK
    for (level, block), some in dry.items():
        rngs = [queue.rng for queue in some]
        for drawn in sample_blocks(replace(spec, level=level), rngs, block):
            for i, layout in zip(drawn.owner, keep(drawn), strict=True):
                some[i].layouts[level].append(layout)
    return [queue.layouts[level].popleft() for queue, level in zip(queues, wanted, strict=True)]
