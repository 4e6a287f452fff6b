"""What a reply says about the board, compared with the board: exact match per question."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from agents.prompts import normal, read_facts
from evaluation.metrics import Record
from vsp_envs import get_task, load_layout

_CELLS = re.compile(r"\(\d+,\d+\)(?: \(\d+,\d+\))*")


class Fact(NamedTuple):
    """One perception question, what the reply says to it and what is true."""

    question: str
    said: str | None
    """In even case and spacing; None where the reply does not answer the question."""
    true: str
    states: bool
    """The question is one of those that fix the board."""

    @property
    def right(self) -> bool:
        """Whether the answer matches exactly."""
        return self.said is not None and same_fact(self.said, self.true)


def same_fact(said: str, true: str) -> bool:
    """Equal text but for case and spacing; a list of cells may come in any order."""
    said, true = normal(said), normal(true)
    if _CELLS.fullmatch(said) and _CELLS.fullmatch(true):
        return set(said.split()) == set(true.split())
    return said == true


def facts_of(record: Record) -> list[Fact]:
    """The task's questions about the record's board, with the answers of its reply."""
    layout = load_layout(record["task"], record["layout"], record["level"])
    said = read_facts(record["reply"], record["task"])
    return [
        Fact(question.name, said.get(question.name), question.answer, question.states)
        for question in get_task(record["task"]).questions(layout)
    ]


def perceived(record: Record) -> Mapping[str, bool]:
    """Question name → whether it was answered right."""
    return {fact.question: fact.right for fact in facts_of(record)}


def state_exact(record: Record) -> bool | None:
    """Whether the state of the board in a planning answer is right in every part.

    None for a reply that says nothing of the board. After OPCD perception is measured here: such
    a model plans whatever it is asked.
    """
    stated = [fact for fact in facts_of(record) if fact.states]
    if all(fact.said is None for fact in stated):
        return None
    return all(fact.right for fact in stated)
