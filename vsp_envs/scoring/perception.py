"""What a reply says about the board, question by question, compared with the truth."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from vsp_envs.core.generator import LayoutSpec, draw_distinct
from vsp_envs.core.layout import Cell, Layout
from vsp_envs.core.task import Question, get_task
from vsp_envs.scoring.fact_readers import last_meaning, meaning, statements

# Nine digits: a number of thousands is no cell, and Python refuses to read it.
_CELL = re.compile(r"\((\d{1,9}),(\d{1,9})\)")
_BRACKET = re.compile(r"\[([A-Z]*)\]")
_CELLS = re.compile(r"\(\d+,\d+\)(?: \(\d+,\d+\))*")


class Fact(NamedTuple):
    """A perception question, the answer in the reply, and the true answer."""

    question: str
    said: str | None
    """With normalised case and spacing; None if the reply does not answer the question."""
    true: str
    states: bool
    """The question is one of those that determine the board."""
    meant: str | None = None
    """What the last statement means, in one writing for each meaning; None if nothing."""
    meant_true: str | None = None
    """The true answer in that writing."""

    @property
    def right(self) -> bool:
        """Whether the answer matches exactly."""
        return self.said is not None and same_fact(self.said, self.true)

    @property
    def tolerant(self) -> bool:
        """Whether the reply means what is true, in whatever words."""
        return self.meant is not None and self.meant == self.meant_true


def facts_of_reply(reply: str, layout: Layout) -> list[Fact]:
    """The questions about a board, each with the answer that the reply gives."""
    task, questions = layout.task, get_task(layout.task).questions(layout)
    said = read_facts(reply, task)
    meant = statements(reply, [question.name for question in questions])
    return [
        Fact(
            name, said.get(name), true, states,
            last_meaning(meant.get(name, ()), true, task), meaning(true, true, task),
        )
        for name, _, true, states in questions
    ]  # fmt: skip


def same_fact(said: str, true: str) -> bool:
    """Whether two answers are equal but for case and spacing; cells may come in any order."""
    return canonical(said) == canonical(true)


def canonical(answer: str) -> str:
    """One writing for all answers that are equal but for case, spacing and the order of cells."""
    text = normal(answer)
    return " ".join(sorted({*text.split()})) if _CELLS.fullmatch(text) else text


def read_cells(answer: str) -> list[Cell]:
    """The cells that an answer names, in its order; all other text is ignored."""
    return [Cell(int(row), int(col)) for row, col in _CELL.findall(answer)]


def read_brackets(answer: str) -> list[str]:
    """The letters in each bracket of an answer: `DR`, `L` of `[DR][L]`."""
    return _BRACKET.findall(answer)


def read_facts(reply: str, task: str) -> dict[str, str]:
    """Question name → what the reply says, for the questions of the task that it answers.

    A line counts for the question whose name opens it, in any case, with or without a colon; the
    first such line counts. A thought, up to its `</think>`, is passed over.
    """
    facts: dict[str, str] = {}
    for line in reply.rpartition("</think>")[2].splitlines():
        for name, pattern in _fact_patterns(task):
            found = pattern.match(line)
            if found:
                facts.setdefault(name, normal(found["answer"]))
                break
    return facts


def normal(answer: str) -> str:
    """An answer with normalised spaces and case, so that spellings of one fact are equal."""
    # Runs of spaces go first: the patterns take time quadratic in the length of one.
    even = " ".join(answer.strip().rstrip(".").split())
    tight = re.sub(r"\( ?(\d+) ?, ?(\d+) ?\)", r"(\1,\2)", even)
    return re.sub(r"\) ?[,;]? ?\(", ") (", tight).upper()


@lru_cache(maxsize=16)
def _fact_patterns(task: str) -> list[tuple[str, re.Pattern[str]]]:
    names = question_names(task)
    return [
        (name, re.compile(rf"[\s\-*\d.]*{re.escape(name)}\s*[:=]?\s+(?P<answer>.*)", re.IGNORECASE))
        for name in sorted(names, key=len, reverse=True)
    ]


def question_names(task: str) -> tuple[str, ...]:
    """Names of the task's perception questions, in order."""
    return tuple(question.name for question in task_questions(task))


def state_question_names(task: str) -> tuple[str, ...]:
    """Names of the questions whose answers determine the board."""
    return tuple(question.name for question in task_questions(task) if question.states)


@lru_cache(maxsize=16)
def task_questions(task: str) -> list[Question]:
    """The questions about a sample board; names and texts are the same for all boards."""
    spec = LayoutSpec(task, get_task(task).paper_levels[0])
    return get_task(task).questions(draw_distinct(spec, 1, seed=0)[0])
