"""The model that comes with the project: small, plain, and as good as its card says."""

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from agents.backends.hf import HFAgent
from agents.sampling import Sampling
from evaluation import planning
from evaluation.planning import protocol_config
from evaluation.run_folder import read_run
from training.recipes.nano_settings import PAPER
from vsp_envs.core.task_level import select_task_levels

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "models/vsp-nano"
TASKS = {kinds.partition(":")[0]: kinds.partition("@")[0] for kinds in PAPER}


def test_the_folder_holds_four_megabytes_and_nothing_that_runs() -> None:
    files = [file for file in MODEL.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 4_000_000
    assert {file.suffix for file in files} <= {".json", ".jinja", ".md", ".safetensors"}


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_its_score_is_within_the_interval_of_its_card(task: str, tmp_path: Path) -> None:
    """On other boards than the card's, so the two intervals need only meet."""
    low, high = stated("test", task)
    agent = HFAgent.load(str(MODEL), dtype="float32", sampling=Sampling(max_new_tokens=128))
    kinds = select_task_levels([TASKS[task]])
    played = planning.evaluate(agent, kinds, "test", 15, seed=1, out=tmp_path / "run")
    rate = played["tasks"][task]["success"]
    assert rate["low"] <= high and low <= rate["high"]


@pytest.mark.slow
def test_on_vsps_boards_in_their_own_pictures_it_scores_what_its_card_says(tmp_path: Path) -> None:
    if not (root := os.environ.get("VSP_BENCHMARKS")):
        pytest.skip("VSP_BENCHMARKS names no folder with the public test sets")
    given = {"benchmark": (f"vsp:{root}/vsp_frozenlake",), "model": str(MODEL), "agent": "hf"}
    config = replace(protocol_config("vsp"), out=tmp_path / "run", **given)
    planning.run(config)
    rate = read_run(tmp_path / "run").results["macro"]["success"]
    low, high = stated("vsp", "frozenlake")
    assert low <= rate["value"] <= high


def stated(source: str, task: str) -> tuple[float, float]:
    """The interval of the card's row OPCD for the task, on a set."""
    card = (MODEL / "README.md").read_text().partition(f"### {source}\n")[2].partition("\n### ")[0]
    lines = [line for line in card.splitlines() if line[:1] == "|"]
    [rates] = [line for line in lines if line.startswith("| OPCD |")]
    column = [each.strip() for each in lines[0].split("|")].index(task)
    found = re.fullmatch(r".* \((.+)–(.+)\)", rates.split("|")[column].strip())
    assert found
    return float(found[1]) / 100, float(found[2]) / 100
