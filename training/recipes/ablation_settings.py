"""The settings of `training.recipes.ablation`; no torch is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Arm = Literal[
    "base", "answer_sft", "plan_sft", "sft", "opcd_only", "opcd", "opcd_plan", "opcd_sampled",
    "rlvr",
]  # fmt: skip


@dataclass(frozen=True)
class AblationConfig:
    """Train every arm on every kind of board and seed; a stopped run goes on."""

    out: Path = Path("runs/ablation")
    """Run folder: a folder per kind, seed and arm, and `ablation.json` of what is done so far."""
    tasks: tuple[str, ...] = ("frozenlake:3-4", "maze:3", "minibehaviour:5")
    """Kinds of boards, each with models of its own."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of models, boards and sampling."""
    arms: tuple[Arm, ...] = ()
    """Arms to train, with those that they start from; none: all."""
    sft_steps: int = 0
    """Steps of perception SFT for every kind; 0: those of `STEPS`."""
    episodes: int = 200
    """Held-out test boards per kind, the same for every arm and seed."""
