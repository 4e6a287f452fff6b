"""Checkpoints of families other than Qwen3-VL, whose processors need torchvision."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
from transformers.utils import is_torchvision_available

from agents.vlm.checkpoint import CheckpointError, load_checkpoint


@pytest.fixture
def qwen2_5(tiny_folder: Path, tmp_path: Path) -> Path:
    """An untrained Qwen2.5-VL with the tiny model's tokenizer."""
    shutil.copytree(tiny_folder, tmp_path, dirs_exist_ok=True)
    text = {
        "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "vocab_size": 512,
        "num_attention_heads": 2, "num_key_value_heads": 1,
        "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e4},
    }  # fmt: skip
    vision = {
        "depth": 1, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2,
        "out_hidden_size": 32, "patch_size": 16, "fullatt_block_indexes": [0],
    }  # fmt: skip
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision)
    Qwen2_5_VLForConditionalGeneration(config).save_pretrained(tmp_path)
    for name in ("processor_config.json", "tokenizer_config.json"):
        settings = json.loads((tmp_path / name).read_text())
        settings["processor_class"] = "Qwen2_5_VLProcessor"
        (tmp_path / name).write_text(json.dumps(settings))
    return tmp_path


@pytest.mark.skipif(is_torchvision_available(), reason="torchvision is here")
def test_a_missing_torchvision_is_said_with_what_to_install(qwen2_5: Path) -> None:
    with pytest.raises(CheckpointError) as said:
        load_checkpoint(qwen2_5)
    assert str(said.value).endswith(
        "its processor needs torchvision: pip install 'vsp-envs[torchvision]'"
    )
