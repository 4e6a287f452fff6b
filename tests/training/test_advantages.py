"""Reward, its group baseline, and training on it alone or beside the teacher."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from drawn import LAKE
from safetensors.torch import load_file

from training.model.tiny import build_tiny
from training.opcd.advantages import group_advantages, reward_of, share_without_advantage
from training.opcd.config import OPCDConfig
from training.opcd.divergences import clipped, log_probs, of_tokens
from training.opcd.trainer import train_opcd
from training.sft import SFTConfig, train_sft
from vsp_envs import score_reply

TWO_GROUPS = torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0])


def test_success_earns_one_and_a_shortest_plan_more() -> None:
    def reward(reply: str) -> float:
        return reward_of(score_reply(LAKE, reply), optimal_reward=0.5)

    assert reward("<answer>DDRR</answer>") == 1.5
    assert reward("<answer>DUDDRR</answer>") == 1.0
    assert reward("<answer>DR</answer>") == reward("no answer") == 0.0


def test_advantages_are_measured_against_answers_to_the_same_board() -> None:
    plain = group_advantages(TWO_GROUPS, 4, scaled=False)
    torch.testing.assert_close(plain, torch.tensor([0.75, -0.25, -0.25, -0.25, 0, 0, 0, 0]))
    # The standard deviation of (1, 0, 0, 0) is ½.
    scaled = group_advantages(TWO_GROUPS, 4, scaled=True)
    torch.testing.assert_close(scaled, 2 * plain, rtol=1e-3, atol=0)
    assert share_without_advantage(TWO_GROUPS, 4) == 0.5


def test_the_policy_gradient_of_all_answers_is_that_of_the_expected_reward() -> None:
    # One token, three answers; reward of each; the gradient of Σ p·r is p·(r − mean r).
    logits = torch.tensor([[0.2, -0.4, 0.9]], requires_grad=True)
    rewards, chances = torch.tensor([1.0, 0.0, 0.5]), logits.detach().softmax(-1)[0]
    log_p = log_probs(logits)
    loss = sum(
        chances[token]
        * clipped(of_tokens(log_p, torch.tensor([token])), None, rewards[[token]], (0.2, 0.3))
        for token in range(3)
    )
    loss.backward()
    expected = chances * (rewards - (chances * rewards).sum())
    assert logits.grad is not None
    torch.testing.assert_close(-logits.grad[0], expected)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"reward_weight": 1.0}, "take --rollouts 4"),
        ({"distill_weight": 0.0}, "one must be above 0"),
        ({"rollouts": 0}, "at least 1"),
    ],
)
def test_settings_with_nothing_to_learn_from_are_refused(
    settings: dict[str, float], message: str, tiny_folder: Path
) -> None:
    config = OPCDConfig(Path("never"), model=str(tiny_folder), teacher=str(tiny_folder))
    with pytest.raises(ValueError, match=message):
        train_opcd(replace(config, **settings))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def planner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student that knows the answer format and now and then succeeds."""
    config = SFTConfig(
        out=tmp_path_factory.mktemp("planner") / "run", tasks=("frozenlake:3",), target="plan",
        steps=40, batch_size=16, learning_rate=4e-3, eval_every=0,
    )  # fmt: skip
    return train_sft(config, lambda: build_tiny("S"))


@pytest.mark.slow
@pytest.mark.parametrize("distill_weight", [0.0, 1.0])
def test_reward_trains_the_student_alone_or_beside_the_teacher(
    planner: Path,
    tiny_folder: Path,
    tmp_path: Path,
    distill_weight: float,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = OPCDConfig(
        out=tmp_path / "run", model=str(planner), tasks=("frozenlake:3",), steps=2, batch_size=6,
        rollouts=4, reward_weight=1.0, distill_weight=distill_weight, optimal_reward=0.5,
        teacher=str(tiny_folder) if distill_weight else "", max_new_tokens=40, eval_every=0,
    )  # fmt: skip
    train_opcd(replace(config, out=tmp_path / "dry", dry_run=True))
    assert ("teacher's prompt" in capsys.readouterr().out) == bool(distill_weight)
    done = train_opcd(config)
    entry = json.loads((done / "run.json").read_text())["history"][0]
    assert entry["reward"] > 0 and entry["groups_without_advantage"] < 1
    assert ("reverse_kl" in entry) == bool(distill_weight)
    before, after = (load_file(folder / "model.safetensors") for folder in (planner, done))
    assert any(not torch.equal(before[name], after[name]) for name in before)
