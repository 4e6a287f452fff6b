"""Train a tiny Qwen3-VL from scratch to plan on symbolic text: `python -m training.base`.

The model takes the part of a pretrained backbone on a small machine. It can plan from the text
state, and cannot see. This stage shows it no image: images that do not match the text teach a
model to ignore images, and perception SFT then fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar, get_args

from tyro.conf import Fixed, Suppress

from training.config import Schedule
from training.model.tiny import SizeName, build_tiny
from training.presets import main
from training.sft import Input, SFTConfig, Target, train_sft
from vsp_envs.utils.choices import pick_name

Value = TypeVar("Value")
Hidden = Annotated[Value, Fixed, Suppress]
"""A field that is no flag of the command line."""


@dataclass(frozen=True)
class BaseConfig(SFTConfig):
    """The tiny model's symbolic planning."""

    size: SizeName = "M"
    """`S` (0.5 M parameters) or `M` (1.6 M) for pictures that grow with the board; `nano-1m`,
    `nano-4m` or `nano-10m` for pictures of 256 px."""
    preset: str = ""
    """Settings to start from: `tiny`. Other flags override it."""
    input: Hidden[Input] = "text"
    """Always the symbolic state."""
    target: Hidden[Target] = "plan"
    """Always the plan."""
    steps: int = 1000
    """Optimizer steps."""
    learning_rate: float = 2e-3
    """Peak learning rate."""
    schedule: Schedule = "half-linear"
    """`half-linear`: constant, then linear over the second half; or `cosine`."""


def train_base(config: BaseConfig) -> Path:
    """Build the model, or start from `config.model`, and train it; returns its folder."""
    pick_name("size", config.size, get_args(SizeName))
    return train_sft(config, None if config.model else lambda: build_tiny(config.size, config.seed))


if __name__ == "__main__":
    main(train_base, BaseConfig, "base")
