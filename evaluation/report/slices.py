"""Success by what makes a board hard: the length of its shortest plan, and its obstacles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from evaluation.rates import Rate, Record, key_of, wilson
from evaluation.report.compare import judged
from evaluation.run_folder import Run
from evaluation.several import first_answers
from vsp_envs import get_task, load_layout

FEWEST = 5
"""A bin with fewer different boards is joined with its neighbour."""


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


def bins_of(
    runs: Sequence[Run], task: str, slice_of: Callable[[Record], int | None]
) -> list[range]:
    """Bins of values, ascending, the same for all runs: each has a few different boards at least.

    A value with too few joins the next one, a small rest the bin before it.
    """
    values = {
        key_of(record): slice_of(record)
        for run in runs
        for record in run.records
        if record["task"] == task
    }
    counts = Counter(value for value in values.values() if value is not None)
    bins: list[range] = []
    for value in sorted(counts):
        if bins and _boards(counts, bins[-1]) < FEWEST:
            bins[-1] = range(bins[-1].start, value + 1)
        else:
            bins.append(range(value, value + 1))
    if len(bins) > 1 and _boards(counts, bins[-1]) < FEWEST:
        rest = bins.pop()
        bins[-1] = range(bins[-1].start, rest.stop)
    return bins


def _boards(counts: Mapping[int, int], values: range) -> int:
    return sum(counts[value] for value in values if value in counts)


def bin_name(values: range) -> str:
    """`4`, or `3–5`."""
    return str(values.start) if len(values) == 1 else f"{values.start}–{values.stop - 1}"


def rates_by(
    run: Run, task: str, slice_of: Callable[[Record], int | None], bins: Sequence[range]
) -> dict[str, Rate]:
    """Bin → rate over the boards of a task, for the bins in which the run has boards."""
    right, groups = judged(run), dict[str, list[bool]]()
    names = {value: bin_name(values) for values in bins for value in values}
    for record in first_answers(run.records):
        value = slice_of(record) if record["task"] == task else None
        if value is not None:
            groups.setdefault(names[value], []).append(right[key_of(record)])
    found = [(name, groups[name]) for name in map(bin_name, bins) if name in groups]
    return {name: wilson(sum(results), len(results)) for name, results in found}


class Slices(NamedTuple):
    """Success of several runs by what makes the boards of a task hard."""

    title: str
    unit: str
    bins: list[str]
    """The names of the bins, ascending."""
    rates: dict[str, dict[str, Rate]]
    """Run → bin → success."""


def sliced(runs: Sequence[Run]) -> list[Slices]:
    """The slices of planning runs, of tasks whose boards fall into two bins at least."""
    runs = [run for run in runs if run.results["goal"] == "plan"]
    found = []
    for name, slice_of in SLICES.items():
        for task in dict.fromkeys(task for run in runs for task in run.results["tasks"]):
            counted = get_task(task).obstacles
            unit = counted.name if counted and slice_of is obstacles else name
            bins = bins_of(runs, task, slice_of)
            lines = {run.name: rates_by(run, task, slice_of, bins) for run in runs}
            lines = {name: rates for name, rates in lines.items() if rates}
            if len(bins) > 1:
                title = f"{task}: success by {unit}"
                found.append(Slices(title, unit, [*map(bin_name, bins)], lines))
    return found
