"""A task from another package passes the suite that the project's own tasks pass, untouched."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "examples" / "keydoor"
ENTRY = "[vsp_envs.tasks]\nkeydoor = keydoor:TASK\n"


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """An environment of processes in which the package is installed: what pip would write."""
    info = tmp_path / "keydoor-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: keydoor\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(ENTRY)
    (tmp_path / "keydoor").symlink_to(PACKAGE / "keydoor")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}


def run(environment: dict[str, str], *command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_package_announces_the_task_as_the_test_does() -> None:
    written = (PACKAGE / "pyproject.toml").read_text()
    group, line = ENTRY.splitlines()
    name, _, value = line.partition(" = ")
    assert f'[project.entry-points."{group[1:-1]}"]\n{name} = "{value}"\n' in written


def test_an_announced_task_is_a_task_like_any_other_and_its_card_is_what_the_code_makes(
    installed: dict[str, str],
) -> None:
    code = """
import gymnasium
assert gymnasium.make("vsp_envs:VSP/KeyDoor-v0").reset()[1]["outcome"] == "running"
import vsp_envs
from vsp_envs.card import card
print(*vsp_envs.TASKS)
print(card(vsp_envs.TASKS["keydoor"]))
"""
    names, made = run(installed, "-W", "error", "-c", code).split("\n", 1)
    assert names.split() == ["frozenlake", "maze", "minibehaviour", "keydoor"]
    assert made == (PACKAGE / "keydoor" / "README.md").read_text() + "\n"


# The suite starts many environments; the other files hold properties that a new task can break.
SUITE = ("tests/envs/test_contract.py", "tests/envs/test_vector_env.py")


@pytest.mark.slow
def test_the_contract_tests_pass_on_it(installed: dict[str, str]) -> None:
    run(
        installed, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-k", "keydoor",
        *SUITE,
    )  # fmt: skip


def test_the_door_opens_for_the_key_and_without_it_sets_off_the_alarm(
    installed: dict[str, str],
) -> None:
    code = """
from vsp_envs import load_layout, parse_plan, shortest_plan, simulate
board = load_layout("keydoor", {"map": ["AKWF", "FFDG", "FFWF", "FFWF"]})
for answer in ("DRR", "DL,PICK", "PICK,PICK", "PICK,D,R,R,R"):
    trace = simulate(board, parse_plan(f"<answer>{answer}</answer>", "keydoor").plan)
    print(answer, trace.outcome.name, trace.reason)
print(len(shortest_plan(board)))
"""
    assert run(installed, "-c", code).splitlines() == [
        "DRR FAILURE alarm",
        "DL,PICK RUNNING not_beside_key",
        "PICK,PICK RUNNING no_key_left",
        "PICK,D,R,R,R SUCCESS ",
        "5",
    ]


CARELESS = """
import sys
from pathlib import Path

import numpy as np

from agents.scripted import Scripted
from evaluation import planning
from evaluation.report.__main__ import ReportConfig, run
from evaluation.run_folder import read_run
from vsp_envs import Action, Outcome, format_answer, load_layout, parse_plan
from vsp_envs.core.grid import transitions
from vsp_envs.core.layout import LayoutBatch
from vsp_envs.core.solver import solve
from vsp_envs.core.task_level import TaskLevel
from vsp_envs.play.__main__ import PlayConfig, open_screen
from vsp_envs.play.attempt import Attempt
from vsp_envs.play.reply_panel import verdict
from vsp_envs.utils.cli import main


class Careless(Scripted):
    name = "careless"

    def answer(self, layout):
        "The shortest way to a failure."
        tables = transitions(LayoutBatch.stack([layout]))
        swapped = np.array([Outcome.RUNNING, Outcome.FAILURE, Outcome.SUCCESS, Outcome.ILLEGAL])
        found = solve(tables._replace(outcome=swapped[tables.outcome]))
        state, plan = layout.cells[0], []
        for _ in range(found.distance[0, state]):
            plan.append(Action(found.optimal[0, state].argmax()))
            state = tables.next_state[0, state, plan[-1]]
        return format_answer(plan, layout.task)


folder, page = map(Path, sys.argv[1:])
planning.evaluate(Careless(), [TaskLevel("keydoor", 5)], episodes=3, out=folder)
print(*(record["reason"] for record in read_run(folder).records))
main(run, ReportConfig, [str(folder), "--out", str(page)])
episodes = open_screen(PlayConfig(replay=folder)).replay.episodes
print(*map(verdict, episodes), sep=", ")
board = load_layout("keydoor", episodes[0].layout)
print(Attempt(board, parse_plan(episodes[0].reply, "keydoor").plan).verdict(Outcome.FAILURE).text)
"""


@pytest.mark.skipif(find_spec("scipy") is None, reason="only what the wheel needs is installed")
def test_its_own_failure_is_named_in_the_trace_the_report_the_replay_and_the_game(
    installed: dict[str, str], tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    lines = run(installed, "-c", CARELESS, str(tmp_path / "run"), str(page)).splitlines()
    assert lines[0] == "alarm alarm alarm"
    assert lines[-2] == "failed: alarm, failed: alarm, failed: alarm"
    assert lines[-1] == "Alarm: failed. U takes it back, R: again, N: next board."
    assert page.read_text().count("failed: alarm") >= 3
