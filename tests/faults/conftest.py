"""The two forms of a fault test: some seconds by default, the full numbers under `--faults`.

What a test hands to `record_property` in the long form becomes a row of docs/reliability.md; its
docstring says what was done. Rows of tests that were not run stay.
"""

import json
from pathlib import Path

import pytest
import small_runs as runs

DOCS = Path(__file__).parents[2] / "docs"
FIGURES, PAGE = DOCS / "results/reliability.json", DOCS / "reliability.md"
BEGIN, END = "<!-- figures, written by make test-faults -->\n", "<!-- end of figures -->"


@pytest.fixture(scope="session")
def long(request: pytest.FixtureRequest) -> bool:
    """Whether to do all of it: `count = 10_000 if long else 200`."""
    return request.config.getoption("--faults")


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As everywhere, but made in the process that the runs are forks of: no other needs torch."""
    folder = tmp_path_factory.mktemp("tiny")
    process = runs.PROCESSES.Process(target=runs.build, args=(folder,))
    process.start()
    process.join()
    return folder


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        said = " ".join((getattr(item, "obj", None).__doc__ or "").split())
        item.user_properties.append(("", said or item.name))
    left_out = [item for item in items if item.get_closest_marker("faults")]
    if left_out and not config.getoption("--faults"):
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    """Write the figures; the properties of tests in other processes come with their reports."""
    if not config.getoption("--faults"):
        return
    rows = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    for report in terminalreporter.getreports("passed"):
        (_, what), *figures = report.user_properties or [("", "")]
        if report.when == "call" and figures and "tests/faults/" in report.nodeid:
            file, _, test = report.nodeid.rpartition("tests/faults/")[2].partition("::")
            rows[f"{file}::{test}"] = {
                "what": what,
                "figures": dict(figures),
                "seconds": round(report.duration, 1),
            }
    FIGURES.write_text(json.dumps(dict(sorted(rows.items())), indent=1, ensure_ascii=False) + "\n")
    head, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(head + BEGIN + table(rows) + END + rest.partition(END)[2])


def table(rows: dict) -> str:
    """The figures as Markdown; a test of several cases says once what was done."""
    lines = ["| what was done | what was measured | seconds |", "| --- | --- | ---: |"]
    said = ""
    for test, row in rows.items():
        case = test.partition("[")[2].rstrip("]").replace("|", "\\|")
        what = "" if row["what"] == said else row["what"]
        figures = "; ".join(f"{name} {value}" for name, value in row["figures"].items())
        lines.append(f"| {what} | {f'`{case}`: ' if case else ''}{figures} | {row['seconds']} |")
        said = row["what"]
    return "\n".join(lines) + "\n"
