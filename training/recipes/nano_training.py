"""Trains one stage of the plan of `training.recipes.nano`."""

from __future__ import annotations

import math
import shutil
import time
from dataclasses import replace
from typing import Any

from training.base import BaseConfig
from training.config import TrainingConfig
from training.loop.arguments import is_first
from training.loop.run import history_of, seconds_of
from training.merge import MergeConfig, merge
from training.recipes.nano_plan import Plan
from training.recipes.stages import train
from vsp_envs.tiles import pictured_boards, write_tiles


def train_stage(plan: Plan, name: str) -> dict[str, Any]:
    """Train a stage from its last checkpoint, and write its model in bf16.

    The first of several processes writes and returns the results, the others nothing.
    """
    config = settings(plan, name)
    train(config)
    if not is_first():
        return {}
    part = plan.model(f"{name}.part")
    for old in (part, plan.model(name)):
        shutil.rmtree(old, ignore_errors=True)
    merge(MergeConfig(str(config.out), part))
    shutil.copytree(part, plan.kept / "models" / name, dirs_exist_ok=True)
    part.rename(plan.model(name))
    history = history_of(config.out)
    return {"history": history, "seconds": seconds_of(history)}


def settings(plan: Plan, name: str) -> TrainingConfig:
    """The settings of a stage in this run. Raises ValueError without the models that it needs."""
    stage, run = plan.recipe.stages[name], plan.carry / "runs" / name
    for need in filter(None, (stage.model, stage.teacher)):
        if not plan.model(need).is_dir():
            raise ValueError(
                f"the stage {name} needs the model of {need}, which is not trained yet"
            )
    left = 0.0 if plan.end == math.inf else max(1e-6, (plan.end - time.monotonic()) / 60)
    asked: dict[str, Any] = {
        "out": run, "seed": plan.config.seed, "exclude": plan.config.benchmarks,
        "workers": plan.config.workers, "minutes": left,
    }  # fmt: skip
    asked |= {"model": str(plan.model(stage.model))} if stage.model else {}
    asked |= {"teacher": str(plan.model(stage.teacher))} if stage.teacher else {}
    asked |= {"size": plan.size} if isinstance(stage.config, BaseConfig) else {}
    if stage.tiles and plan.vsp:
        tiles = plan.carry / "tiles"
        with plan.alone():
            if not tiles.is_dir():
                part = plan.carry / "tiles.part"  # whole or not at all
                write_tiles(pictured_boards(plan.vsp), part)
                part.rename(tiles)
        asked["theme"] = f"frozenlake=classic,tiles:{tiles}"
    return replace(stage.config, **asked)
