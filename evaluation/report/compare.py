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
    "Differences in points of per cent, with Newcombe's 95 % interval. Boards of a level that both "
    "runs played are compared board by board (pairs, exact McNemar test), and the others are left "
    "out. Where the runs share no board of a level, all of its boards are compared (unpaired): by "
    "Fisher's exact test where counts are small, otherwise by a chi-square test with Yates's "
    "correction. p is not corrected for the number of comparisons; means over several levels have "
    "an interval and no test."
)


def judged(run: Run) -> dict[Key, bool]:
    """Board → whether the run got it right."""
    return {
        key_of(each): is_right(each, run.results["goal"]) for each in first_answers(run.records)
    }


def comparison(runs: Sequence[Run]) -> Table:
    """Every run minus the first, per task and in the mean.

    A row with nothing to compare has empty cells and says why.
    """
    first, *others = runs
    found = {
        run.name: {task: task_gap(run, first, task) for task in first.results["tasks"]}
        for run in others
    }
    shared = [task for task in first.results["tasks"] if any(gaps[task] for gaps in found.values())]
    rows = []
    for run in others:
        gaps = [found[run.name][task] for task in shared]
        known = [gap for gap in gaps if gap]
        mean = mean_gap(known) if len(known) == len(shared) > 1 else None
        cells = [*gaps, *([mean] if len(shared) > 1 else [])]
        rows.append(Row(run.name, cells or [None], "" if known else apart(run, first)))
    columns = [*shared, *(["mean over tasks"] if len(shared) > 1 else [])]
    return Table(columns or ["difference"], rows, f"minus {first.name}")


def apart(run: Run, reference: Run) -> str:
    """Why two runs cannot be compared."""
    if run.results["goal"] != reference.results["goal"]:
        return "other questions: one run plans, the other describes boards"
    return f"no common boards: {task_levels(run)}; {reference.name}: {task_levels(reference)}"


def task_levels(run: Run) -> str:
    """What a run played, such as `frozenlake 3, 4; maze 3`."""
    tasks = run.results["tasks"].items()
    return "; ".join(f"{task} {', '.join(found['levels'])}" for task, found in tasks)


def task_gap(run: Run, reference: Run, task: str) -> Gap | None:
    """The mean over the levels that both runs have, on the boards that they share.

    The boards of a level of which they share none are compared without pairs.
    """
    if run.results["goal"] != reference.results["goal"]:
        return None
    mine, theirs = judged(run), judged(reference)
    gaps = []
    for level in sorted({key[1] for key in mine if key[0] == task}):
        one = {key: right for key, right in mine.items() if key[:2] == (task, level)}
        other = {key: right for key, right in theirs.items() if key[:2] == (task, level)}
        shared = [key for key in one if key in other]
        if shared:
            gaps.append(paired_gap([one[key] for key in shared], [other[key] for key in shared]))
        elif other:
            rates = [wilson(sum(each.values()), len(each)) for each in (one, other)]
            gaps.append(independent_gap(*rates))
    return mean_gap(gaps) if gaps else None
