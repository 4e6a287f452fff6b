"""The settings of `training.recipes.closed_loop`; no torch is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

Arm = Literal[
    "base", "sft", "plan_opcd", "more_opcd", "step_opcd", "step_opcd_forward", "plan_sft",
    "step_sft", "step_sft_detours",
]  # fmt: skip


@dataclass(frozen=True)
class ClosedLoopConfig:
    """Train and play every arm on every kind of board and seed; a stopped run goes on."""

    out: Path = Path("runs/closed-loop")
    """Run folder: a folder per kind, seed and arm, and one of what they played."""
    page: Path = Path("docs/results/closed-loop.md")
    """The page that the results are written to, and the numbers behind it to a JSON file beside
    it. What has its numbers in that file is not trained again."""
    tasks: tuple[str, ...] = ("frozenlake:3-4", "minibehaviour:5")
    """Kinds of boards, each with models of its own; those of the ablation are known."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of models, boards and sampling."""
    arms: tuple[Arm, ...] = get_args(Arm)
    """Arms to play; those that they start from are named too."""
    episodes: int = 200
    """Held-out test boards per kind, the same for every arm and seed."""
