"""What a run shows while it runs: a bar, and the rates so far by task and level."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from evaluation.metrics import Record, wilson


@contextmanager
def watching(
    name: str, total: int, done: Sequence[Record], shown: bool
) -> Iterator[Callable[[Record], object]]:
    """Yields what to call with each new record; nothing is written unless `shown`."""
    if not shown:
        yield lambda record: None
        return
    tally = Tally()
    for record in done:
        tally.add(record)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    bar = Progress(*columns, TimeRemainingColumn())
    task = bar.add_task(name, total=total, completed=len(done))

    def add(record: Record) -> None:
        tally.add(record)
        bar.advance(task)

    # Only as much as stays readable: the table is drawn anew four times a second, not per record.
    with Live(
        get_renderable=lambda: Group(tally.table(), bar),
        console=Console(stderr=True),
        refresh_per_second=4,
        transient=True,
    ):
        yield add


class Tally:
    """Episodes so far, counted by task and level."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[str, int]] = {}

    def add(self, record: Record) -> None:
        """Count an episode."""
        counts = self._counts.setdefault(f"{record['task']} {record['level']}", {})
        unread = not record["error"] and record["status"] != "ok"
        for name, holds in (
            ("n", True),
            ("success", record["success"]),
            ("unreadable", unread),
            ("no reply", bool(record["error"])),
        ):
            counts[name] = counts.get(name, 0) + holds

    def table(self) -> Table:
        """The counts, success with its interval."""
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        table.add_column("task, level")
        for column in ("success", "unreadable", "no reply", "n"):
            table.add_column(column, justify="right")
        for kind, counts in self._counts.items():
            rate = wilson(counts["success"], counts["n"])
            shown = f"{100 * rate.value:.1f} ({100 * rate.low:.1f}–{100 * rate.high:.1f})"
            rest = [str(counts[name]) for name in ("unreadable", "no reply", "n")]
            table.add_row(kind, shown, *rest)
        return table
