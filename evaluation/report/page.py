"""One self-contained page of results: tables, curves and boards. `python -m evaluation.report`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from evaluation.rates import Rate, Record, as_rate
from evaluation.reply_status import ENDS
from evaluation.report.compare import NOTE, comparison, judged, task_levels
from evaluation.report.gallery import Board, gallery
from evaluation.report.heatmaps import Confusion, Heatmap, confusions, heatmaps
from evaluation.report.published import PUBLISHED, beside
from evaluation.report.slices import Slices, sliced
from evaluation.report.tables import (
    Row,
    Table,
    p_text,
    per_cent,
    print_table,
    signed,
)
from evaluation.run_folder import Run, read_run
from vsp_envs.utils.files import write_json, write_text
from vsp_envs.utils.words import counted

if TYPE_CHECKING:
    from evaluation.report.plots import Chart

HEADLINE = {
    "plan": ("success", "optimal", "state_exact", "state_tolerant"),
    "perceive": ("exact", "tolerant"),
}
"""Goal → the rates in a run's row of the summary."""
FIRST = tuple(measures[0] for measures in HEADLINE.values())
TITLES = {
    "exact": "perception exact",
    "tolerant": "perception, tolerant",
    "state_exact": "state exact",
    "state_tolerant": "state, tolerant",
}
TERMS = {
    "perception exact": "Perception exact: every question about the board is answered right.",
    "state exact": "State exact: what a planning answer says of the board before its plan is right "
    "in every part. A model may read boards well when it is asked and state them badly when it "
    "plans, or the other way round.",
}
"""Title → what it means."""


POOLED = "pooled macro mean"
"""The mean over tasks of the rate over all boards of a task, as MGSD's `all_tasks_macro_avg`."""


class Section(NamedTuple):
    """A run as the page shows it."""

    run: Run
    tables: list[Table]
    terms: list[str]
    boards: list[Board]
    heatmaps: list[Heatmap]
    confusions: list[Confusion]


def write_report(
    path: Path,
    title: str,
    runs: Sequence[Run] = (),
    table: Table | None = None,
    charts: Sequence[Chart] = (),
    lead: str = "",
    published: bool = False,
) -> None:
    """Write a page that opens offline: summary, charts, then each run with its boards.

    `table` is the summary; the default has one row per run. `charts` are training curves. `lead` is
    an introduction of a sentence or two; `published` adds published numbers.
    """
    # Imported here to leave matplotlib out of the start-up of the commands.
    from evaluation.report.plots import curves_svg, levels_svg

    names = [run.name for run in runs]
    levels = [
        levels_svg(each.rates, each.title, each.bins, names, each.unit)
        for each in [*rates_by_level(runs), *sliced(runs)]
    ]
    if not table and len(runs) > 1:
        table = summary(runs)
    page = _template().render(
        title=title,
        lead=lead,
        table=table,
        terms=terms([table] if table else []),
        charts=[curves_svg(chart) for chart in charts],
        levels=levels,
        compared=comparison(runs) if len(runs) > 1 else None,
        compared_note=NOTE,
        published=[beside(paper, runs) for paper in PUBLISHED] if published else (),
        sections=[_section(run, [other for other in runs if other is not run]) for run in runs],
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
    """One row per run: the rates of each task, and the macro means where all runs have all tasks.

    Runs of different levels say which they played.
    """
    measures = [
        name
        for name in dict.fromkeys(name for run in runs for name in HEADLINE[run.results["goal"]])
        if any(name in run.results["macro"] for run in runs)
    ]
    tasks = list(dict.fromkeys(task for run in runs for task in run.results["tasks"]))
    means = len(tasks) > 1 and all(len(run.results["tasks"]) == len(tasks) for run in runs)
    by_task = [measure for measure in measures if not means or measure in FIRST]
    columns = [(task, measure) for measure in by_task for task in tasks]
    columns += [("macro mean", measure) for measure in measures if means]
    columns = [each for each in columns if any(_cell(run, *each) for run in runs)]
    played = [task_levels(run) for run in runs]
    rows = [
        Row(run.name, [_cell(run, *each) for each in columns], note if len(set(played)) > 1 else "")
        for run, note in zip(runs, played, strict=True)
    ]
    titles = [
        f"{task}: {title_of(measure)}" if len(tasks) > 1 else title_of(measure)
        for task, measure in columns
    ]
    return Table(titles, rows)


def _cell(run: Run, task: str, measure: str) -> Mapping[str, Any] | None:
    results = run.results
    found = results["macro"] if task == "macro mean" else results["tasks"].get(task, {})
    return found.get(measure)


def title_of(measure: str) -> str:
    """A measure of `results.json` as tables name it."""
    return TITLES.get(measure, measure)


def terms(tables: Sequence[Table]) -> list[str]:
    """What the columns of tables mean that are easily taken for one another."""
    columns = " ".join(column for table in tables for column in table.columns)
    return [text for name, text in TERMS.items() if re.search(rf"\b{name}\b", columns)]


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
        pooled = results.get("pooled", {}).get("all_tasks_macro_avg")
        if pooled:
            rows.append(Row(POOLED, [pooled.get(column) for column in columns]))
    return Table([*map(title_of, columns)], rows, "task, level")


def of_answered(results: Mapping[str, Any]) -> Table | None:
    """The same over the boards that were answered; None if all were, or none."""
    if not results.get("answered"):
        return None
    return breakdown(results["answered"])._replace(corner="answered boards alone")


def by_question(results: Mapping[str, Any]) -> Table | None:
    """A perception run's rates by question, each the mean over levels; None for a planning run."""
    rows = [
        Row(f"{task}: {question}", [rate])
        for task, found in results["tasks"].items()
        for question, rate in found.get("questions", {}).items()
    ]
    return Table(["exact"], rows, "question") if rows else None


def by_status(results: Mapping[str, Any]) -> Table | None:
    """The statuses, illegal actions and missing replies of a planning run, by task."""
    if "replies" not in results:
        return None
    found = results["replies"]
    # How a reply ended is a column where some ended otherwise.
    columns = [name for name, rate in found["macro"].items() if name not in ENDS or rate["value"]]
    rows = [Row(task, [rates[name] for name in columns]) for task, rates in found["tasks"].items()]
    return Table(columns, rows, "replies")


def by_several(results: Mapping[str, Any]) -> Table | None:
    """What several answers to each board come to; None if the run has one a board."""
    return _by_task(results.get("several"), "several answers")


def by_reader(results: Mapping[str, Any]) -> Table | None:
    """Success by each reader on the same replies; None if the run has no episodes of one reply."""
    return _by_task(results.get("readers"), "success, read by")


def _by_task(found: Mapping[str, Any] | None, corner: str) -> Table | None:
    if not found:
        return None
    columns = list(found["macro"])
    rows = [Row(task, [rates[name] for name in columns]) for task, rates in found["tasks"].items()]
    if len(rows) > 1:
        rows.append(Row("macro mean", [found["macro"][name] for name in columns]))
    return Table(columns, rows, corner)


def rates_by_level(runs: Sequence[Run]) -> list[Slices]:
    """The headline rate of each task by level, for tasks with two levels in some run."""
    found: dict[str, dict[str, dict[str, Rate]]] = {}
    for run in runs:
        measure = HEADLINE[run.results["goal"]][0]
        for task, rates in run.results["tasks"].items():
            by_level = {level: as_rate(each[measure]) for level, each in rates["levels"].items()}
            found.setdefault(f"{task}: {measure} by level", {})[run.name] = by_level
    return [
        Slices(title, "level", sorted(set().union(*lines.values()), key=int), lines)
        for title, lines in found.items()
        if any(len(levels) > 1 for levels in lines.values())
    ]


def print_end(out: Path) -> None:
    """Print where the page of a run is, and how the run is compared with others."""
    print(f"report: {out / 'report.html'}")
    print(f"next: python -m evaluation.report {out} OTHER --out comparison.html")


def print_results(results: Mapping[str, Any], out: Path | None = None) -> None:
    """Print the tables of a run and the path of its report."""
    for make in (breakdown, of_answered, by_several, by_question, by_reader):
        table = make(results)
        if table:
            print_table(table)
    if out:
        print_end(out)


def _section(run: Run, others: Sequence[Run] = ()) -> Section:
    results, goal = run.results, run.results["goal"]
    makers = (breakdown, of_answered, by_several, by_question, by_reader, by_status)
    comparable = [other for other in others if other.results["goal"] == goal]
    solved = {key for other in comparable for key, right in judged(other).items() if right}
    boards = gallery(run.records, goal, solved)
    tables = [table for make in makers if (table := make(results))]
    return Section(run, tables, terms(tables), boards, heatmaps(results), confusions(results))


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(per_cent=per_cent, signed=signed, p_text=p_text, counted=counted)
    return environment.get_template("report.html")
