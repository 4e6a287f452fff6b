"""Records of a run → the content of its `results.json`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evaluation.perceived import (
    is_right,
    is_right_tolerant,
    perceived,
    state_exact,
    state_tolerant,
)
from evaluation.perception_errors import errors_json, perception_errors
from evaluation.rates import INTERVAL, Record, pooled_rates, tabulate
from evaluation.reply_status import answered_part, count_replies, reply_rates, usage_of
from evaluation.several import several_results


def planning_results(records: Sequence[Record]) -> dict[str, Any]:
    """Success and optimal rates; `state_exact` and `state_tolerant` too if any reply describes the
    board."""
    states = [(state_exact(record), state_tolerant(record)) for record in records]
    stated = any(state is not None for both in states for state in both)
    marks = [
        {"success": record["success"], "optimal": record["optimal"]}
        | ({"state_exact": bool(exact), "state_tolerant": bool(tolerant)} if stated else {})
        for record, (exact, tolerant) in zip(records, states, strict=True)
    ]
    results = tabulate(records, marks)
    for task, found in results["tasks"].items():
        found["replies"] = count_replies([each for each in records if each["task"] == task])
    return {
        "goal": "plan",
        "interval": INTERVAL,
        **results,
        **answered_part(records, marks),
        "pooled": pooled_rates(records, marks),
        "replies": reply_rates(records),
        "several": several_results(records, "plan"),
        "usage": usage_of(records),
    }


def perception_results(records: Sequence[Record]) -> dict[str, Any]:
    """`exact` is the share of boards of which every question was answered right; `tolerant` is the
    same for answers in other words.

    `questions` holds the rate of each question. `where` holds the cells and the kinds of tiles that
    were misread; see `evaluation.perception_errors`.
    """
    marks = [
        {"exact": is_right(record, "perceive"), "tolerant": is_right_tolerant(record)}
        for record in records
    ]
    results = tabulate(records, marks)
    by_question = tabulate(records, [perceived(record) for record in records])
    for task, found in results["tasks"].items():
        single = by_question["tasks"][task]
        for level, rates in found["levels"].items():
            rates["questions"] = single["levels"][level]
            same = [each for each in records if (each["task"], str(each["level"])) == (task, level)]
            rates["where"] = errors_json(perception_errors(same))
        found["questions"] = {name: rate for name, rate in single.items() if name != "levels"}
        errors = sum(bool(record["error"]) for record in records if record["task"] == task)
        found["replies"] = {"error": errors}
    return {
        "goal": "perceive",
        "interval": INTERVAL,
        **results,
        "several": several_results(records, "perceive"),
        **answered_part(records, marks),
        "usage": usage_of(records),
    }
