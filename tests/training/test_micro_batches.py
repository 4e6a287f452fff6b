"""A step's answers are sampled at once, and divided into micro-batches that hardly pad."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from agents.backends.hf import sample
from agents.rollout import Case, prompt_of
from agents.vlm.checkpoint import load_checkpoint
from agents.vlm.encoding import encode_prompts, select_rows
from agents.vlm.image_patches import unpack
from training.base import BaseConfig, train_base
from training.data.length_groups import length_groups
from training.data.step_batches import StepBatches
from training.opcd import sampler as samplers
from training.opcd.config import OPCDConfig
from training.opcd.trainer import train_opcd
from training.presets import PRESETS
from training.sft import SFTConfig, train_sft
from vsp_envs import LayoutSpec, draw_distinct

MIXED = ("frozenlake:3-4", "maze:3", "minibehaviour:5")


@pytest.fixture
def config(tiny_folder: Path, tmp_path: Path) -> OPCDConfig:
    return OPCDConfig(
        tmp_path / "run", model=str(tiny_folder), teacher=str(tiny_folder), tasks=MIXED, steps=2,
        batch_size=8, max_new_tokens=24, save_every=2, eval_every=0, log_every=1, warmup=0.0,
        seed_per_board=True, loss="sampled",
    )  # fmt: skip


def curve(folder: Path, name: str) -> list[float]:
    entries = json.loads((folder / "run.json").read_text())["history"]
    return [entry[name] for entry in entries if name in entry]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"micro_batch_size": 1}, {"micro_batch_tokens": 200}, {}])
def test_a_step_is_one_call_of_the_sampler_whatever_the_micro_batches(
    config: OPCDConfig, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def counted(model: Any, inputs: Any, *rest: Any) -> list[list[int]]:
        calls.append(len(inputs["input_ids"]))
        return sample(model, inputs, *rest)

    monkeypatch.setattr(samplers, "sample", counted)
    train_opcd(replace(config, **settings))
    assert calls == [8, 8]


@pytest.mark.parametrize("name", ["qwen3-vl-4b", "qwen3-vl-8b"])
def test_the_presets_sample_a_step_in_one_call_on_eight_gpus_and_on_one(name: str) -> None:
    preset = PRESETS["opcd"][name]
    assert preset["batch_size"] <= preset.get("rollout_batch_size", OPCDConfig.rollout_batch_size)


def test_the_presets_pad_no_more_than_a_tenth_and_leave_no_board_alone() -> None:
    for stage in ("sft", "opcd"):
        for name, preset in PRESETS[stage].items():
            if name.startswith("qwen"):
                assert preset["micro_batch_tokens"]  # its groups are padded by a tenth at most
                assert stage == "opcd" or preset["mix_kinds"]


@pytest.mark.slow
def test_a_smaller_rollout_batch_asks_more_often_for_the_same_answers(
    config: OPCDConfig, tmp_path: Path
) -> None:
    whole = train_opcd(config)
    single = train_opcd(replace(config, rollout_batch_size=3, out=tmp_path / "single"))
    assert curve(single, "rollout_tokens") == curve(whole, "rollout_tokens")
    assert curve(single, "loss") == pytest.approx(curve(whole, "loss"), abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("budget", [64, 300, 100_000])
def test_a_budget_of_tokens_changes_no_gradient(
    config: OPCDConfig, budget: int, tmp_path: Path
) -> None:
    config = replace(config, rollouts=2, reward_weight=0.5, optimal_reward=0.1, learning_rate=1e-4)
    plain = train_opcd(config)
    grouped = train_opcd(replace(config, micro_batch_tokens=budget, out=tmp_path / "grouped"))
    for name in ("loss", "grad_norm", "rollout_success", "reverse_kl"):
        assert curve(grouped, name) == pytest.approx(curve(plain, name), rel=1e-5, abs=1e-5)
    one, two = weights(plain), weights(grouped)
    assert max((one[name] - two[name]).abs().max().item() for name in one) < 1e-5
    assert max(curve(grouped, "padding")) <= 0.1


@pytest.mark.slow
def test_a_budget_changes_no_gradient_of_sft_and_workers_change_nothing(
    tiny_folder: Path, tmp_path: Path
) -> None:
    sft = SFTConfig(
        tmp_path / "plain", model=str(tiny_folder), tasks=MIXED, steps=2, batch_size=8,
        eval_every=0, log_every=1, target="both", mix_kinds=True,
    )  # fmt: skip
    plain = train_sft(sft)
    grouped = train_sft(replace(sft, out=tmp_path / "two", micro_batch_tokens=400, workers=1))
    for name in ("loss", "grad_norm"):
        assert curve(grouped, name) == pytest.approx(curve(plain, name), rel=1e-5, abs=1e-5)
    assert max(curve(grouped, "padding")) <= 0.1 < max(curve(plain, "padding"))


@pytest.mark.parametrize("settings", [{}, {"input": "text", "target": "both", "curriculum": 1.0}])
def test_a_budget_below_one_board_is_refused_before_anything_is_loaded(
    tiny_folder: Path, tmp_path: Path, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: Any, **__: Any) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("training.model.student.load_checkpoint", load)
    sft = SFTConfig(
        tmp_path / "run", model=str(tiny_folder), tasks=MIXED, steps=2, batch_size=8,
        eval_every=0, mix_kinds=True, micro_batch_tokens=30, **settings,
    )  # fmt: skip
    with pytest.raises(
        ValueError, match="--micro-batch-tokens 30 has no room for one board: "
    ) as no:
        train_sft(sft)
    least = int(str(no.value).rsplit(maxsplit=1)[-1])
    with pytest.raises(ValueError, match=f"--micro-batch-tokens {least - 1} has no room"):
        train_sft(replace(sft, micro_batch_tokens=least - 1))
    with pytest.raises(AssertionError, match="was loaded"):
        train_sft(replace(sft, micro_batch_tokens=least))
    base = BaseConfig(
        tmp_path / "base", size="S", tasks=MIXED, steps=1, eval_every=0, micro_batch_tokens=30
    )
    with pytest.raises(ValueError, match="--micro-batch-tokens 30 has no room for one board: "):
        train_base(base)
    assert train_base(replace(base, batch_size=4, micro_batch_tokens=400)).is_dir()
    opcd = OPCDConfig(
        tmp_path / "opcd", model=str(tiny_folder), teacher=str(tiny_folder), eval_every=0,
        micro_batch_tokens=160, max_new_tokens=160,
    )  # fmt: skip
    with pytest.raises(ValueError, match="--micro-batch-tokens 160 has no room for one board: "):
        train_opcd(opcd)


def test_groups_keep_to_the_budget_the_padding_and_the_number_of_rows() -> None:
    rng = np.random.default_rng(0)
    for count in (1, 4, 32, 100):
        prompts = rng.integers(210, 310, count).tolist()
        answers = rng.integers(1, 2048, count).tolist()
        groups = length_groups(prompts, answers, 5000, most=6)
        assert sorted(row for group in groups for row in group) == list(range(count))
        for group in groups:
            width = max(prompts[row] for row in group) + max(answers[row] for row in group)
            used = sum(prompts[row] + answers[row] for row in group)
            assert len(group) == 1 or len(group) * width <= 5000
            assert len(group) <= 6 and used >= 0.9 * len(group) * width


def test_dealt_boards_are_those_of_the_step_and_each_process_has_all_kinds() -> None:
    dealt = list(StepBatches(steps=2, batch_size=7, parts=3, dealt=True))
    assert dealt[:3] == [[0, 3, 6], [1, 4], [2, 5]]
    assert sorted(index for part in dealt[3:] for index in part) == list(range(7, 14))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("rows", [[3], [4, 0], [1], [5, 1, 2], [0, 1, 2, 3, 4, 5]])
def test_selected_rows_are_what_encoding_these_prompts_alone_gives(
    tiny_folder: Path, rows: list[int], packed: bool
) -> None:
    _, processor, view = load_checkpoint(tiny_folder)
    prompts = [
        prompt_of(Case(layout, input), view)
        for level in (3, 5)
        for layout, input in zip(
            draw_distinct(LayoutSpec("frozenlake", level), 3, seed=0), ("image", "text", "image"),
            strict=True,
        )
    ]  # fmt: skip
    whole = encode_prompts(processor, prompts, packed=packed)
    expected = unpack(encode_prompts(processor, [prompts[row] for row in rows], packed=packed))
    found = unpack(select_rows(whole, rows))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
