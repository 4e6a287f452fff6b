"""A perception run's errors as the page shows them: heat maps of boards and confusion tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Square(NamedTuple):
    """A cell of a heat map."""

    row: int
    col: int
    share: float
    """Boards on which it was misread."""


class Heat(NamedTuple):
    """Where the boards of one task and level were misread."""

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
    """What is true, and how often each was said."""


def heats(results: Mapping[str, Any]) -> list[Heat]:
    """One map per task and level of a perception run; none of boards that no reply described."""
    found = []
    for task, rates in results["tasks"].items():
        for level, each in rates["levels"].items():
            where = each.get("where")
            if where and where["boards"]:
                squares = [
                    Square(row, col, count / where["boards"])
                    for row, counts in enumerate(where["errors"])
                    for col, count in enumerate(counts)
                ]
                found.append(Heat(f"{task} {level}", int(level), where["boards"], squares))
    return found


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
            for kind, count in said.items():
                total[true, kind] += count
    return total


def _table(name: str, counts: Counter[tuple[str, str]]) -> Confusion:
    rows = sorted({true for true, _ in counts})
    columns = rows + sorted({said for _, said in counts} - set(rows))
    return Confusion(
        name, columns, [(true, [counts[true, kind] for kind in columns]) for true in rows]
    )
