"""A finished run as a plain Hugging Face checkpoint: `python -m training.merge`.

Adapters are added into the weights of the model that they were trained on. transformers and vLLM
load what comes out as they load any checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from agents.vlm.checkpoint import DTYPES, Loaded, find_checkpoint, load_checkpoint
from training.loop.checkpoints import writing
from vsp_envs.utils.choices import pick_name
from vsp_envs.utils.cli import main
from vsp_envs.utils.files import write_text


@dataclass(frozen=True)
class MergeConfig:
    """Write a run's model as a plain checkpoint."""

    run: str
    """Folder of a finished run, of a checkpoint or of a LoRA adapter."""
    out: Path
    """Folder for the merged model; it must not exist, or be empty."""
    model: str = ""
    """The model that the adapter was trained on, if it is no longer where it was."""
    dtype: str = "bfloat16"
    """Weights as written: `bfloat16`, `float32`, or `auto` as they are in the model."""


def merge(config: MergeConfig) -> Path:
    """Write the model; returns its folder. Raises ValueError, also for a broken checkpoint."""
    pick_name("dtype", config.dtype, DTYPES)
    check_empty(config.out)
    adapter = config.run if config.model else ""
    find_checkpoint(config.model or config.run, "--model" if config.model else "--run")
    # Merged in fp32: a product of adapters rounded to bf16 twice would be another model.
    loaded = load_checkpoint(config.model or config.run, "float32", adapter=adapter)
    if config.dtype != "auto":
        loaded.model.to(getattr(torch, config.dtype))
    return write_model(loaded, config.out)


def check_empty(out: Path) -> None:
    """Raise ValueError unless the folder of a model is still to be filled."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} is not empty; choose another --out")


def write_model(loaded: Loaded, out: Path, card: str = "", **options: Any) -> Path:
    """Write a model with its processor and its card; `options` go to its `save_pretrained`."""
    with writing(out, out.parent):
        loaded.model.save_pretrained(out, **options)
        loaded.processor.save_pretrained(out)
        if card:
            write_text(out / "README.md", card)
    print(f"written to {out}")
    return out


if __name__ == "__main__":
    main(merge, MergeConfig)
