"""The errors of a perception run as the page shows them: heatmaps and confusion tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Square(NamedTuple):
    """A cell of a heatmap."""

    row: int
    col: int
    share: float
    """Share of the boards on which the cell was misread."""


class Heatmap(NamedTuple):
    """The share of misreadings by cell, at one task and level."""

    name: str
    level: int
    boards: int
    squares: list[Square]


class Confusion(NamedTuple):
    """What was taken for what."""

    name: str
    columns: list[str]
    """What was said."""
    rows: list[tuple[str, list[int]]]
    """What is true, and how often each column was said for it."""


def heatmaps(results: Mapping[str, Any]) -> list[Heatmap]:
    """One heatmap per task and level of a perception run; none where no reply describes a board."""
    maps = []
    for task, rates in results["tasks"].items():
        for level, each in rates["levels"].items():
            found = each.get("where")
            if found and found["boards"]:
                squares = [
                    Square(row, col, count / found["boards"])
                    for row, counts in enumerate(found["errors"])
                    for col, count in enumerate(counts)
                ]
                maps.append(Heatmap(f"{task} {level}", int(level), found["boards"], squares))
    return maps


def confusions(results: Mapping[str, Any]) -> list[Confusion]:
    """A table of tiles per task, and one of walls where there are any, over all levels."""
    tables = []
    for task, rates in results["tasks"].items():
        for name, title in (("confusion", "cells"), ("sides", "sides of cells")):
            parts = [each.get("where", {}).get(name, {}) for each in rates["levels"].values()]
            table = added(parts)
            if table:
                tables.append(_table(f"{task}: {title}", table))
    return tables


def added(parts: Sequence[Mapping[str, Mapping[str, int]]]) -> Counter[tuple[str, str]]:
    """Confusion tables of several levels as one."""
    total: Counter[tuple[str, str]] = Counter()
    for part in parts:
        for true, said in part.items():
            for claimed, count in said.items():
                total[true, claimed] += count
    return total


def _table(name: str, counts: Counter[tuple[str, str]]) -> Confusion:
    rows = sorted({true for true, _ in counts})
    columns = rows + sorted({said for _, said in counts} - set(rows))
    return Confusion(
        name, columns, [(true, [counts[true, said] for said in columns]) for true in rows]
    )
