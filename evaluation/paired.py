"""The difference of two runs' rates, on the same boards or on different ones.

On the same boards: Newcombe's interval for paired proportions (1998, method 10, which combines the
Wilson limits of both with the correlation of the answers), and the exact McNemar test on the boards
that only one of the two solved. On different boards: Newcombe's interval for independent
proportions, and a chi-square test with Yates's correction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from evaluation.rates import Rate, wilson


class Gap(NamedTuple):
    """A difference of two rates, first − second, with its 95 % interval."""

    value: float
    n: int
    """Pairs; for independent runs the episodes of both."""
    low: float
    high: float
    p: float | None = None
    """Two-sided probability of so large a difference by chance; None for means over levels."""
    first_only: int = 0
    """Boards that only the first solved; 0 for independent runs."""
    second_only: int = 0


def paired_gap(first: Sequence[bool], second: Sequence[bool]) -> Gap:
    """The difference on the same boards, in the same order. Raises ValueError for none."""
    if len(first) != len(second) or not first:
        raise ValueError(f"pairs need equally many results, got {len(first)} and {len(second)}")
    both = sum(one and other for one, other in zip(first, second, strict=True))
    first_only, second_only = sum(first) - both, sum(second) - both
    neither = len(first) - both - first_only - second_only
    one, other = wilson(sum(first), len(first)), wilson(sum(second), len(second))
    alike = correlation(both, first_only, second_only, neither)
    low, high = _limits(one, other, alike)
    p = mcnemar(first_only, second_only)
    return Gap(one.value - other.value, len(first), low, high, p, first_only, second_only)


def independent_gap(first: Rate, second: Rate) -> Gap:
    """The difference of two rates on different boards."""
    low, high = _limits(first, second, 0.0)
    difference = first.value - second.value
    return Gap(difference, first.n + second.n, low, high, chi_square(first, second))


def mean_gap(gaps: Sequence[Gap]) -> Gap:
    """The unweighted mean of independent differences with its MOVER interval."""
    count = len(gaps)
    value = sum(gap.value for gap in gaps) / count
    below = math.hypot(*(gap.value - gap.low for gap in gaps)) / count
    above = math.hypot(*(gap.high - gap.value for gap in gaps)) / count
    firsts, seconds = sum(gap.first_only for gap in gaps), sum(gap.second_only for gap in gaps)
    p = gaps[0].p if count == 1 else None
    return Gap(value, sum(gap.n for gap in gaps), value - below, value + above, p, firsts, seconds)


def correlation(both: int, first_only: int, second_only: int, neither: int) -> float:
    """Newcombe's phi with his continuity correction; 0 if a margin is empty."""
    margins = (
        (both + first_only) * (second_only + neither)
        * (both + second_only) * (first_only + neither)
    )  # fmt: skip
    if margins == 0:
        return 0.0
    excess: float = both * neither - first_only * second_only
    if excess > 0:
        excess = max(0, excess - (both + first_only + second_only + neither) / 2)
    return excess / math.sqrt(margins)


def mcnemar(first_only: int, second_only: int) -> float:
    """Exact two-sided McNemar test: boards that only one solved, as tosses of a fair coin."""
    tosses, fewer = first_only + second_only, min(first_only, second_only)
    tail = sum(math.comb(tosses, heads) for heads in range(fewer + 1))
    return min(1.0, 2 * tail / 2**tosses)


def chi_square(first: Rate, second: Rate) -> float:
    """Two-sided p of equal rates by chi-square with Yates's correction; 1 if no rate varies."""
    successes = first.value * first.n + second.value * second.n
    pooled = successes / (first.n + second.n)
    spread = pooled * (1 - pooled) * (1 / first.n + 1 / second.n)
    if spread == 0:
        return 1.0
    corrected = abs(first.value - second.value) - (1 / first.n + 1 / second.n) / 2
    return math.erfc(max(0.0, corrected) / math.sqrt(2 * spread))


def _limits(one: Rate, other: Rate, alike: float) -> tuple[float, float]:
    difference = one.value - other.value
    down, up = one.value - one.low, other.high - other.value
    below = math.sqrt(max(0.0, down**2 - 2 * alike * down * up + up**2))
    up, down = one.high - one.value, other.value - other.low
    above = math.sqrt(max(0.0, up**2 - 2 * alike * up * down + down**2))
    return max(-1.0, difference - below), min(1.0, difference + above)
