"""Train a tiny Qwen3-VL from scratch to plan on symbolic text: `python -m training.base`.

The model takes the part of a pretrained backbone on a small machine. It can plan from the text
state, and cannot see. This stage shows it no image: images that do not match the text teach a
model to ignore images, and perception SFT then fails.
"""

from __future__ import annotations

if __name__ == "__main__":  # before torch is imported, so that --help is there at once
    from training.presets import main
    from training.sft_config import BaseConfig

    main("training.base:train_base", BaseConfig, "base")
    raise SystemExit

from pathlib import Path
from typing import get_args

from training.config import SizeName
from training.model.tiny import build_tiny
from training.presets import main
from training.sft import train_sft
from training.sft_config import BaseConfig
from vsp_envs.utils.choices import pick_name


def train_base(config: BaseConfig) -> Path:
    """Build the model, or start from `config.model`, and train it; returns its folder."""
    pick_name("size", config.size, get_args(SizeName))
    return train_sft(config, None if config.model else lambda: build_tiny(config.size, config.seed))
