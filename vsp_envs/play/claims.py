"""What a reply claims of the board, cell by cell: to be drawn over the true one."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from vsp_envs.core.layout import MOVES, Action, Cell, Layout
from vsp_envs.scoring.answer_format import action_name
from vsp_envs.scoring.perception import facts_of_reply, read_brackets, read_cells

_MOVE_OF = {action_name(move): move for move in MOVES}


class Mark(NamedTuple):
    """A claim about one cell."""

    cell: Cell
    question: str
    kind: str
    """`right`; `wrong` (claimed and not so); `missed` (so and not claimed)."""
    side: Action | None = None
    """The side of the cell that it is about; None for the whole cell."""


class Claims(NamedTuple):
    """What a reply claims of the questions that fix the board."""

    marks: list[Mark]
    """A list of cells marks each of them; a bracket of directions per cell marks the sides that
    are claimed open and are not (`wrong`) or are open and not claimed so (`missed`)."""
    wrong: dict[str, str]
    """Questions that it answers wrong, with the true answers."""


@lru_cache(maxsize=8)
def read_claims(reply: str, layout: Layout) -> Claims:
    """The claims of a reply. Cached: a window asks for them with every frame."""
    facts = [each for each in facts_of_reply(reply, layout) if each.states]
    found: list[Mark] = []
    for fact in facts:
        if fact.said is not None:
            compare = _sides if "[" in fact.true else _cells
            found += compare(fact.question, fact.said, fact.true, layout.level)
    found = [mark for mark in found if max(mark.cell) < layout.level]
    wrong = {each.question: each.true for each in facts if each.said and not each.right}
    return Claims(found, wrong)


def _cells(question: str, said: str, true: str, level: int) -> list[Mark]:
    claimed, there = read_cells(said), read_cells(true)
    marked = dict.fromkeys(there, "missed")
    for cell in claimed:
        marked[cell] = "right" if cell in there else "wrong"
    return [Mark(cell, question, kind) for cell, kind in marked.items()]


def _sides(question: str, said: str, true: str, level: int) -> list[Mark]:
    found = []
    pairs = zip(read_brackets(said), read_brackets(true), strict=False)
    for index, (claimed, there) in enumerate(pairs):
        cell = Cell(*divmod(index, level))
        for letter, move in _MOVE_OF.items():
            if (letter in claimed) != (letter in there):
                kind = "wrong" if letter in claimed else "missed"
                found.append(Mark(cell, question, kind, move))
    return found
