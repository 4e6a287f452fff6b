"""What a reply says about the board, against the board itself: exactly, or in other words."""

from __future__ import annotations

from collections.abc import Mapping

from evaluation.rates import Record
from vsp_envs import load_layout
from vsp_envs.scoring.perception import Fact, facts_of_reply


def facts_of(record: Record) -> list[Fact]:
    """The task's questions about the record's board, with the answers of its reply."""
    layout = load_layout(record["task"], record["layout"], record["level"])
    return facts_of_reply(_about_start(record), layout)


def _about_start(record: Record) -> str:
    """What a record says of its board as it is at the start: later turns are about other states."""
    replies = list[str]()
    for turn in record.get("turns") or [{"reply": record["reply"], "played": 1}]:
        replies.append(turn["reply"])
        if turn["played"]:
            break
    return "\n\n".join(replies)


def perceived(record: Record) -> Mapping[str, bool]:
    """Question name → whether it was answered right."""
    return {fact.question: fact.right for fact in facts_of(record)}


def is_right(record: Record, goal: str) -> bool:
    """Whether the plan succeeds (`plan`), or every question is answered right (`perceive`).

    A reply that never came counts as wrong.
    """
    if goal == "plan":
        return bool(record["success"])
    return not record["error"] and all(perceived(record).values())


def is_right_tolerant(record: Record) -> bool:
    """Whether every question is answered right, in whatever words; see `scoring.fact_readers`."""
    return not record["error"] and all(fact.tolerant for fact in facts_of(record))


def state_exact(record: Record) -> bool | None:
    """Whether a planning answer states the board right in every part; None if it states nothing.

    This measures perception after OPCD, when a model answers every prompt with a plan.
    """
    stated = [fact for fact in facts_of(record) if fact.states]
    if all(fact.said is None for fact in stated):
        return None
    return all(fact.right for fact in stated)


def state_tolerant(record: Record) -> bool | None:
    """Like `state_exact`, in whatever words."""
    stated = [fact for fact in facts_of(record) if fact.states]
    if all(fact.meant is None for fact in stated):
        return None
    return all(fact.tolerant for fact in stated)
