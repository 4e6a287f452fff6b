"""The ablation: every arm trains, plays and is in the table; intervals over seeds are honest."""

from pathlib import Path
from typing import Any, get_args

import pytest

from evaluation.rates import wilson
from training.recipes import ablation
from training.recipes.ablation_report import Played, each_seed, over_seeds, perceived, read_curves
from vsp_envs.core.task_level import TaskLevel
from vsp_envs.utils.files import write_json

KIND = "frozenlake:3"


def played(*wins: int) -> list[Played]:
    return [Played(KIND, seed, "opcd-image", each, 100, None) for seed, each in enumerate(wins)]


def test_equal_seeds_keep_the_boards_interval_and_unequal_ones_widen_it() -> None:
    assert over_seeds(played(90, 90, 90)) == wilson(270, 300)
    wide = over_seeds(played(80, 90, 100))
    assert wide.value == pytest.approx(0.9)
    # 10 points of standard deviation, t(2) = 4.303, three seeds.
    assert wide.low == pytest.approx(0.9 - 4.303 * 0.1 / 3**0.5)
    assert wide.high == 1.0
    assert over_seeds(played(90)) == wilson(90, 100)


def test_the_table_by_seed_holds_what_each_one_reached() -> None:
    assert "| OPCD | 80.0 · 90.0 |" in each_seed(played(80, 90), {"OPCD": "opcd-image"}, [KIND])


def test_a_run_that_goes_on_yet_has_no_curve(tmp_path: Path) -> None:
    write_json(
        tmp_path / "maze-3/0/opcd/run.json",
        {
            "settings": {"batch_size": 8, "rollouts": 4},
            "done": True,
            "history": [{"step": 25, "success": 0.5}],
        },
    )
    write_json(tmp_path / "maze-3/1/opcd/run.json", {"settings": {}, "done": False})
    [curve] = read_curves(tmp_path)
    assert (curve.kind, curve.seed, curve.points) == ("maze:3", 0, [(800, 0.5)])


def test_what_perception_sft_ended_at_is_told_by_seed(tmp_path: Path) -> None:
    for seed, ends in enumerate((1.0, 0.4)):
        history = [{"step": 25, "perception": 0.2}, {"step": 50, "perception": ends}]
        run = {"settings": {"batch_size": 16}, "done": True, "history": history}
        write_json(tmp_path / f"maze-3/{seed}/sft/run.json", run)
    assert "| 100 · 40 |" in perceived(read_curves(tmp_path), ["maze:3"])


def test_every_way_to_an_answer_sees_as_many_boards() -> None:
    seen = {}
    for arm in get_args(ablation.Arm):
        trained = ablation.settings(arm, TaskLevel("maze", 3), Path("runs"), 0, sft_steps=452)
        seen[arm] = trained.steps * trained.batch_size * getattr(trained, "rollouts", 1)
    assert seen["sft"] == 452 * ablation.SFT_BATCH
    assert seen["plan_sft"] == seen["answer_sft"] == seen["sft"] + seen["opcd"]
    assert seen["rlvr"] == seen["opcd_plan"] == seen["opcd_sampled"] == seen["opcd"]
    assert ablation.settings("answer_sft", TaskLevel("maze", 3), Path(), 0).target == "answer"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"arms": ("ocpd",)}, "Did you mean 'opcd'"),
        ({"arms": ("base", "opcd")}, "the arm opcd starts from sft"),
        ({"tasks": ("maze:4",)}, "unknown kind of board 'maze:4'"),
        ({"seeds": (0, 0)}, "--seeds must be 1 to 10 different ones"),
        ({"sft_steps": -1}, "--sft-steps must be at least 0"),
        ({"episodes": 0}, "--episodes must be at least 1"),
        ({"seeds": tuple(range(11))}, "--seeds must be 1 to 10"),
    ],
)
def test_what_cannot_be_trained_or_reported_is_refused_at_once(
    tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ablation.run(ablation.AblationConfig(tmp_path, **settings))
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_every_arm_trains_plays_and_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ablation, "STEPS", {KIND: ablation.Steps(1, 1, 1)})
    monkeypatch.setattr(ablation, "TOKENS", 4)
    monkeypatch.setattr(ablation, "BATCH", 8)
    config = ablation.AblationConfig(tmp_path, tasks=(KIND,), seeds=(0,), episodes=2)
    ablation.run(config)
    text = (tmp_path / "ablation.md").read_text()
    assert all(f"| {row} |" in text for row in ablation.ROWS)
    assert (tmp_path / "ablation.png").stat().st_size > 10_000
    capsys.readouterr()
    ablation.run(config)  # everything is there already
    assert "step 1/1" not in capsys.readouterr().err
