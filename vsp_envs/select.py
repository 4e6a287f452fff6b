"""Task and level by name: `frozenlake:3-5`, `maze:3,6`, `minibehaviour` for the paper's levels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from vsp_envs.task import check_level, get_task


class Kind(NamedTuple):
    """A kind of board: task and side length."""

    task: str
    level: int

    def __str__(self) -> str:
        return f"{self.task}:{self.level}"


def select_kinds(tasks: Sequence[str], levels: Sequence[int] = ()) -> list[Kind]:
    """The kinds that names select, in order, each once.

    A name may carry levels after a colon; `levels` holds for the names that do not; without
    either a task has the levels of the paper. Raises ValueError for an unknown task or level.
    """
    kinds: dict[Kind, None] = {}
    for name in tasks:
        task, _, wanted = name.partition(":")
        known = get_task(task)
        chosen = _levels(wanted, name) if wanted else list(levels or known.paper_levels)
        kinds.update({Kind(task, check_level(known, level)): None for level in chosen})
    if not kinds:
        raise ValueError("no task given; name at least one, for example frozenlake:3")
    return list(kinds)


def _levels(text: str, name: str) -> list[int]:
    levels: list[int] = []
    try:
        for part in text.split(","):
            low, _, high = part.partition("-")
            levels += range(int(low), int(high or low) + 1)
    except ValueError:
        raise ValueError(f"levels are numbers such as 3, 3-8 or 3,5; got {name!r}") from None
    return levels
