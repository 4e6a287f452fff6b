"""The settings of `training.merge` and `training.memory`; no torch is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

MergedDtype = Literal["bfloat16", "float32", "auto"]


@dataclass(frozen=True)
class MergeConfig:
    """Write a run's model as a plain checkpoint."""

    run: str
    """Folder of a finished run, of a checkpoint or of a LoRA adapter."""
    out: Path
    """Folder for the merged model; it must not exist, or be empty."""
    step: int = 0
    """Step of the run whose checkpoint is taken, sharded ones too; 0: what the run ended with."""
    model: str = ""
    """The base model of the adapter, if it has moved since."""
    dtype: MergedDtype = "bfloat16"
    """Weights as written: `bfloat16`, `float32`, or `auto`: the run's `--save-dtype`, or without
    one the dtype of the stored weights (of the base model's, for an adapter)."""


@dataclass(frozen=True)
class MemoryConfig:
    """Print a table of the presets' memory for each number of GPUs, as Markdown."""

    gpus: tuple[int, ...] = (1, 8, 16)
    """Numbers of GPUs."""
    preset: tuple[str, ...] = ("qwen3-vl-4b", "qwen3-vl-4b-bf16", "qwen3-vl-8b", "qwen3-vl-8b-bf16")
    """Presets of SFT and OPCD, or one of them."""
