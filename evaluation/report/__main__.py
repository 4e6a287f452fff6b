"""The command `python -m evaluation.report`: finished runs side by side on one page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from evaluation.report.compare import comparison
from evaluation.report.page import breakdown, summary, write_report
from evaluation.report.recording import read_recording
from evaluation.report.tables import comma_separated, latex, markdown
from evaluation.run_folder import Run, read_run
from vsp_envs.utils.cli import main
from vsp_envs.utils.files import write_text


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """Put finished runs side by side on one page."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders of `evaluation.planning`, `evaluation.perception` or `evaluation.modality_gap`, and
    files that `vsp_envs.play --record` wrote."""
    out: Path = Path("report.html")
    """The page."""
    title: str = "Visual spatial planning"
    """Heading of the page."""
    published: bool = True
    """Show published numbers, beside the runs that were measured by the same protocol."""


def run(config: ReportConfig) -> None:
    """The command."""
    if not config.runs:
        raise ValueError("name at least one run folder, for example runs/oracle")
    paths = [part for path in config.runs for part in parts_of(path)]
    runs = [read_recording(path) if path.is_file() else read_run(path) for path in paths]
    named = Counter(run.name for run in runs)
    runs = [
        replace(run, name=str(path)) if named[run.name] > 1 or path not in config.runs else run
        for run, path in zip(runs, paths, strict=True)
    ]
    write_report(config.out, config.title, runs, published=config.published)
    for file in write_tables(config.out, runs):
        print(f"tables: {file}")
    print(f"report: {config.out}")


def parts_of(path: Path) -> list[Path]:
    """The runs in a folder: of a modality gap, the one by image and the one by text."""
    if not (path / "gap.json").is_file():
        return [path]
    return [path / name for name in ("image", "text", "perception") if (path / name).is_dir()]


def write_tables(page: Path, runs: Sequence[Run]) -> list[Path]:
    """Write the tables of a page beside it, as Markdown, LaTeX and CSV."""
    tables = [summary(runs), *filter(None, [comparison(runs)] if len(runs) > 1 else [])]
    tables += [breakdown(run.results)._replace(corner=run.name) for run in runs]
    files = []
    for suffix, write in ((".md", markdown), (".tex", latex), (".csv", comma_separated)):
        files.append(page.with_suffix(suffix))
        write_text(files[-1], "\n".join(map(write, tables)))
    return files


if __name__ == "__main__":
    main(run, ReportConfig)
