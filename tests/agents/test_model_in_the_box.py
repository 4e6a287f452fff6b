"""The model that comes with the project: small, plain, and as good as its card says."""

import re
from pathlib import Path

import pytest

from agents.backends.hf import HFAgent
from agents.sampling import Sampling
from evaluation import planning
from vsp_envs.core.task_level import select_task_levels

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "models/vsp-tiny"
TASKS = {"frozenlake": "frozenlake:3", "maze": "maze:3", "minibehaviour": "minibehaviour:5"}


def test_the_folder_holds_four_megabytes_and_nothing_that_runs() -> None:
    files = [file for file in MODEL.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 4_000_000
    assert {file.suffix for file in files} <= {".json", ".jinja", ".md", ".safetensors"}


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_its_score_is_within_the_interval_of_its_card(task: str, tmp_path: Path) -> None:
    """On other boards than the card's, so the two intervals need only meet."""
    low, high = stated(task)
    agent = HFAgent.load(str(MODEL), dtype="float32", sampling=Sampling(max_new_tokens=160))
    played = planning.evaluate(
        agent, select_task_levels([TASKS[task]]), "test", 60, seed=1, out=tmp_path / "run"
    )
    rate = played["tasks"][task]["success"]
    assert rate["low"] <= high and low <= rate["high"]


def stated(task: str) -> tuple[float, float]:
    """The interval of the card's row OPCD for the task."""
    lines = [line for line in (MODEL / "README.md").read_text().splitlines() if line[:1] == "|"]
    [names] = [line for line in lines if "plan success" in line]
    [rates] = [line for line in lines if line.startswith("| OPCD |")]
    column = [each.strip() for each in names.split("|")].index(task)
    found = re.fullmatch(r".* \((.+)–(.+)\)", rates.split("|")[column].strip())
    assert found
    return float(found[1]) / 100, float(found[2]) / 100
