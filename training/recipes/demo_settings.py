"""The settings of the three stages that `training.recipes.demo` trains, by their boards."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from training.opcd.config import OPCDConfig
from training.presets import PRESETS
from training.sft_config import BaseConfig, SFTConfig
from vsp_envs.core.task_level import TaskLevel


@dataclass(frozen=True)
class DemoConfig:
    """Train a tiny Qwen3-VL by the whole method, and compare it with every baseline."""

    out: Path = Path("runs/demo")
    """Run folder. The same command resumes the demo, or says that it is done."""
    level: Literal[3, 4] = 3
    """FrozenLake level, 3 or 4."""
    tasks: Literal["frozenlake", "all"] = "frozenlake"
    """`frozenlake`, or `all`: FrozenLake 3, Maze 3 and MiniBehaviour 5 in one model."""
    episodes: int = 200
    """Held-out test boards per task and level."""
    seed: int = 0
    """Seed of everything."""
    export: Path | None = None
    """Also write the final model here: a plain checkpoint in bf16, with its card."""


class Recipe(NamedTuple):
    """The settings of the three stages; the demo fills in `out`, `model` and `teacher`."""

    base: BaseConfig
    sft: SFTConfig
    opcd: OPCDConfig

    @property
    def kinds(self) -> list[TaskLevel]:
        """The kinds that SFT and OPCD train on, and that the demo evaluates."""
        return self.opcd.kinds()


HERE = Path()
ALL = ("frozenlake:3", "maze:3", "minibehaviour:5")
RECIPES = {
    "frozenlake:3": Recipe(
        BaseConfig(out=HERE, **PRESETS["base"]["tiny"]),
        SFTConfig(out=HERE, **PRESETS["sft"]["tiny"]),
        OPCDConfig(out=HERE, **PRESETS["opcd"]["tiny"]),
    ),
    "frozenlake:4": Recipe(
        BaseConfig(out=HERE, tasks=("frozenlake:3-4",), steps=1000, learning_rate=2e-3),
        SFTConfig(
            out=HERE, tasks=("frozenlake:4",), steps=350, learning_rate=1e-4,
            vision_learning_rate=2e-3, schedule="half-linear",
        ),
        OPCDConfig(
            out=HERE, tasks=("frozenlake:4",), steps=200, learning_rate=1e-3, max_new_tokens=64
        ),
    ),
    "all": Recipe(
        BaseConfig(out=HERE, tasks=ALL, steps=1200, learning_rate=2e-3, batch_size=96),
        SFTConfig(
            out=HERE, tasks=ALL, steps=600, learning_rate=3e-4, vision_learning_rate=2e-3,
            batch_size=96, schedule="half-linear", warmup=0.05, eval_every=100, eval_episodes=32,
        ),
        OPCDConfig(
            out=HERE, tasks=ALL, steps=250, learning_rate=1e-3, batch_size=96, max_new_tokens=64,
            warmup=0.05, eval_episodes=32,
        ),
    ),
}  # fmt: skip
"""Recipes by what is trained on. Learning rates were chosen on the validation split."""
