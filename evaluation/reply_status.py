"""Counts of replies: parse statuses, illegal actions, missing replies, tokens and cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from evaluation.rates import Record, tabulate
from vsp_envs.scoring.answer_format import ParseStatus


def count_replies(records: Sequence[Record]) -> dict[str, int]:
    """Replies by parse status, those with illegal actions, and those that never came."""
    counts = Counter(record["status"] for record in records if not record["error"])
    illegal = sum(is_illegal(record) for record in records)
    return {**counts, "illegal": illegal, "error": sum(bool(each["error"]) for each in records)}


def reply_rates(records: Sequence[Record]) -> dict[str, Any]:
    """`tasks` and `macro` as for success: the share of episodes with each status, with an illegal
    action, and without a reply (`error`), each with n and its interval."""
    marks = [
        {
            **{str(each): not record["error"] and record["status"] == each for each in ParseStatus},
            "illegal": is_illegal(record),
            "error": bool(record["error"]),
        }
        for record in records
    ]
    # `tabulate` fails a missing reply in every measure; here it is a measure itself.
    return tabulate([{**record, "error": ""} for record in records], marks)


def is_illegal(record: Record) -> bool:
    """Whether an episode held an illegal action, played or left out."""
    return bool(record["illegal"] > 0 or record.get("refused", 0))


def usage_of(records: Sequence[Record]) -> dict[str, float]:
    """Tokens and dollars of all replies."""
    names = ("prompt_tokens", "tokens", "cost")
    return {name: sum(record.get(name, 0) for record in records) for name in names}
