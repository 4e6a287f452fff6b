"""The page of the recipe `levels`: what it says of a run, and what it keeps of it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from evaluation import planning
from training.recipes.levels_report import LevelsReportConfig, write
from training.recipes.nano_settings import RECIPES
from vsp_envs.core.task_level import select_task_levels
from vsp_envs.utils.files import write_json

KINDS = ("frozenlake:3-4", "maze:3")


def played(goal: str, success: float) -> dict[str, Any]:
    """Results as `evaluation` gives them, the same rate everywhere."""
    measure = "success" if goal == "plan" else "exact"
    rate = {measure: {"value": success, "n": 20, "low": success / 2, "high": (1 + success) / 2}}
    tasks: dict[str, Any] = {}
    for kind in select_task_levels(KINDS):
        tasks.setdefault(kind.task, {**rate, "levels": {}})["levels"][str(kind.level)] = rate
    return {"results": {"goal": goal, "tasks": tasks, "macro": rate}, "seconds": 1.0}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run whose every stage took 90 minutes, and whose lines played the test boards."""
    history = [{"step": 0, "loss": 2.0}, {"step": 1, "success": 0.25}, {"step": 1, "loss": 0.5}]
    done: dict[str, Any] = {
        stage: {"history": history, "seconds": 5400.0} for stage in RECIPES["levels"].stages
    }
    for line in RECIPES["levels"].lines:
        goal = "perceive" if line.goal == "perceive" else "plan"
        done[f"{line.name} · test"] = played(goal, 0.125 * len(line.name.split()))
    asked = {"size": "M", "recipe": "levels", "seed": "0"}
    write_json(tmp_path / "run/carry/nano.json", {"asked": asked, "done": done})
    return tmp_path / "run"


def test_the_page_has_a_row_for_each_line_by_task_and_by_level(run: Path, tmp_path: Path) -> None:
    page = tmp_path / "docs/levels.md"
    write(LevelsReportConfig(run, page))
    text = page.read_text()
    stages = RECIPES["levels"].stages
    assert f"{1.5 * len(stages):.1f} core-hours" in text and "1.6 M parameters" in text
    for line in RECIPES["levels"].lines:
        cell = f"{100 * 0.125 * len(line.name.split()):.1f} ("
        rows = [row for row in text.splitlines() if row.startswith(f"| {line.name} |")]
        first = [] if line.goal == "perceive" else ["success in the first table"]
        assert len(rows) == len([*first, "over tasks", "by level of the task that has several"])
        assert all(cell in row for row in rows)
    for name, stage in stages.items():
        steps = f"| {name} | {stage.config.steps} × {stage.config.batch_size} | 90 |"
        assert steps in text
    assert (page.parent / "levels.png").stat().st_size > 10_000
    assert "Not played yet" not in text
    kept = json.loads(page.with_suffix(".json").read_text())
    assert kept["stages"]["base"]["validation"] == [{"step": 1, "success": 0.25}]
    assert kept["played"]["OPCD · test"]["macro"]["success"]["value"] == 0.125


def test_a_run_of_a_protocol_stands_beside_the_published_numbers_of_that_protocol_alone(
    run: Path, tmp_path: Path
) -> None:
    for side in range(3, 9):
        level = tmp_path / f"sets/level{side}"
        for name in ("table", "img"):
            (level / name).mkdir(parents=True)
        Image.new("RGB", (64 * side, 64 * side)).save(level / "img/0.png")
        cells = ["@", *"_" * (side * side - 2), "*"]
        rows = [" | ".join(cells[at : at + side]) for at in range(0, side * side, side)]
        lines = [f"| Row {number} | {row} |\n" for number, row in enumerate(rows, 1)]
        columns = " | ".join(f"Col {number + 1}" for number in range(side))
        (level / "table/0.txt").write_text(f"| | {columns} |\n{''.join(lines)}")
    sets = (f"vsp:{tmp_path / 'sets'}",)
    asked = planning.protocol_config("vsp")
    planning.run(replace(asked, out=tmp_path / "vsp", agent="oracle", benchmark=sets))
    page = tmp_path / "levels.md"
    write(LevelsReportConfig(run, page, (tmp_path / "vsp",)))
    assert "| **vsp-nano (n = 6)** | **100 (" in page.read_text()
    assert "`--protocol vsp`" in page.read_text()
    assert "`--protocol mgsd`" not in page.read_text()


def test_what_is_not_played_yet_is_said(run: Path, tmp_path: Path) -> None:
    state = json.loads((run / "carry/nano.json").read_text())
    del state["done"]["answer-only SFT · test"], state["done"]["answer"]
    write_json(run / "carry/nano.json", state)
    write(LevelsReportConfig(run, tmp_path / "levels.md"))
    assert "Not played yet: answer-only SFT." in (tmp_path / "levels.md").read_text()
