"""What a reply claims of the board, cell by cell: to be drawn over the true one."""

from __future__ import annotations

import re
from typing import NamedTuple

from vsp_envs.facts import Fact, read_cells
from vsp_envs.plan import action_name
from vsp_envs.task import MOVES, Action, Cell

_BRACKET = re.compile(r"\[([A-Z]*)\]")
_MOVE_OF = {action_name(move): move for move in MOVES}


class Mark(NamedTuple):
    """A claim about one cell."""

    cell: Cell
    question: str
    kind: str
    """`right`; `wrong` (claimed and not so); `missed` (so and not claimed)."""
    side: Action | None = None
    """The side of the cell that it is about; None for the whole cell."""


def marks(facts: list[Fact], level: int) -> list[Mark]:
    """The claims that can be drawn, of the questions that fix the board.

    A list of cells marks each of them; a bracket of directions per cell marks the sides that are
    claimed open and are not (`wrong`) or are open and not claimed so (`missed`).
    """
    found = []
    for fact in facts:
        if fact.states and fact.said is not None:
            compare = _sides if "[" in fact.true else _cells
            found += compare(fact.question, fact.said, fact.true, level)
    return [mark for mark in found if max(mark.cell) < level]


def _cells(question: str, said: str, true: str, level: int) -> list[Mark]:
    claimed, there = read_cells(said), read_cells(true)
    kinds = {"right": [], "wrong": [], "missed": []}  # type: dict[str, list[Cell]]
    for cell in dict.fromkeys([*claimed, *there]):
        kind = "missed" if cell not in claimed else "right" if cell in there else "wrong"
        kinds[kind].append(cell)
    return [Mark(cell, question, kind) for kind, cells in kinds.items() for cell in cells]


def _sides(question: str, said: str, true: str, level: int) -> list[Mark]:
    found = []
    pairs = zip(_BRACKET.findall(said), _BRACKET.findall(true), strict=False)
    for index, (claimed, there) in enumerate(pairs):
        cell = Cell(*divmod(index, level))
        for letter, move in _MOVE_OF.items():
            if (letter in claimed) != (letter in there):
                kind = "wrong" if letter in claimed else "missed"
                found.append(Mark(cell, question, kind, move))
    return found
