"""Which boards of a task the stream asks the environments for, and in what shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from training.config import TrainingConfig
from vsp_envs import TASKS, get_task
from vsp_envs.core.generator import DIFFICULTIES, FROZEN_PROB
from vsp_envs.utils.choices import pick_name

THIRDS = "thirds"
Wanted = tuple[tuple[str, Any], ...]
"""Arguments of an environment, as pairs."""


def wanted_of(config: TrainingConfig) -> Mapping[str, list[Wanted]]:
    """Task → what its boards are to be, in turn: one entry, or one per share of difficulty.

    What is given for all tasks holds for those that have it. Raises ValueError for values that are
    none, and for what no task of the run has.
    """
    tasks = [get_task(name) for name in dict.fromkeys(kind.task for kind in config.kinds())]
    has = {
        "min_plan": tasks,
        "difficulty": [task for task in tasks if task.difficulty],
        "min_distance": [task for task in tasks if "goal" in task.landmarks],
        "frozen_prob": [task for task in tasks if "frozen_prob" in task.build_arguments],
    }
    prob = config.frozen_prob
    given: dict[str, Sequence[str]] = {
        "min_plan": config.min_plan,
        "difficulty": config.difficulty,
        "min_distance": config.min_distance,
        "frozen_prob": () if prob == FROZEN_PROB else (str(prob),),
    }
    values = {
        setting: by_task(setting, texts, [task.name for task in has[setting]])
        for setting, texts in given.items()
    }
    wanted: dict[str, list[Wanted]] = {}
    for task in tasks:
        arguments: dict[str, Any] = {}
        for setting in ("min_plan", "min_distance"):
            if text := values[setting].get(task.name):
                arguments[setting] = _number(setting, text)
        if task.name in values["frozen_prob"]:
            arguments["frozen_prob"] = prob
        turns = _turns(values["difficulty"].get(task.name, ""))
        wanted[task.name] = [
            tuple({**arguments, **({"difficulty": turn} if turn else {})}.items()) for turn in turns
        ]
    return wanted


def by_task(setting: str, given: Sequence[str], tasks: Sequence[str]) -> dict[str, str]:
    """Task → value, for those of `tasks` that have one: `2` is for all of them, `maze=2` for one.

    A task that the run leaves out may be named: presets do. Raises ValueError.
    """
    flag = f"--{setting.replace('_', '-')}"
    values: dict[str, str] = {}
    named: set[str] = set()
    for each in sorted(given, key=lambda each: "=" in each):
        task, equals, value = each.rpartition("=")
        if task in named:
            raise ValueError(f"{flag} is given twice for {task or 'all tasks'}; name one value")
        named.add(task)
        if equals:
            pick_name("task", task, TASKS)
        elif not tasks:
            raise ValueError(f"{flag} {value}: no task of this run has that; leave it out")
        values |= dict.fromkeys([task] if equals else tasks, value)
    return values


def _number(setting: str, text: str) -> int:
    if not text.isdecimal():
        flag = f"--{setting.replace('_', '-')}"
        raise ValueError(f"{flag} is a whole number, or task=number, got {text!r}")
    return int(text)


def _turns(difficulty: str) -> list[str]:
    """`easy@2,hard` → easy, easy, hard; one empty turn for nothing."""
    if not difficulty:
        return [""]
    if difficulty == THIRDS:
        return list(DIFFICULTIES)
    turns: list[str] = []
    for part in difficulty.split(","):
        name, at, weight = part.partition("@")
        pick_name("difficulty", name, (*DIFFICULTIES, THIRDS))
        if name == THIRDS or (at and not (weight.isdecimal() and int(weight))):
            raise ValueError(
                f"--difficulty is thirds, or names with weights as in easy@2,hard; got {part!r}"
            )
        turns += [name] * int(weight or 1)
    return turns
