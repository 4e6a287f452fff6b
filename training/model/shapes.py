"""The shapes of the models that MGSD trains: enough to count and name parameters without weights.

The numbers are those of the published `config.json` files of Qwen3-VL-4B-Instruct and
Qwen3-VL-8B-Instruct.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoModelForImageTextToText, Qwen3VLConfig

from training.model.tiny import SIZES, build_tokenizer, tiny_config
from vsp_envs.utils.choices import pick_name

_TEXT: dict[str, Any] = {
    "vocab_size": 151936,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "max_position_embeddings": 262144,
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 5_000_000.0,
        "mrope_section": [24, 20, 20],
        "mrope_interleaved": True,
    },
}
_VISION: dict[str, Any] = {
    "num_heads": 16,
    "patch_size": 16,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "num_position_embeddings": 2304,
}
QWEN: dict[str, dict[str, Any]] = {
    "qwen3-vl-4b": {
        "tie_word_embeddings": True,
        "text_config": {
            **_TEXT, "hidden_size": 2560, "intermediate_size": 9728, "tie_word_embeddings": True,
        },
        "vision_config": {
            **_VISION, "depth": 24, "hidden_size": 1024, "intermediate_size": 4096,
            "out_hidden_size": 2560, "deepstack_visual_indexes": [5, 11, 17],
        },
    },
    "qwen3-vl-8b": {
        "tie_word_embeddings": False,
        "text_config": {
            **_TEXT, "hidden_size": 4096, "intermediate_size": 12288, "tie_word_embeddings": False,
        },
        "vision_config": {
            **_VISION, "depth": 27, "hidden_size": 1152, "intermediate_size": 4304,
            "out_hidden_size": 4096, "deepstack_visual_indexes": [8, 16, 24],
        },
    },
}  # fmt: skip
SHAPES = ("tiny", *QWEN)


def shape_config(name: str) -> Qwen3VLConfig:
    """The configuration of a shape, `tiny` being the tiny model of size M."""
    if pick_name("shape", name, SHAPES) == "tiny":
        return tiny_config(SIZES["M"], build_tokenizer())
    return Qwen3VLConfig(**QWEN[name])


def meta_model(config: Any) -> Any:
    """A model of that configuration without memory for its weights."""
    with torch.device("meta"):
        return AutoModelForImageTextToText.from_config(config)
