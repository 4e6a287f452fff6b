"""The live table of a run: a progress bar, and the rates so far by task and level."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from evaluation.perceived import is_right
from evaluation.rates import Record, wilson
from evaluation.report.tables import rate_text


@contextmanager
def live_table(
    name: str, goal: str, total: int, done: Sequence[Record], shown: bool
) -> Iterator[Callable[[Record], object]]:
    """Yield a function to call with each new record. Nothing is written unless `shown`.

    `goal` is `plan` or `perceive`.
    """
    if not shown:
        yield lambda record: None
        return
    tally = Tally(goal)
    for record in done:
        tally.add(record)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    bar = Progress(*columns, TimeRemainingColumn())
    task = bar.add_task(name, total=total, completed=len(done))

    def add(record: Record) -> None:
        tally.add(record)
        bar.advance(task)

    # Four times a second, not per record, so that the table stays readable.
    with Live(
        get_renderable=lambda: Group(tally.table(), bar),
        console=Console(stderr=True),
        refresh_per_second=4,
        transient=True,
    ):
        yield add


class Tally:
    """Episodes so far by task and level: plans that succeed, or boards that were read right."""

    def __init__(self, goal: str) -> None:
        """`goal` is `plan` or `perceive`."""
        self.goal = goal
        self._counts: dict[str, Counter[str]] = {}

    def add(self, record: Record) -> None:
        """Count an episode."""
        task_level, came = f"{record['task']} {record['level']}", not record["error"]
        unreadable = came and self.goal == "plan" and record["status"] != "ok"
        counts = Counter(self._counts.get(task_level, {}))
        counts.update(n=1, right=is_right(record, self.goal), no_reply=not came)
        counts["unreadable"] += unreadable
        # Another thread renders the table; it must see whole episodes only.
        self._counts = {**self._counts, task_level: counts}

    def table(self) -> Table:
        """The counts, success with its interval."""
        columns = {"unreadable": "unreadable"} if self.goal == "plan" else {}
        columns |= {"no_reply": "no reply", "n": "n"}
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        table.add_column("task, level")
        for title in ("success" if self.goal == "plan" else "exact", *columns.values()):
            table.add_column(title, justify="right")
        for task_level, counts in self._counts.items():
            shown = rate_text(wilson(counts["right"], counts["n"]))
            table.add_row(task_level, shown, *(str(counts[name]) for name in columns))
        return table
