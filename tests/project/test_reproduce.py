"""How-to *Reproduce the paper's table*: every row's command runs, with a scripted agent."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from evaluation import planning
from evaluation.protocols import PROTOCOLS
from evaluation.report.__main__ import ReportConfig
from evaluation.report.__main__ import run as report
from evaluation.report.published import PUBLISHED
from evaluation.run_folder import read_run
from tests.public_rows import ROOM_ROW, TABLE, rows
from vsp_envs.utils.cli import main

PAGE = (Path(__file__).parents[2] / "docs/howto/reproduce-the-paper.md").read_text()


def commands() -> list[str]:
    """The commands of the page, with their variables filled in."""
    variables = dict(re.findall(r'^([A-Z]+)="(.*)"$', PAGE, re.MULTILINE))
    found = re.findall(r"^(?:python|accelerate) .*", PAGE, re.MULTILINE)
    return [re.sub(r"\$([A-Z]+)", lambda name: variables[name[1]], each) for each in found]


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    """The public sets in small: a lake and a room."""
    table = tmp_path / "SETS" / "vsp" / "level3" / "table"
    table.mkdir(parents=True)
    (table / "0.txt").write_text(TABLE)
    (tmp_path / "SETS" / "visualplanning").mkdir()
    rows(tmp_path / "SETS" / "visualplanning", ROOM_ROW)
    return tmp_path


def test_every_row_of_the_table_has_one_command_and_the_report_has_them_all(
    sets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(sets)
    outs = re.findall(r"^\| .* \| `(runs/paper/rows/.*)` \|$", PAGE, re.MULTILINE)
    asked = [each for each in commands() if "evaluation.planning" in each]
    assert [shlex.split(each)[-1] for each in asked] == outs
    for each in asked:
        words = shlex.split(each)[3:]
        words[words.index("--agent") + 1] = "oracle"
        # The sets in small have no maze.
        tasks = ("--tasks", "frozenlake@vsp", "minibehaviour@visualplanning", "--quiet")
        planning.command([*words, *tasks])
    assert all(read_run(Path(out)).config["settings"]["protocol"] == "mgsd" for out in outs)
    [last] = [each for each in commands() if "evaluation.report" in each]
    main(report, ReportConfig, shlex.split(last)[3:])
    assert Path("runs/paper/table.html").is_file()


def test_training_leaves_out_the_boards_that_are_played() -> None:
    sources = dict.fromkeys(PROTOCOLS["mgsd"].sources.values())
    for each in commands():
        if "training.sft" in each or "training.opcd" in each:
            assert all(f"{source}:SETS/{source}" in each for source in sources)


def test_the_published_numbers_of_the_page_are_those_of_the_report() -> None:
    [paper] = [each for each in PUBLISHED if each.protocol == "mgsd"]
    for row in paper.rows:
        assert row.value in PAGE
