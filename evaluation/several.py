"""Several answers per board: whether any is right, and whether the most common one is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from evaluation.perceived import facts_of, is_right
from evaluation.rates import Key, Record, key_of, tabulate
from vsp_envs.scoring.perception import canonical


def first_answers(records: Sequence[Record]) -> list[Record]:
    """The first of several answers to each board."""
    return [record for record in records if not record.get("sample")]


def several_results(records: Sequence[Record], goal: str) -> dict[str, Any]:
    """`tasks` and `macro` with `pass@k` and `majority`; empty where a board has one answer.

    `pass@k`: some of the k answers is right. `majority`: the most common plan succeeds, or of each
    question the most common answer is right; of equally common ones the first counts. Answers that
    never came or hold no plan have no vote.
    """
    boards: dict[Key, list[Record]] = {}
    for record in records:
        boards.setdefault(key_of(record), []).append(record)
    most = max(map(len, boards.values()), default=0)
    if most < 2:
        return {}
    marks = [
        {
            f"pass@{most}": any(is_right(each, goal) for each in answers),
            "majority": _plan_wins(answers) if goal == "plan" else _facts_win(answers),
        }
        for answers in boards.values()
    ]
    # A board counts whatever became of its first answer.
    return tabulate([{**answers[0], "error": ""} for answers in boards.values()], marks)


def _plan_wins(answers: Sequence[Record]) -> bool:
    votes = [each for each in answers if each["status"] == "ok" and not each["error"]]
    chosen = _most_common(tuple(each["plan"]) for each in votes)
    return any(tuple(each["plan"]) == chosen and each["success"] for each in votes)


def _facts_win(answers: Sequence[Record]) -> bool:
    facts = [facts_of(each) for each in answers if not each["error"]]
    for question in zip(*facts, strict=True):
        chosen = _most_common(canonical(each.said) for each in question if each.said is not None)
        if not any(each.right and canonical(each.said or "") == chosen for each in question):
            return False
    return bool(facts)


def _most_common(votes: Iterable[Hashable]) -> Hashable | None:
    return next((vote for vote, _ in Counter(votes).most_common(1)), None)
