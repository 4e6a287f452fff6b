"""Differences between runs, with intervals and tests."""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.paired import Gap, independent_gap, mean_gap, paired_gap
from evaluation.perceived import is_right
from evaluation.rates import Key, key_of, wilson
from evaluation.report.tables import Row, Table
from evaluation.run_folder import Run
from evaluation.several import first_answers

NOTE = (
    "Differences in points of per cent, with Newcombe's 95 % interval. Runs that share at least "
    "half of their boards of a level are compared on those, board by board (exact McNemar test); "
    "others by a chi-square test with Yates's correction. p is not corrected for the "
    "number of comparisons; means over several levels have an interval and no test."
)


def judged(run: Run) -> dict[Key, bool]:
    """Board → whether the run got it right."""
    return {
        key_of(each): is_right(each, run.results["goal"]) for each in first_answers(run.records)
    }


def comparison(runs: Sequence[Run]) -> Table | None:
    """Every run minus the first, per task and in the mean; None if no task is shared."""
    first, *others = runs
    others = [run for run in others if run.results["goal"] == first.results["goal"]]
    shared = [
        task
        for task in first.results["tasks"]
        if any(task in run.results["tasks"] for run in others)
    ]
    if not shared:
        return None
    rows = []
    for run in others:
        gaps = [task_gap(run, first, task) for task in shared]
        known = [gap for gap in gaps if gap]
        mean = mean_gap(known) if len(known) == len(shared) > 1 else None
        rows.append(Row(run.name, [*gaps, *([mean] if len(shared) > 1 else [])]))
    columns = [*shared, *(["mean over tasks"] if len(shared) > 1 else [])]
    return Table(columns, rows, f"less {first.name}")


def task_gap(run: Run, reference: Run, task: str) -> Gap | None:
    """The mean over the levels that both runs have; paired where they share half of the boards."""
    mine, theirs = judged(run), judged(reference)
    gaps = []
    for level in sorted({key[1] for key in mine if key[0] == task}):
        one = {key: right for key, right in mine.items() if key[:2] == (task, level)}
        other = {key: right for key, right in theirs.items() if key[:2] == (task, level)}
        shared = [key for key in one if key in other]
        if 2 * len(shared) >= max(len(one), len(other)):
            gaps.append(paired_gap([one[key] for key in shared], [other[key] for key in shared]))
        elif other:
            rates = [wilson(sum(each.values()), len(each)) for each in (one, other)]
            gaps.append(independent_gap(*rates))
    return mean_gap(gaps) if gaps else None
