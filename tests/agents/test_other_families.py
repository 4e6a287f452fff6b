"""Families other than Qwen3-VL: evaluated, taught to perceive and distilled as it is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers.utils import is_torchvision_available

from agents.agent import Prompt
from agents.backends.hf import HFAgent
from agents.sampling import Sampling
from agents.vlm import checkpoint
from agents.vlm.checkpoint import CheckpointError, load_checkpoint
from agents.vlm.encoding import encode_prompts, select_rows
from evaluation import planning
from tests.families import FAMILIES, PROCESSORS, VideolessProcessor, save_family
from training.config import TrainingConfig
from training.model.student import bound_pixels
from training.model.trainable import freeze, in_part
from training.opcd.config import OPCDConfig
from training.opcd.trainer import train_opcd
from training.sft import SFTConfig, train_sft
from vsp_envs.core.task_level import TaskLevel

KIND = TaskLevel("frozenlake", 3)
every_family = pytest.mark.parametrize("family", FAMILIES)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: save_family(name, tmp_path_factory.mktemp(name)) for name in FAMILIES}


@pytest.fixture
def torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where torchvision is missing, transformers' processors without their video half."""
    if not is_torchvision_available():
        monkeypatch.setattr(checkpoint, "AutoProcessor", VideolessProcessor)


@pytest.mark.skipif(is_torchvision_available(), reason="torchvision is here")
@every_family
@pytest.mark.parametrize("file", ["", "video_preprocessor_config.json"])
def test_a_missing_torchvision_is_said_with_what_to_install(
    folders: dict[str, Path], family: str, file: str, tmp_path: Path
) -> None:
    shutil.copytree(folders[family], tmp_path, dirs_exist_ok=True)
    if file:
        (tmp_path / file).write_text('{"video_processor_type": "Qwen2VLVideoProcessor"}')
    with pytest.raises(CheckpointError) as said:
        load_checkpoint(tmp_path)
    assert str(said.value).endswith(
        "its processor needs torchvision: pip install 'vsp-envs[torchvision]'"
    )


def prompt(words: str, *sides: int) -> Prompt:
    rng = np.random.default_rng(len(words))
    pictures = tuple(rng.integers(0, 256, (side, side, 3), np.uint8) for side in sides)
    content = [{"type": "image"} for _ in pictures] + [{"type": "text", "text": words}]
    return Prompt([{"role": "user", "content": content}], pictures)


@every_family
def test_rows_of_a_batch_keep_their_own_pictures(
    folders: dict[str, Path], torchvision: None, family: str
) -> None:
    model, processor, _ = load_checkpoint(folders[family])
    prompts = [prompt("one", 96), prompt("no picture"), prompt("another", 64), prompt("two", 96)]
    inputs = encode_prompts(processor, prompts)
    for rows in ([2], [3, 0], [1], [1, 2]):
        some = select_rows(inputs, rows)
        alone = encode_prompts(processor, [prompts[row] for row in rows])
        assert {*alone} == {*some}
        with torch.no_grad():
            ours, theirs = (model(**each).logits[:, -1] for each in (some, alone))
        assert torch.allclose(ours, theirs, atol=1e-5)


@every_family
@pytest.mark.slow
def test_a_family_is_evaluated_taught_to_perceive_and_distilled(
    folders: dict[str, Path],
    torchvision: None,
    family: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    agent = HFAgent.load(str(folders[family]), sampling=Sampling(max_new_tokens=4))
    found = planning.evaluate(agent, [KIND], episodes=2, out=tmp_path / "planning")
    assert found["macro"]["success"]["n"] == 2
    same = {
        "tasks": (str(KIND),), "steps": 1, "batch_size": 2, "learning_rate": 1e-3, "warmup": 0.0,
    }  # fmt: skip
    sft = train_sft(
        SFTConfig(
            out=tmp_path / "sft", model=str(folders[family]), lora_rank=2, eval_every=1,
            eval_episodes=1, **same,
        )
    )  # fmt: skip
    opcd = train_opcd(
        OPCDConfig(
            out=tmp_path / "opcd", model=str(sft), teacher=str(folders[family]), max_new_tokens=4,
            micro_batch_size=1, eval_every=0, **same,
        )
    )  # fmt: skip
    train_opcd(
        OPCDConfig(
            out=tmp_path / "dry", model=str(sft), teacher=str(folders[family]), max_new_tokens=4,
            dry_run=True, **same,
        )
    )  # fmt: skip
    said = capsys.readouterr().out
    assert "student's prompt" in said and "teacher's prompt" in said
    [activations] = [line for line in said.splitlines() if line.startswith("activations")]
    assert float(activations.split()[1]) > 0
    [start, *_] = json.loads((opcd / "run.json").read_text())["history"]
    assert start["loss"] != 0
    before, after = (load_file(folder / "model.safetensors") for folder in (folders[family], opcd))
    assert before.keys() == after.keys()
    for part in ("vision", "language"):
        assert any(
            not torch.equal(before[name], after[name]) for name in before if in_part(name, part)
        )
    assert HFAgent.load(str(opcd)).view == agent.view


@every_family
def test_every_parameter_is_of_the_vision_tower_or_of_the_language_model(
    folders: dict[str, Path], torchvision: None, family: str
) -> None:
    model = load_checkpoint(folders[family]).model
    for name, _ in model.named_parameters():
        assert in_part(name, "vision") != in_part(name, "language"), name
    freeze(model, ["vision", "embeddings", "layers", "head"])
    assert not any(each.requires_grad for each in model.parameters())


def test_bounds_of_pixels_are_refused_where_the_size_of_pictures_is_fixed(
    folders: dict[str, Path], torchvision: None
) -> None:
    processor = load_checkpoint(folders["internvl"]).processor
    bound_pixels(processor, TrainingConfig(out=Path("run")))
    with pytest.raises(ValueError, match=r"resizes every picture to .* leave out --min-pixels"):
        bound_pixels(processor, TrainingConfig(out=Path("run"), max_pixels=9216))


def test_gemma_3_is_evaluated_in_batches_and_its_training_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "AutoProcessor", PROCESSORS["gemma3"])
    folder = save_family("gemma3", tmp_path / "model")
    agent = HFAgent.load(str(folder), sampling=Sampling(max_new_tokens=2))
    found = planning.evaluate(agent, [KIND], episodes=2)
    assert found["macro"]["success"]["n"] == 2
    config = SFTConfig(
        out=tmp_path / "sft", model=str(folder), tasks=(str(KIND),), steps=1, batch_size=2,
        eval_every=0,
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"mm_token_type_ids .* it can be evaluated"):
        train_sft(config)
