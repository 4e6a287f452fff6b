"""The endless boards that the examples of training share."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vsp_envs import Layout, LayoutSpec, draw_layouts
from vsp_envs.core.task_level import select_task_levels


def live_layouts(tasks: list[str], split: str, seed: int) -> Iterator[Layout]:
    """Endless boards, one task level after the other."""
    streams = [
        draw_layouts(LayoutSpec(*each, split), np.random.default_rng([seed, i]))
        for i, each in enumerate(select_task_levels(tasks))
    ]
    while True:
        yield from map(next, streams)
