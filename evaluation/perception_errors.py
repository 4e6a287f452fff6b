"""Perception errors by cell: which cells are misread, and what is taken for what.

The answers that describe a board say what each cell holds, and in a maze which of its sides are
open. Compared with the truth cell by cell, they give a heatmap over the board and a confusion table
of the tiles.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from evaluation.perceived import facts_of
from evaluation.rates import Record
from vsp_envs.core.layout import MOVES
from vsp_envs.scoring.answer_format import action_name
from vsp_envs.scoring.perception import Fact, read_brackets, read_cells

FREE = "free"
"""The tile of a cell that no answer names."""


class PerceptionErrors(NamedTuple):
    """Errors of one task and level."""

    boards: int
    """Boards whose reply describes at least a part of them; the others are left out."""
    errors: np.ndarray
    """int[row, col]: boards on which the cell was misread."""
    confusion: Counter[tuple[str, str]]
    """(true tile, said tile) → cells, over all boards."""
    sides: Counter[tuple[str, str]]
    """(true, said) → sides of cells, each `open` or `wall`; empty where a task has no walls."""


def perception_errors(records: Sequence[Record]) -> PerceptionErrors:
    """The errors of records of one task and level."""
    level = records[0]["level"]
    errors, boards = np.zeros((level, level), np.int64), 0
    confusion: Counter[tuple[str, str]] = Counter()
    sides: Counter[tuple[str, str]] = Counter()
    for record in records:
        stated = [fact for fact in facts_of(record) if fact.states]
        if record["error"] or all(fact.said is None for fact in stated):
            continue
        boards += 1
        true, said = tiles(stated, level, "true"), tiles(stated, level, "said")
        wrong = true != said
        confusion.update(zip(true.ravel().tolist(), said.ravel().tolist(), strict=True))
        for fact in stated:
            if "[" in fact.true and fact.said is not None:
                wrong |= compare_sides(fact, level, sides)
        errors += wrong
    return PerceptionErrors(boards, errors, confusion, sides)


def tiles(stated: Sequence[Fact], level: int, which: str) -> np.ndarray:
    """str[level, level]: the tile of each cell by the `true` or the `said` answers.

    A tile is named after its question; a cell that two questions name is `one+other`. Cells beyond
    the board are left out.
    """
    found = np.full((level, level), FREE, dtype=object)
    for fact in stated:
        answer = fact.true if which == "true" else fact.said or ""
        for row, col in dict.fromkeys(read_cells(answer)):
            if row < level and col < level:
                held = found[row, col]
                name = fact.question.removesuffix("s")
                found[row, col] = name if held == FREE else f"{held}+{name}"
    return found


def compare_sides(fact: Fact, level: int, sides: Counter[tuple[str, str]]) -> np.ndarray:
    """bool[level, level]: cells whose open sides were misread. Adds every side to `sides`.

    Brackets are read in order, one per cell; a missing one means that no side is open.
    """
    true, said = read_brackets(fact.true), read_brackets(fact.said or "")
    wrong = np.zeros((level, level), bool)
    for index, there in enumerate(true):
        claimed = said[index] if index < len(said) else ""
        for letter in map(action_name, MOVES):
            pair = tuple("open" if letter in each else "wall" for each in (there, claimed))
            sides[pair[0], pair[1]] += 1
            wrong[divmod(index, level)] |= pair[0] != pair[1]
    return wrong


def errors_json(found: PerceptionErrors) -> dict[str, Any]:
    """The errors as JSON data: `confusion[true][said]` counts cells."""
    return {
        "boards": found.boards,
        "errors": found.errors.tolist(),
        "confusion": nested(found.confusion),
        **({"sides": nested(found.sides)} if found.sides else {}),
    }


def nested(counts: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """(true, said) → count as `{true: {said: count}}`."""
    table: dict[str, dict[str, int]] = {}
    for (true, said), count in sorted(counts.items()):
        table.setdefault(true, {})[said] = count
    return table
