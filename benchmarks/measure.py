"""Two ways to do the same work, timed in turns, so that a busy machine slows both."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

Work = Callable[[], int]
"""Does some work and returns how many units of it."""


@dataclass(frozen=True)
class Race:
    """One work and its peer."""

    work: str
    peer: str
    unit: str
    ours: Work
    theirs: Work
    floor: float | None = None
    """The least ratio that is wanted."""
    clock: Callable[[], float] = time.perf_counter
    """Seconds; `time.process_time` counts CPU seconds of all threads together."""


@dataclass(frozen=True)
class Row:
    """The outcome of a race: medians over the rounds."""

    work: str
    peer: str
    ours: float
    """Units per second; for GB the amount."""
    theirs: float
    unit: str
    ratio: float
    """Median of the rounds' ratios."""
    floor: float | None


def run(race: Race, seconds: float) -> Row:
    """Time both in turns, for about `seconds` in all and three rounds at least."""
    for work in (race.ours, race.theirs):
        work()  # fill caches
    rounds: list[tuple[float, float]] = []
    began = time.perf_counter()
    while len(rounds) < 3 or time.perf_counter() - began < seconds:
        rounds.append((speed(race.ours, race.clock), speed(race.theirs, race.clock)))
    ours, theirs = (statistics.median(side) for side in zip(*rounds, strict=True))
    ratio = statistics.median(one / other for one, other in rounds)
    return Row(race.work, race.peer, ours, theirs, race.unit, ratio, race.floor)


def speed(work: Work, clock: Callable[[], float] = time.perf_counter, least: float = 0.03) -> float:
    """Units per second, over at least `least` seconds."""
    units, began = 0, clock()
    while (taken := clock() - began) < least:
        units += work()
    return units / taken


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown."""
    lines = ["| work | peer | ours | theirs | ratio | at least |", "|---|---|---|---|---|---|"]
    for row in rows:
        ours, theirs = (_with_unit(each, row.unit) for each in (row.ours, row.theirs))
        floor = "–" if row.floor is None else f"{row.floor:g}×"
        if row.floor is not None and row.ratio < row.floor:
            floor += " (missed)"
        lines.append(
            f"| {row.work} | {row.peer} | {ours} | {theirs} | {row.ratio:.3g}× | {floor} |"
        )
    return "\n".join(lines)


def _with_unit(number: float, unit: str) -> str:
    # Memory is an amount; everything else is a rate.
    return f"{_short(number)} {unit}" if unit == "GB" else f"{_short(number)} {unit}/s"


def _short(number: float) -> str:
    for size, letter in ((1e6, " M"), (1e3, " k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.3g}"


def save(rows: Sequence[Row], path: Path) -> None:
    """The rows as JSON."""
    path.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
