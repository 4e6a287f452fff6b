"""Which layout an environment plays next: the scalar and vector environments share the order."""

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
    """The layouts that one environment has sampled and not played yet, per level.

    A reset samples a level, then takes the oldest unplayed layout of that level. If there is none,
    a block of candidates is sampled and all that meet the spec are kept; the first block is small,
    since many seeds are used for one layout only. So the layouts depend only on the seed and the
    resets, and one layout costs a fraction of a block.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.layouts: dict[int, deque[Queued]] = defaultdict(deque)
        self.block = _FIRST_BLOCK

    def generator(self) -> np.random.Generator:
        """The random generator of the layouts."""
        return self.rng

    def unplayed(self) -> list[Queued]:
        """All layouts that are left."""
        return [layout for layouts in self.layouts.values() for layout in layouts]


def next_layouts(
    queues: Sequence[LayoutQueue[Queued]],
    levels: tuple[int, int],
    spec: LayoutSpec,
    keep: Callable[[SampledLayouts], Sequence[Queued]],
) -> list[Queued]:
    """The next layout of each queue; `levels` is (low, high).

    `keep` turns sampled boards into what a queue holds. Empty queues are filled together, each
    from its own random generator.
    """
    low, high = levels
    wanted = [int(queue.rng.integers(low, high + 1)) if low < high else low for queue in queues]
    empty: dict[tuple[int, int], list[LayoutQueue[Queued]]] = defaultdict(list)
    for queue, level in zip(queues, wanted, strict=True):
        if not queue.layouts[level]:
            empty[level, queue.block].append(queue)
            queue.block = _BLOCK
    for (level, block), some in empty.items():
        rngs = [queue.rng for queue in some]
        for sampled in sample_blocks(replace(spec, level=level), rngs, block):
            for i, layout in zip(sampled.owner, keep(sampled), strict=True):
                some[i].layouts[level].append(layout)
    return [queue.layouts[level].popleft() for queue, level in zip(queues, wanted, strict=True)]
