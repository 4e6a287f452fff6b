"""Counts of replies: parse statuses, illegal actions, missing replies, tokens and cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from evaluation.rates import Marks, Record, tabulate
from vsp_envs.scoring.answer_format import ParseStatus
from vsp_envs.utils.words import counted

ENDS = ("cut off", "refusal", "no text")
"""How a reply may end otherwise than with all that the model had to say."""
CUT = ("length", "max_tokens", "MAX_TOKENS")
"""How endpoints say that a reply was as long as it may be."""
REFUSED = ("content_filter", "refusal", "safety", "SAFETY", "PROHIBITED_CONTENT")
"""How they say that the model, or what watches over it, refused to answer."""


def count_replies(records: Sequence[Record]) -> dict[str, int]:
    """Replies by parse status, those with illegal actions, and those that never came."""
    counts = Counter(record["status"] for record in records if not record["error"])
    marks = [how_ended(record) for record in records]
    ends = {name: sum(mark[name] for mark in marks) for name in ENDS}
    illegal = sum(is_illegal(record) for record in records)
    errors = sum(bool(each["error"]) for each in records)
    return {**counts, **ends, "illegal": illegal, "error": errors}


def reply_rates(records: Sequence[Record]) -> dict[str, Any]:
    """`tasks` and `macro` as for success: the share of episodes with each status, cut off, refused
    or without text, with an illegal action, and without a reply (`error`), each with n and its
    interval."""
    marks = [
        {
            **{str(each): not record["error"] and record["status"] == each for each in ParseStatus},
            **how_ended(record),
            "illegal": is_illegal(record),
            "error": bool(record["error"]),
        }
        for record in records
    ]
    # `tabulate` fails a missing reply in every measure; here it is a measure itself.
    return tabulate([{**record, "error": ""} for record in records], marks)


def how_ended(record: Record) -> dict[str, bool]:
    """Whether a reply that came was cut off, refused to answer, or said nothing; at most one."""
    came, end = not record["error"], record.get("finish_reason", "")
    refused = came and bool(record.get("refusal") or end in REFUSED)
    cut = came and not refused and end in CUT
    silent = came and not refused and not cut and not record["reply"].strip()
    return dict(zip(ENDS, (cut, refused, silent), strict=True))


def is_illegal(record: Record) -> bool:
    """Whether an episode held an illegal action, played or left out."""
    return bool(record["illegal"] > 0 or record.get("refused", 0))


def answered_part(records: Sequence[Record], marks: Sequence[Marks]) -> dict[str, Any]:
    """What `results.json` says of replies that never came; nothing if all came.

    `unanswered` counts them by reason; `answered` holds the rates over the boards that were
    answered, where the others count every board.
    """
    reasons = Counter(record["error"] for record in records if never_came(record))
    if not reasons:
        return {}
    came = [each for each in zip(records, marks, strict=True) if not never_came(each[0])]
    count = {"count": reasons.total(), "of": len(records), "reasons": dict(reasons.most_common(20))}
    kept = [record for record, _ in came], [mark for _, mark in came]
    return {"unanswered": count, "answered": tabulate(*kept) if came else None}


def never_came(record: Record) -> bool:
    """Whether the endpoint failed; a person who was shown a hint has answered all the same."""
    return bool(record["error"]) and not (record["reply"] and not record["turns"])


def unanswered_line(results: Sequence[Mapping[str, Any]]) -> str:
    """Which replies of some runs never came, in a line; empty if all came."""
    held = [found for each in results if (found := each.get("unanswered"))]
    if not held:
        return ""
    reasons = sum((Counter(each["reasons"]) for each in held), Counter[str]())
    [(reason, _)] = reasons.most_common(1)
    others = f" and {counted(len(reasons) - 1, 'other reason')}" if len(reasons) > 1 else ""
    count, of = sum(each["count"] for each in held), sum(total(each) for each in results)
    missing = f"{count} of {counted(of, 'reply')} never came"
    return f"{missing}: {reason}{others}; --ask-errors asks again"


def total(results: Mapping[str, Any]) -> int:
    """How many boards a run has."""
    measure = {"plan": "success", "perceive": "exact"}[results["goal"]]
    return int(results["macro"][measure]["n"])


def usage_of(records: Sequence[Record]) -> dict[str, float]:
    """Tokens and dollars of all replies."""
    names = ("prompt_tokens", "tokens", "cost")
    return {name: sum(record.get(name, 0) for record in records) for name in names}
