"""The demo's flow from nothing to the report, with stages of two steps."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from agents.backends.hf import HFAgent
from agents.backends.prefilled_route import ForcedRoute, state_lines
from training.recipes import demo
from vsp_envs.scoring.perception import question_names


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = demo.RECIPES["frozenlake:3"]
    few = {"steps": 2, "batch_size": 4, "eval_every": 1, "eval_episodes": 2}
    stages = (replace(recipe.base, **few), replace(recipe.sft, **few), replace(recipe.opcd, **few))
    monkeypatch.setitem(demo.RECIPES, "frozenlake:3", demo.Recipe(*stages))


@pytest.mark.slow
@pytest.mark.usefixtures("short")
def test_the_demo_trains_evaluates_reports_and_says_when_it_is_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = demo.DemoConfig(out=tmp_path / "demo", episodes=4)
    demo.run(config)
    first = capsys.readouterr().out
    for row in ("base", "SFT", "OPCD", "symbolic-input", "blind", "random", "oracle"):
        assert row in first
    for stage in ("base", "sft", "opcd"):
        assert (tmp_path / "demo" / stage / "model.safetensors").is_file()
    page = (tmp_path / "demo" / "report.html").read_text()
    assert "<svg" in page and "OPCD" in page
    summary = (tmp_path / "demo" / "summary.md").read_text()
    assert "| oracle | 100" in summary and "Peak memory" in summary
    demo.run(replace(config, export=tmp_path / "small"))
    assert "done before" in capsys.readouterr().out
    card = (tmp_path / "small/README.md").read_text()
    assert "# small" in card and "frozenlake:3" in card and "OPCD (2 × 4)" in card
    assert next(HFAgent.load(str(tmp_path / "small")).model.parameters()).dtype == torch.bfloat16
    with pytest.raises(ValueError, match="is not empty; choose another --export"):
        demo.run(replace(config, export=tmp_path / "small"))


def test_a_demo_without_a_recipe_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match="no recipe for tasks 'frozenlake' at level 9"):
        demo.run(demo.DemoConfig(level=9))


@pytest.mark.slow
@pytest.mark.parametrize("episodes", [0, 10**6])
def test_boards_that_cannot_be_played_are_refused_before_training(
    tmp_path: Path, episodes: int
) -> None:
    with pytest.raises(ValueError, match=r"at least 1|ask for fewer"):
        demo.run(demo.DemoConfig(tmp_path / "demo", episodes=episodes))
    assert not (tmp_path / "demo").exists()


def test_the_control_is_another_run_when_its_model_is(tiny_folder: Path) -> None:
    agent = HFAgent.load(str(tiny_folder))
    assert ForcedRoute(agent).settings() == agent.settings()


def test_the_control_opens_with_the_state_that_the_model_saw_and_nothing_else() -> None:
    assert "moves" in question_names("maze")
    seen = "size 3\nplayer (0,0)\ngoal (2,2)\nopen [R][L]\nmoves LD"
    assert state_lines(seen, "maze") == "size 3\nplayer (0,0)\ngoal (2,2)\nopen [R][L]"
    assert state_lines("size 3\nholes none", "frozenlake") == "size 3\nholes none"
