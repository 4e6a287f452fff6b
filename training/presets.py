"""Settings by name, `--preset`: the tiny model's, and the paper's for Qwen3-VL-4B and 8B."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import tyro

from training.config import TrainingConfig
from vsp_envs.utils import cli
from vsp_envs.utils.choices import pick_name

Config = TypeVar("Config", bound=TrainingConfig)

_ALL = ("frozenlake", "maze", "minibehaviour")
_PIXELS = {"min_pixels": 65_536, "max_pixels": 262_144}
# As the reference generates: FrozenLake's goal two moves away at least, the others in thirds.
_BOARDS = {
    "min_plan": ("frozenlake=2",),
    "difficulty": ("maze=thirds", "minibehaviour=thirds"),
}
# LLaMA-Factory's defaults for what the paper's file leaves out: alpha is twice the rank, no decay.
_PAPER_SFT: dict[str, Any] = {
    **_PIXELS,
    **_BOARDS,
    "tasks": _ALL,
    "target": "perception",
    "steps": 828,  # three epochs of about 18 000 samples
    "batch_size": 64,
    "micro_batch_tokens": 4096,
    "mix_kinds": True,
    "lora_rank": 8,
    "dtype": "bfloat16",
    "learning_rate": 1e-4,
    "schedule": "cosine",
    "warmup": 0.1,
    "weight_decay": 0.0,
    "adam_beta2": 0.999,
    "workers": 4,
}
_PAPER_OPCD: dict[str, Any] = {
    **_PIXELS,
    **_BOARDS,
    "tasks": _ALL,
    "steps": 1400,  # the checkpoint that the reference evaluates
    "batch_size": 32,
    "micro_batch_tokens": 4096,
    "learning_rate": 1e-6,
    "schedule": "constant",
    "warmup": 0.0,
    "weight_decay": 0.01,
    "adam_beta2": 0.999,
    "loss": "sampled",
    "teacher_plan": True,
    "temperature": 1.0,
    "max_new_tokens": 2048,
    "gradient_checkpointing": True,
    "save_every": 100,
    "save_dtype": "bfloat16",
    "eval_every": 100,
    "eval_episodes": 32,
    "keep_best": True,
}
_OPCD: dict[str, dict[str, Any]] = {
    name: {"teacher": f"Qwen/{title}-Instruct", **_PAPER_OPCD}
    for name, title in (("qwen3-vl-4b", "Qwen3-VL-4B"), ("qwen3-vl-8b", "Qwen3-VL-8B"))
}
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "base": {"tiny": {"size": "S", "steps": 900, "learning_rate": 3e-3}},
    "sft": {
        "tiny": {
            "steps": 450,
            "learning_rate": 1e-4,
            "vision_learning_rate": 3e-3,
            "schedule": "half-linear",
        },
        "qwen3-vl-4b": {"model": "Qwen/Qwen3-VL-4B-Instruct", **_PAPER_SFT},
        "qwen3-vl-8b": {"model": "Qwen/Qwen3-VL-8B-Instruct", **_PAPER_SFT},
    },
    "opcd": {
        "tiny": {"steps": 300, "learning_rate": 2e-3, "max_new_tokens": 48},
        **_OPCD,
        # The paper's arithmetic: its actor and its optimizer are bfloat16 throughout.
        **{f"{name}-bf16": {**values, "dtype": "bfloat16"} for name, values in _OPCD.items()},
    },
}
"""Stage → preset → what differs from the stage's own defaults."""


GROUPS = {
    "boards": (
        "tasks", "split", "exclude", "min_plan", "difficulty", "min_distance", "frozen_prob",
        "curriculum", "theme", "prompts", "perturb", "min_pixels", "max_pixels", "batch_size",
        "mix_kinds", "input", "target", "plan_share", "written_share", "detours",
    ),
    "model": (
        "model", "size", "teacher", "teacher_kind", "teacher_dtype", "teacher_placement",
        "ema_decay", "lora_rank", "lora_alpha", "lora_vision", "freeze", "dtype", "save_dtype",
        "precision",
    ),
    "loss": (
        "loss", "beta", "top_k", "divergence_cap", "clip_ratio", "distill_weight", "teacher_plan",
        "teacher_plan_share", "reward_weight", "optimal_reward", "progress_reward",
        "scale_rewards", "reader",
    ),
    "optimisation": (
        "steps", "learning_rate", "vision_learning_rate", "schedule", "warmup", "weight_decay",
        "adam_beta2", "clip", "micro_batch_size", "gradient_checkpointing", "on_nan",
    ),
    "rollout": (
        "rollout", "rollouts", "temperature", "max_new_tokens", "updates_per_rollout",
        "seed_per_board", "stop_after_unreadable", "rollout_adapter", "rollout_memory",
        "rollout_tokens", "rollout_urls", "rollout_folder", "engine",
    ),
}  # fmt: skip
"""The groups of `--help`; what none of them names is about the run."""


def preset(config_class: type[Config], stage: str, name: str) -> Config:
    """The settings of a preset; "" means the stage's defaults. `out` has no value yet."""
    values = PRESETS[stage][pick_name("preset", name, PRESETS[stage])] if name else {}
    return config_class(**{"out": tyro.MISSING, "preset": name, **values})


def main(
    train: Callable[[Config], Any] | str,
    config_class: type[Config],
    stage: str,
    args: Sequence[str] | None = None,
) -> None:
    """The command line of a stage. Flags override the values of `--preset`; `--help` shows them.

    `train` may be `module:function`, which is imported once the flags are read.
    """
    cli.main_with_defaults(
        train,
        config_class,
        "--preset",
        lambda name: preset(config_class, stage, name),
        args,
        GROUPS,
    )
