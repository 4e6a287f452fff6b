"""Write a finished run as a plain Hugging Face checkpoint: `python -m training.merge`.

LoRA adapters are added to the weights of their base model. transformers and vLLM load the result
like any other checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from agents.vlm.checkpoint import Loaded, find_checkpoint, load_checkpoint
from training.loop.checkpoints import writing
from vsp_envs.utils.choices import pick_name
from vsp_envs.utils.cli import main
from vsp_envs.utils.files import write_text

MergedDtype = Literal["bfloat16", "float32", "auto"]


@dataclass(frozen=True)
class MergeConfig:
    """Write a run's model as a plain checkpoint."""

    run: str
    """Folder of a finished run, of a checkpoint or of a LoRA adapter."""
    out: Path
    """Folder for the merged model; it must not exist, or be empty."""
    model: str = ""
    """The base model of the adapter, if it has moved since."""
    dtype: MergedDtype = "bfloat16"
    """Weights as written: `bfloat16`, `float32`, or `auto` to keep the model's own."""


def merge(config: MergeConfig) -> Path:
    """Write the model; returns its folder. Raises ValueError, also for a broken checkpoint."""
    pick_name("dtype", config.dtype, get_args(MergedDtype))
    check_empty(config.out)
    adapter = config.run if config.model else ""
    find_checkpoint(config.model or config.run, "--model" if config.model else "--run")
    # Merged in fp32: rounding the product of the adapters to bf16 twice would change the model.
    loaded = load_checkpoint(config.model or config.run, "float32", adapter=adapter)
    if config.dtype != "auto":
        loaded.model.to(getattr(torch, config.dtype))
    return write_model(loaded, config.out)


def check_empty(out: Path) -> None:
    """Raise ValueError unless the folder of a model is new or empty."""
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
