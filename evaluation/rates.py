"""Records of episodes → rates with 95 % intervals, per level, per task and over tasks.

A level's rate has a Wilson interval. A task's rate is the mean of its levels' and the macro rate
the unweighted mean of the tasks', as MGSD (arXiv 2606.06076) reports them. MOVER combines the
intervals (Zou & Donner 2008, the method of variance estimates recovery): the distance from a mean
to its limit is the root of the summed squares of the weighted distances from each rate to its own
limit. For one level that is its Wilson interval. At 0 and 100 % the interval keeps a width, where a
bootstrap or p(1-p)/n would claim certainty.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

Record = Mapping[str, Any]
"""A line of `replies.jsonl`."""
Key = tuple[str, int, str, str]
"""Identifies a board in every run: task, level, layout id and case."""
Marks = Mapping[str, bool]
"""Measure → whether the record got it right."""

Z = 1.959963984540054
"""The standard normal's 97.5 % point."""
INTERVAL = "95 %: Wilson per level, MOVER over levels and tasks"


class Rate(NamedTuple):
    """A share of `n` episodes and its 95 % interval.

    Where boards have several answers each, `n` counts boards.
    """

    value: float
    n: int
    low: float
    high: float


def key_of(record: Record) -> Key:
    """The board that a record is about."""
    return record["task"], record["level"], record["layout_id"], record.get("case", "")


def wilson(successes: float, n: float) -> Rate:
    """The share `successes / n` with Wilson's interval. Raises ValueError for n = 0."""
    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"a rate needs 0 ≤ successes ≤ n and n ≥ 1, got {successes} of {n}")
    share, spread = successes / n, Z * Z / n
    centre = (share + spread / 2) / (1 + spread)
    half = math.sqrt(share * (1 - share) * spread + spread**2 / 4) / (1 + spread)
    return Rate(
        share, int(n), min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half))
    )


def mean_rate(rates: Sequence[Rate]) -> Rate:
    """The unweighted mean of independent rates with its MOVER interval; `n` is their sum."""
    count = len(rates)
    value = sum(rate.value for rate in rates) / count
    below = math.hypot(*(rate.value - rate.low for rate in rates)) / count
    above = math.hypot(*(rate.high - rate.value for rate in rates)) / count
    return Rate(value, sum(rate.n for rate in rates), value - below, value + above)


def tabulate(records: Sequence[Record], marks: Sequence[Marks]) -> dict[str, Any]:
    """The `tasks` and `macro` parts of `results.json`; `marks[i]` judges `records[i]`.

    Every record counts: one with an `error`, to which no reply came, fails every measure. The macro
    part holds the measures that all tasks have.
    """
    groups: dict[str, dict[int, list[tuple[Record, Marks]]]] = {}
    for record, mark in zip(records, marks, strict=True):
        levels = groups.setdefault(record["task"], {})
        levels.setdefault(record["level"], []).append((record, mark))
    by_task = {
        task: {level: level_rates(judged) for level, judged in sorted(levels.items())}
        for task, levels in groups.items()
    }
    means = {task: mean_rates(list(rates.values())) for task, rates in by_task.items()}
    return {
        "tasks": {
            task: {
                **as_json(means[task]),
                "levels": {str(level): as_json(rates) for level, rates in levels.items()},
            }
            for task, levels in by_task.items()
        },
        "macro": as_json(mean_rates(list(means.values()))),
    }


def pooled_rates(records: Sequence[Record], marks: Sequence[Marks]) -> dict[str, Any]:
    """Per task the rates over all of its boards, whatever the level, and their mean over tasks.

    The mean is what MGSD's evaluator calls `all_tasks_macro_avg`, but for replies that never came:
    there they are left out, here they fail.
    """
    by_task: dict[str, list[tuple[Record, Marks]]] = {}
    for record, mark in zip(records, marks, strict=True):
        by_task.setdefault(record["task"], []).append((record, mark))
    rates = {task: level_rates(judged) for task, judged in by_task.items()}
    return {
        "tasks": {task: as_json(found) for task, found in rates.items()},
        "all_tasks_macro_avg": as_json(mean_rates(list(rates.values()))),
    }


def level_rates(judged: Sequence[tuple[Record, Marks]]) -> dict[str, Rate]:
    """The rate of each measure over the boards of one task and level."""
    return {name: clustered_rate(_answers(judged, name)) for name in judged[0][1]}


def _answers(judged: Sequence[tuple[Record, Marks]], name: str) -> list[list[bool]]:
    """Per board, what came of each answer to it."""
    boards: dict[Key, list[bool]] = {}
    for record, mark in judged:
        boards.setdefault(key_of(record), []).append(mark[name] and not record["error"])
    return list(boards.values())


def clustered_rate(boards: Sequence[Sequence[bool]]) -> Rate:
    """The mean over boards of the share of right answers to each; `n` counts boards.

    Answers to one board are alike, so they are no independent tries. Wilson's interval is taken at
    the effective number of tries, p(1-p) over the variance of the mean between boards (Korn &
    Graubard 1998). With one answer a board it is the number of boards.
    """
    shares = [sum(answers) / len(answers) for answers in boards]
    share, count = sum(shares) / len(shares), len(shares)
    variance = sum((each - share) ** 2 for each in shares) / count**2
    tries = float(count)
    if all(len(answers) == 1 for answers in boards):
        return wilson(sum(map(sum, boards)), count)
    if 0 < share < 1:
        answers = sum(map(len, boards))
        tries = min(answers, share * (1 - share) / variance) if variance else answers
    return wilson(share * tries, tries)._replace(value=share, n=count)


def mean_rates(groups: Sequence[Mapping[str, Rate]]) -> dict[str, Rate]:
    """The mean over groups of each measure that all of them have."""
    shared = [name for name in groups[0] if all(name in group for group in groups)]
    return {name: mean_rate([group[name] for group in groups]) for name in shared}


def as_json(rates: Mapping[str, Rate]) -> dict[str, dict[str, float]]:
    """Rates as JSON data."""
    return {name: rate._asdict() for name, rate in rates.items()}


def as_rate(cell: Rate | Mapping[str, Any]) -> Rate:
    """A rate from its JSON data."""
    return cell if isinstance(cell, Rate) else Rate(*(cell[name] for name in Rate._fields))
