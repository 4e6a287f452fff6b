"""One self-contained page of results: tables, curves and boards. `python -m evaluation.report`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import tyro
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as ConsoleTable

from evaluation.cli import main
from evaluation.folder import Run, read_run, write_json, write_text
from evaluation.gallery import Board, gallery
from evaluation.metrics import Rate, Record, as_rate
from evaluation.paired import Gap
from evaluation.plots import Chart, curves_svg, levels_svg

HEADLINE = {"plan": ("success", "optimal", "state_exact"), "perceive": ("exact",)}
"""The rates of a run's row in a summary, by what was asked for."""
TITLES = {"state_exact": "state exact"}


class Row(NamedTuple):
    """A line of a table: a cell is a rate, its JSON data, or None where there is nothing to say."""

    name: str
    cells: Sequence[Rate | Gap | Mapping[str, Any] | None]
    note: str = ""

    @property
    def rates(self) -> list[Rate | Gap | None]:
        """The cells."""
        return [None if cell is None else as_cell(cell) for cell in self.cells]

    @property
    def episodes(self) -> str:
        """The n of the cells, each number once."""
        return ", ".join(dict.fromkeys(str(rate.n) for rate in self.rates if rate))


def as_cell(cell: Rate | Gap | Mapping[str, Any]) -> Rate | Gap:
    """A rate, or a difference of two, from its JSON data."""
    if isinstance(cell, Gap):
        return cell
    return Gap(**cell) if isinstance(cell, Mapping) and "first_only" in cell else as_rate(cell)


class Table(NamedTuple):
    """Rates by row and column, each shown with n and its interval."""

    columns: Sequence[str]
    rows: Sequence[Row]
    corner: str = "run"
    """What the rows are."""


class Section(NamedTuple):
    """A run as the page shows it."""

    run: Run
    tables: list[Table]
    boards: list[Board]


def write_report(
    path: Path,
    title: str,
    runs: Sequence[Run] = (),
    table: Table | None = None,
    charts: Sequence[Chart] = (),
    lead: str = "",
) -> None:
    """Write a page that opens offline: summary, charts, then each run with its boards.

    `table` is the summary; without it there is one row per run. `charts` are training curves.
    `lead` says in a sentence or two what the page is about.
    """
    names = [run.name for run in runs]
    levels = [levels_svg(found, name, names) for name, found in rates_by_level(runs).items()]
    page = _template().render(
        title=title,
        lead=lead,
        table=table or (summary(runs) if len(runs) > 1 else None),
        charts=[curves_svg(chart) for chart in charts],
        levels=levels,
        sections=[_section(run) for run in runs],
    )
    write_text(path, page)


def store(out: Path, results: Mapping[str, Any], records: Sequence[Record]) -> None:
    """Write `results.json` and `report.html` of a run into its folder."""
    write_json(out / "results.json", results)
    run = read_run(out)
    asked = "Planning" if results["goal"] == "plan" else "Perception"
    agent = run.config["settings"]["agent"]
    write_report(out / "report.html", f"{asked}: {agent}", [run])


def summary(runs: Sequence[Run]) -> Table:
    """One row per run with its macro rates."""
    columns = [
        name
        for name in dict.fromkeys(name for run in runs for name in HEADLINE[run.results["goal"]])
        if any(name in run.results["macro"] for run in runs)
    ]
    rows = [Row(run.name, [run.results["macro"].get(name) for name in columns]) for run in runs]
    return Table([TITLES.get(name, name) for name in columns], rows)


def breakdown(results: Mapping[str, Any]) -> Table:
    """A run's rates by task and level, with the means."""
    columns, rows = list(results["macro"]), []
    for task, found in results["tasks"].items():
        for level, rates in found["levels"].items():
            rows.append(Row(f"{task} {level}", [rates[column] for column in columns]))
        if len(found["levels"]) > 1:
            rows.append(Row(f"{task}, mean", [found[column] for column in columns]))
    if len(results["tasks"]) > 1:
        rows.append(Row("macro mean", [results["macro"][column] for column in columns]))
    return Table([TITLES.get(name, name) for name in columns], rows, "task, level")


def by_question(results: Mapping[str, Any]) -> Table | None:
    """A perception run's rates by question, each the mean over levels; None for a planning run."""
    rows = [
        Row(f"{task}: {question}", [rate])
        for task, found in results["tasks"].items()
        for question, rate in found.get("questions", {}).items()
    ]
    return Table(["exact"], rows, "question") if rows else None


def rates_by_level(runs: Sequence[Run]) -> dict[str, dict[str, dict[int, Rate]]]:
    """Task → run → level → headline rate, for tasks of which some run has two levels."""
    found: dict[str, dict[str, dict[int, Rate]]] = {}
    for run in runs:
        measure = HEADLINE[run.results["goal"]][0]
        for task, rates in run.results["tasks"].items():
            by_level = {int(k): as_rate(v[measure]) for k, v in rates["levels"].items()}
            found.setdefault(f"{task}: {measure} by level", {})[run.name] = by_level
    return {
        name: lines
        for name, lines in found.items()
        if any(len(levels) > 1 for levels in lines.values())
    }


def print_results(results: Mapping[str, Any], out: Path | None = None) -> None:
    """The tables of a run on the terminal, and where its report lies."""
    for table in (breakdown(results), by_question(results)):
        if table:
            print_table(table)
    if out:
        print(f"report: {out / 'report.html'}")


def print_table(table: Table, title: str | None = None) -> None:
    """A table on the terminal: per cent with the interval, and the episodes of a row under n."""
    shown = ConsoleTable(title=title, box=SIMPLE_HEAD, pad_edge=False)
    shown.add_column(table.corner)
    for column in [*table.columns, "n"]:
        shown.add_column(column, justify="right")
    for row in table.rows:
        shown.add_row(row.name, *map(rate_text, row.rates), row.episodes)
    # Piped into a file there is no width to keep to.
    Console(width=None if sys.stdout.isatty() else 160).print(shown)


def markdown(table: Table) -> str:
    """A table as Markdown: per cent with the interval, and the episodes of a row under n."""
    lines = [[table.corner, *table.columns, "n"], ["---", *["---:"] * (len(table.columns) + 1)]]
    lines += [[row.name, *map(rate_text, row.rates), row.episodes] for row in table.rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def rate_text(rate: Rate | Gap | None) -> str:
    """`94.5 (90.4–96.9)`, in per cent; `+4.0 (−1.2 to +9.0), p 0.21` for a gap; `–` for None."""
    if rate is None:
        return "–"
    if isinstance(rate, Gap):
        return f"{signed(rate.value)} ({signed(rate.low)} to {signed(rate.high)}){p_text(rate)}"
    return f"{per_cent(rate.value)} ({per_cent(rate.low)}–{per_cent(rate.high)})"


def signed(share: float) -> str:
    """`+4.0`, `−1.2`, in points of per cent."""
    return f"{100 * share:+.1f}".replace("-", "−")


def p_text(gap: Gap) -> str:
    """`, p 0.031` or `, p < 0.001`; nothing where there is no test."""
    if gap.p is None:
        return ""
    return ", p < 0.001" if gap.p < 0.001 else f", p {gap.p:.3f}"


def per_cent(share: float) -> str:
    """`94.5`; `100` is exact and `100.0` is rounded."""
    return "100" if share == 1 else f"{100 * share:.1f}"


def _section(run: Run) -> Section:
    tables = [table for table in (breakdown(run.results), by_question(run.results)) if table]
    return Section(run, tables, gallery(run.records, run.results["goal"]))


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(per_cent=per_cent, signed=signed, p_text=p_text)
    return environment.get_template("report.html")


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """Put finished runs side by side on one page."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders that `evaluation.planning` or `evaluation.perception` wrote, and files that
    `vsp_envs.play --record` wrote."""
    out: Path = Path("report.html")
    """The page."""
    title: str = "Visual spatial planning"
    """Its heading."""


def run(options: ReportOptions) -> None:
    """The command."""
    if not options.runs:
        raise ValueError("name at least one run folder, for example runs/oracle")
    names = [path.resolve().name for path in options.runs]
    if len(set(names)) < len(names):
        names = [str(path) for path in options.runs]
    from evaluation.recording import read_recording  # it is made of planning, which imports this

    runs = [
        read_recording(path) if path.is_file() else read_run(path, name)
        for path, name in zip(options.runs, names, strict=True)
    ]
    write_report(options.out, options.title, runs)
    print(f"report: {options.out}")


if __name__ == "__main__":
    main(run, ReportOptions)
