"""The difference of two runs' rates, on the same boards or on different ones.

On the same boards: Newcombe's interval for paired proportions (1998, method 10, which combines the
Wilson limits of both with the correlation of the answers), and the exact McNemar test on the boards
that only one of the two solved. On different boards: Newcombe's interval for independent
proportions, and Fisher's exact test where counts are small, else a chi-square test with Yates's
correction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import scipy  # its modules are loaded when they are used

from evaluation.rates import Rate, wilson

FEWEST_EXPECTED = 5
"""Cochran's rule: chi-square holds if every cell of the table is expected to have so many."""


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
    unpaired: int = 0
    """How many of `n` are episodes of runs that share no board."""


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
    difference, n = first.value - second.value, first.n + second.n
    return Gap(difference, n, low, high, independent_p(first, second), unpaired=n)


def mean_gap(gaps: Sequence[Gap]) -> Gap:
    """The unweighted mean of independent differences with its MOVER interval."""
    count = len(gaps)
    value = sum(gap.value for gap in gaps) / count
    below = math.hypot(*(gap.value - gap.low for gap in gaps)) / count
    above = math.hypot(*(gap.high - gap.value for gap in gaps)) / count
    firsts, seconds = sum(gap.first_only for gap in gaps), sum(gap.second_only for gap in gaps)
    n, unpaired = sum(gap.n for gap in gaps), sum(gap.unpaired for gap in gaps)
    p = gaps[0].p if count == 1 else None
    return Gap(value, n, value - below, value + above, p, firsts, seconds, unpaired)


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
    tosses = first_only + second_only
    return float(scipy.stats.binomtest(first_only, tosses).pvalue) if tosses else 1.0


def independent_p(first: Rate, second: Rate) -> float:
    """Two-sided p of equal rates; 1 if no rate varies."""
    solved = [round(rate.value * rate.n) for rate in (first, second)]
    table = [[right, rate.n - right] for right, rate in zip(solved, (first, second), strict=True)]
    if 0 in (sum(column) for column in zip(*table, strict=True)):
        return 1.0
    if scipy.stats.contingency.expected_freq(table).min() < FEWEST_EXPECTED:
        return float(scipy.stats.fisher_exact(table).pvalue)
    return float(scipy.stats.chi2_contingency(table).pvalue)


def _limits(one: Rate, other: Rate, alike: float) -> tuple[float, float]:
    difference = one.value - other.value
    down, up = one.value - one.low, other.high - other.value
    below = math.sqrt(max(0.0, down**2 - 2 * alike * down * up + up**2))
    up, down = one.high - one.value, other.value - other.low
    above = math.sqrt(max(0.0, up**2 - 2 * alike * up * down + down**2))
    return max(-1.0, difference - below), min(1.0, difference + above)
