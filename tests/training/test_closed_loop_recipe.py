"""The recipe of closed loops: what it trains and plays is on its page, and it resumes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from training.opcd.config import OPCDConfig
from training.recipes import ablation, closed_loop
from training.recipes.closed_loop import ClosedLoopConfig
from training.recipes.closed_loop_report import WAYS, rows
from vsp_envs.core.task_level import TaskLevel
from vsp_envs.utils.files import read_json

KIND = "frozenlake:3"


def test_opcd_in_steps_has_about_as_many_answers_as_opcd_on_plans() -> None:
    kind, folder = TaskLevel("frozenlake", 3), Path("runs")
    plan, step = (closed_loop.settings(arm, kind, folder, 0) for arm in ("plan_opcd", "step_opcd"))
    assert (plan.batch_size, step.batch_size) == (64, 64 // closed_loop.TURNS)
    assert (plan.turn_policy.act, step.turn_policy.act) == ("plan", "step")


def test_the_two_that_go_on_in_steps_differ_in_the_loss_and_in_no_more_than_their_steps() -> None:
    kind, folder = TaskLevel("minibehaviour", 5), Path("runs")
    reverse, forward = (
        closed_loop.settings(arm, kind, folder, 0) for arm in ("step_opcd", "step_opcd_forward")
    )
    assert isinstance(reverse, OPCDConfig)
    assert forward == replace(reverse, out=forward.out, loss="forward_kl", steps=reverse.steps // 2)


def test_every_arm_plays_as_a_plan_and_in_steps_undisturbed_and_pushed() -> None:
    titles = rows(tuple(closed_loop.START))
    assert len(titles) == len(set(titles.values())) == 1 + 7 * 4
    assert list(closed_loop.WAYS) == list(WAYS)
    assert [policy.push for policy in closed_loop.WAYS.values()] == [False, False, True, True]


def test_what_is_played_already_is_trained_only_where_another_arm_starts_from_it() -> None:
    titles = [*rows(tuple(closed_loop.START)).values()]
    assert closed_loop.arms_of(titles) == list(closed_loop.START)
    assert closed_loop.arms_of(["step_opcd-plan"]) == ["base", "sft", "plan_opcd", "step_opcd"]
    assert closed_loop.arms_of(["base-text", "step_sft-step-pushed"]) == ["base", "step_sft"]
    assert closed_loop.arms_of([]) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"arms": ("base", "step_opcd")}, "the arm step_opcd starts from plan_opcd"),
        ({"tasks": ("maze:4",)}, "unknown kind of board 'maze:4'"),
        ({"seeds": (1, 1)}, "--seeds must be 1 to 10 different ones"),
    ],
)
def test_what_cannot_be_trained_is_refused_at_once(
    tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        closed_loop.run(ClosedLoopConfig(tmp_path, **settings))
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_arms_train_play_and_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ablation, "STEPS", {KIND: ablation.Steps(1, 1, 1)})
    for name, value in {"TOKENS": 4, "BATCH": 8, "TURNS": 4}.items():
        monkeypatch.setattr(closed_loop, name, value)
    arms: Any = ("base", "sft", "plan_opcd", "step_opcd")
    page = tmp_path / "results/page.md"
    config = ClosedLoopConfig(tmp_path / "run", page, (KIND,), (0,), arms, episodes=2)
    closed_loop.run(config)
    text = page.read_text()
    assert "| base, from text (the bound) |" in text
    for way in ("as a plan", "in steps", "as a plan, pushed", "in steps, pushed"):
        assert f"| SFT + OPCD on plans, then in steps; {way} |" in text
    assert len(read_json(page.with_suffix(".json"))["played"]) == 9
    capsys.readouterr()
    closed_loop.run(config)  # everything is there already
    assert "step 1/1" not in capsys.readouterr().err
    closed_loop.run(replace(config, out=tmp_path / "elsewhere"))  # beside the page too
    assert page.read_text() == text and not (tmp_path / "elsewhere").exists()
