"""Write a run's model as a plain Hugging Face checkpoint: `python -m training.merge`.

LoRA adapters are added to the weights of their base model, and sharded weights are joined.
transformers and vLLM load the result like any other checkpoint.
"""

from __future__ import annotations

if __name__ == "__main__":  # before torch is imported, so that --help is there at once
    from training.tool_config import MergeConfig
    from vsp_envs.utils.cli import main

    main("training.merge:merge", MergeConfig)
    raise SystemExit

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import torch
from transformers import AutoConfig

from agents.vlm.checkpoint import (
    ADAPTER,
    CONFIG,
    Loaded,
    find_checkpoint,
    layers,
    load_checkpoint,
)
from training.loop.checkpoints import (
    SHARDS,
    checkpoints_in,
    find_corruption,
    gather_shards,
    writing,
)
from training.loop.run import read_record
from training.tool_config import MergeConfig, MergedDtype
from vsp_envs.utils.choices import pick_name
from vsp_envs.utils.files import write_text


def merge(config: MergeConfig) -> Path:
    """Write the model; returns its folder. Raises ValueError, also for a broken checkpoint."""
    pick_name("dtype", config.dtype, get_args(MergedDtype))
    check_empty(config.out)
    if config.model:
        find_checkpoint(config.model, "--model")
    with _unsharded(find_step(config.run, config.step), config.out) as run:
        adapter = run if config.model else ""
        # Merged in fp32: rounding the product of the adapters to bf16 twice would change the model.
        loaded = load_checkpoint(config.model or run, "float32", adapter=adapter)
        dtype = own_dtype(config, run) if config.dtype == "auto" else config.dtype
    loaded.model.to(getattr(torch, dtype))
    loaded.model.config.use_cache = True
    return write_model(loaded, config.out)


def own_dtype(config: MergeConfig, weights: str) -> str:
    """The dtype that the run asked for, or that of the plain checkpoint in or under `weights`."""
    folder = Path(config.run)
    run = folder.parent.parent if folder.parent.name == "checkpoints" else folder
    record = read_record(run)
    saved = record.settings.get("save_dtype", "auto") if record else "auto"
    if saved != "auto":
        return str(saved)
    plain = AutoConfig.from_pretrained(layers(config.model or weights)[0], trust_remote_code=False)
    return str(plain.dtype or torch.float32).removeprefix("torch.")


def find_step(run: str, step: int) -> str:
    """The folder of a run's checkpoint, or for step 0 the run's own. Raises ValueError."""
    path = Path(find_checkpoint(run, "--run"))
    held = checkpoints_in(path / "checkpoints")
    steps = ", ".join(map(str, held)) or "none"
    if not step:
        if held and not any((path / name).is_file() for name in (CONFIG, ADAPTER)):
            raise ValueError(f"{path} is not finished; take a checkpoint with --step: {steps}")
        return run
    if step not in held:
        raise ValueError(f"{path} has no checkpoint of step {step}; those there: {steps}")
    if wrong := find_corruption(held[step]):
        raise ValueError(f"{held[step]} cannot be taken: {wrong}; checkpoints there: {steps}")
    return str(held[step])


@contextmanager
def _unsharded(run: str, out: Path) -> Iterator[str]:
    """The folder itself, or for the time a folder beside `out` with its shards put together."""
    if not Path(run, SHARDS).is_dir():
        yield run
        return
    if not Path(run, CONFIG).is_file():
        raise ValueError(
            f"{run} holds weights without a {CONFIG}: an earlier version wrote it. Go on with the "
            "run for a step, whose checkpoint holds one"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".shards-", dir=out.parent) as folder:
        with writing(Path(folder), out.parent):
            gather_shards(Path(run), Path(folder))
        yield folder


CARD_HEAD = """---
license: mit
library_name: transformers
pipeline_tag: image-text-to-text
tags: [planning, qwen3_vl]
---
"""
"""What opens the card of a model that the project trained from nothing."""


def check_empty(out: Path, flag: str = "--out") -> None:
    """Raise ValueError unless the folder of a model, which `flag` names, is new or empty."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} is not empty; choose another {flag}")


def write_model(loaded: Loaded, out: Path, card: str = "", **options: Any) -> Path:
    """Write a model with its processor and its card; `options` go to its `save_pretrained`."""
    with writing(out, out.parent):
        loaded.model.save_pretrained(out, **options)
        loaded.processor.save_pretrained(out)
        if card:
            write_text(out / "README.md", card)
    print(f"written to {out}")
    print(f"next: python -m evaluation.planning --agent hf --model {out} --out {out}-planning")
    return out
