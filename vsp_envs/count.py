"""How many layouts there are: `python -m vsp_envs.count frozenlake:3 maze minibehaviour:5-6`."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from typing import NamedTuple

import numpy as np

from vsp_envs.core.generator import LayoutSpec, passing
from vsp_envs.core.registry import TASKS
from vsp_envs.core.splits import SPLITS, splits_of
from vsp_envs.core.task import get_task
from vsp_envs.core.task_level import TaskLevel, select_task_levels
from vsp_envs.utils.terminal import printing

LARGEST = 200_000
"""Up to this many boards are counted one by one."""
_SAMPLE = 4096


class Count(NamedTuple):
    """Solvable layouts of one task and level."""

    total: int
    splits: dict[str, int]
    exact: bool
    """Counted one by one; otherwise estimated from a sample and the shares of the splits."""


def count(task_level: TaskLevel) -> Count:
    """All solvable layouts of a level, by split."""
    task, spec = get_task(task_level.task), LayoutSpec(task_level.task, task_level.level)
    size = task.size(task_level.level)
    if size > LARGEST:
        # A cell of a lake is ice or hole with equal chance, so that every lake is equally likely.
        arguments = dict.fromkeys(task.build_arguments, 0.5)
        sample = task.generate(task_level.level, _SAMPLE, np.random.default_rng(0), **arguments)
        total = size * sum(len(each) for each in passing(sample, spec)) // _SAMPLE
        return Count(total, {name: round(total * share) for name, share in SPLITS.items()}, False)
    splits = Counter(
        split for each in passing(task.every(task_level.level), spec) for split in splits_of(each)
    )
    return Count(splits.total(), {name: splits[name] for name in SPLITS}, True)


def _line(cells: list[str]) -> str:
    return f"{cells[0]:16}" + "".join(f"{cell:>14}" for cell in cells[1:])


@printing()
def main() -> None:
    """Print a line per task and level."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*", default=list(TASKS), help="frozenlake:3-5 maze …")
    try:
        task_levels = select_task_levels(parser.parse_args().tasks)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    print(_line(["task:level", "layouts", *SPLITS]))
    for task_level in task_levels:
        found = count(task_level)
        sign, form = ("", "{:,}") if found.exact else ("≈", "{:.3g}")
        numbers = (found.total, *found.splits.values())
        print(
            _line(
                [str(task_level), *(sign + form.format(each).replace(",", " ") for each in numbers)]
            )
        )
    print(f"next: python -m vsp_envs.play --task {task_level.task} --level {task_level.level}")


if __name__ == "__main__":
    main()
