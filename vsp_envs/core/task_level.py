"""Task and level by name: `frozenlake:3-5`, `maze:3,6`, `minibehaviour` for the paper's levels.

A mixture has weights too: `frozenlake:3-5@2` is sampled twice as often as `maze:3`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from vsp_envs.core.task import check_level, get_task


class TaskLevel(NamedTuple):
    """A task and the side length of its boards."""

    task: str
    level: int

    def __str__(self) -> str:
        return f"{self.task}:{self.level}"


def select_task_levels(tasks: Sequence[str], levels: Sequence[int] = ()) -> list[TaskLevel]:
    """The task levels that names select, in order, each once.

    A name may give levels after a colon; `levels` is for the names without; by default a task has
    the levels of the paper. Raises ValueError for an unknown task or level.
    """
    kinds: dict[TaskLevel, None] = {}
    for name in tasks:
        task, _, wanted = name.partition(":")
        known = get_task(task)
        chosen = _levels(wanted, name) if wanted else list(levels or known.paper_levels)
        kinds.update({TaskLevel(task, check_level(known, level)): None for level in chosen})
    if not kinds:
        raise ValueError("no task given; name at least one, for example frozenlake:3")
    return list(kinds)


def select_mixture(tasks: Sequence[str]) -> dict[TaskLevel, int]:
    """The task levels that names select, with their weights: 1, or the whole number after an `@`.

    A weight holds for every level of its name. Raises ValueError as `select_task_levels` does, for
    a weight that is not a whole number above 0, and for two different weights of one task level.
    """
    mixture: dict[TaskLevel, int] = {}
    for name in tasks:
        selector, at, text = name.partition("@")
        if at and not (text.isdecimal() and int(text)):
            raise ValueError(
                f"a weight is a whole number from 1, as in frozenlake:3@2; got {name!r}"
            )
        weight = int(text or 1)
        for kind in select_task_levels([selector]):
            if mixture.setdefault(kind, weight) != weight:
                raise ValueError(f"{kind} has the weights {mixture[kind]} and {weight}; give one")
    return mixture or dict.fromkeys(select_task_levels(tasks), 1)


def _levels(text: str, name: str) -> list[int]:
    spans: list[range] = []
    try:
        for part in text.split(","):
            low, dash, high = part.partition("-")
            spans.append(range(int(low), int(high if dash else low) + 1))
    except ValueError:
        spans = []
    if not spans or not all(spans):
        raise ValueError(f"levels are numbers such as 3, 3-8 or 3,5; got {name!r}")
    return [*chain(*spans)]
