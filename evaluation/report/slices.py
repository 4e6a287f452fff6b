"""Success by what makes a board hard: the length of its shortest plan, and its obstacles."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from evaluation.rates import Rate, Record, key_of, wilson
from evaluation.report.compare import judged
from evaluation.run_folder import Run
from evaluation.several import first_answers
from vsp_envs import get_task, load_layout

FEWEST = 5
"""A slice with fewer boards is joined with its neighbour."""


def plan_length(record: Record) -> int:
    """Actions of a shortest plan."""
    return int(record["optimal_length"])


def obstacles(record: Record) -> int | None:
    """What the task counts as obstacles; None for a task whose boards do not differ in it."""
    counted = get_task(record["task"]).obstacles
    if counted is None:
        return None
    return counted.count_on(load_layout(record["task"], record["layout"], record["level"]))


SLICES: dict[str, Callable[[Record], int | None]] = {
    "length of the shortest plan": plan_length,
    "obstacles": obstacles,
}


def rates_by(run: Run, task: str, slice_of: Callable[[Record], int | None]) -> dict[int, Rate]:
    """Value → rate over the boards of a task, ascending; small slices are joined with the next.

    Each slice is named after its highest value. A small rest is joined with the last slice.
    """
    right, groups = judged(run), dict[int, list[bool]]()
    for record in first_answers(run.records):
        value = slice_of(record) if record["task"] == task else None
        if value is not None:
            groups.setdefault(value, []).append(right[key_of(record)])
    slices: list[tuple[int, list[bool]]] = []
    for value, results in sorted(groups.items()):
        if slices and len(slices[-1][1]) < FEWEST:
            results = slices.pop()[1] + results
        slices.append((value, results))
    if len(slices) > 1 and len(slices[-1][1]) < FEWEST:
        value, few = slices.pop()
        slices[-1] = value, slices[-1][1] + few
    return {value: wilson(sum(results), len(results)) for value, results in slices}


def sliced(runs: Sequence[Run]) -> dict[tuple[str, str], dict[str, dict[int, Rate]]]:
    """(title, unit) → planning run → value → success, of tasks with two values to show."""
    runs = [run for run in runs if run.results["goal"] == "plan"]
    found: dict[tuple[str, str], dict[str, dict[int, Rate]]] = {}
    for name, slice_of in SLICES.items():
        for task in dict.fromkeys(task for run in runs for task in run.results["tasks"]):
            counted = get_task(task).obstacles
            unit = counted.name if counted and slice_of is obstacles else name
            lines = {run.name: rates_by(run, task, slice_of) for run in runs}
            lines = {name: rates for name, rates in lines.items() if rates}
            if any(len(rates) > 1 for rates in lines.values()):
                found[f"{task}: success by {unit}", unit] = lines
    return found
