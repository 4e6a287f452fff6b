"""How fast a work grows with its length, by the processor's time: that of others does not count."""

from __future__ import annotations

import time
from collections.abc import Callable


def growth(work: Callable[[int], object], length: int) -> float:
    """Time for ten times the length over that for `length`: 10 is linear, 100 is square.

    What takes less than 10 ms is counted as that much: a short time says nothing.
    """

    def seconds(length: int) -> float:
        began = time.process_time()
        work(length)
        return max(time.process_time() - began, 0.01)

    return seconds(10 * length) / seconds(length)
