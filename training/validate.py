"""Checks the settings of a run and refuses bad ones before anything is loaded.

`training.loop.validation` is another thing: it measures a model on validation boards.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from agents.vlm.checkpoint import find_checkpoint
from training.config import (
    OnNan,
    Part,
    Precision,
    SavedDtype,
    Schedule,
    TrainingConfig,
    WeightsDtype,
)
from training.data.layout_stream import excluded
from training.data.wanted import wanted_of
from training.loop.arguments import micro_batches
from training.loop.trackers import trackers
from training.loop.validation import validation_layouts
from vsp_envs import LayoutSpec, draw_distinct
from vsp_envs.core.splits import check_split
from vsp_envs.envs.config import RANDOM_THEME, sampled_themes
from vsp_envs.prompts.texts import check_texts, style_of
from vsp_envs.rendering.perturbations import PERTURBATIONS
from vsp_envs.rendering.renderer import check_theme, theme_of
from vsp_envs.utils.choices import pick_name

Range = tuple[float, float]
FROM_0: Range = (0, math.inf)
FROM_1: Range = (1, math.inf)
SHARE: Range = (0, 1)
Ranges = Mapping[Range, Sequence[str]]
"""Least and largest value → the settings that must lie between them."""
RANGES: Ranges = {
    FROM_1: (
        "steps", "batch_size", "micro_batch_size", "micro_batch_tokens", "log_every", "save_every",
        "keep", "eval_episodes",
    ),
    FROM_0: (
        "seed", "lora_rank", "lora_alpha", "learning_rate", "vision_learning_rate", "weight_decay",
        "clip", "minutes", "eval_every", "workers", "min_pixels", "max_pixels",
    ),
    SHARE: ("curriculum", "warmup", "adam_beta2"),
}  # fmt: skip


def check_config(config: TrainingConfig, checkpoints: Mapping[str, str], ranges: Ranges) -> None:
    """Raise ValueError for bad settings of any stage.

    `checkpoints` maps the setting that names a checkpoint to the checkpoint that will be loaded.
    `ranges` are the stage's own, besides `RANGES`.
    """
    check_ranges(config, RANGES)
    check_ranges(config, ranges)
    if config.adam_beta2 == 1:
        raise ValueError("--adam-beta2 must be at least 0 and below 1, got 1.0")
    pick_name("schedule", config.schedule, get_args(Schedule))
    pick_name("precision", config.precision, get_args(Precision))
    pick_name("dtype", config.dtype, get_args(WeightsDtype))
    pick_name("dtype", config.save_dtype, get_args(SavedDtype))
    pick_name("policy on NaN", config.on_nan, get_args(OnNan))
    for part in config.freeze:
        pick_name("part of the model", part, get_args(Part))
    check_arithmetic(config)
    config.turn_policy.check()
    check_boards(config)
    micro_batches(config)
    trackers(config.report_to)
    for setting, checkpoint in checkpoints.items():
        find_checkpoint(checkpoint, setting)


def check_ranges(config: Any, ranges: Ranges) -> None:
    """Raise ValueError if a setting is out of its range; None is in every range."""
    for (least, most), names in ranges.items():
        asked = f"at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
        for name in names:
            value = getattr(config, name)
            if not (value is None or least <= value <= most):  # NaN is in none
                raise ValueError(f"--{name.replace('_', '-')} must be {asked}, got {value}")


def check_arithmetic(config: TrainingConfig) -> None:
    """Raise ValueError for dtypes, or a division of a step, that the launcher's engine lacks."""
    fsdp, deepspeed = (f"ACCELERATE_USE_{name}" in os.environ for name in ("FSDP", "DEEPSPEED"))
    if config.micro_batch_tokens and deepspeed:
        raise ValueError(
            "--micro-batch-tokens does not go with DeepSpeed, which counts micro-batches itself; "
            "take --micro-batch-size, or FSDP2 or DDP"
        )
    if config.dtype != "bfloat16":
        return
    if config.lora_rank and fsdp:
        raise ValueError(
            "--dtype bfloat16 with --lora-rank has float32 adapters in a bfloat16 model, which "
            "FSDP2 cannot shard together; take training/launch/ddp.yaml, or --dtype float32"
        )
    if not config.lora_rank and deepspeed:
        raise ValueError(
            "DeepSpeed keeps float32 copies of bfloat16 weights, which --dtype bfloat16 does not "
            "ask for; take --dtype float32, or FSDP2 or DDP"
        )
    if not config.lora_rank and config.precision == "float32":
        raise ValueError(
            "--precision float32 cannot compute with weights of --dtype bfloat16; take --dtype "
            "float32, or leave out --precision"
        )


def check_boards(config: TrainingConfig) -> None:
    """Raise ValueError if no such boards exist, or too few for validation."""
    check_split(config.split)
    if config.prompts:
        tasks = {kind.task for kind in config.kinds()}
        check_texts(style_of(config.prompts), tasks, config.roles())
    for change in config.perturb:
        pick_name("perturbation", change, PERTURBATIONS)
    excluded(config.exclude)
    wanted = wanted_of(config)
    for kind in config.kinds():
        theme = theme_of(config.theme, kind.task)
        if theme == RANDOM_THEME != config.theme:
            raise ValueError("--theme random is for all tasks at once; name a theme for each task")
        for one in sampled_themes(kind.task, theme) if theme else ():
            check_theme(kind.task, one)
        for each in wanted[kind.task]:
            spec = LayoutSpec(kind.task, kind.level, check_split(config.split), **dict(each))
            draw_distinct(spec, 1, seed=0)
        if config.eval_every:
            validation_layouts(kind, config.eval_episodes)
