"""Print how much memory a run takes on each GPU: `python -m training.memory`."""

from __future__ import annotations

if __name__ == "__main__":  # before torch is imported, so that --help is there at once
    from training.tool_config import MemoryConfig
    from vsp_envs.utils.cli import main

    main("training.memory:show", MemoryConfig)
    raise SystemExit

import sys
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from training.config import TrainingConfig
from training.loop.memory_estimate import GIB, Memory, Sizes, answers_at_once, estimate
from training.model.shapes import shape_config
from training.opcd.config import OPCDConfig
from training.presets import PRESETS, preset
from training.sft_config import SFTConfig
from training.tool_config import MemoryConfig

PROMPT, ANSWER = 310, 256
"""Tokens of the longest prompt, its picture included, and of the longest reference answer."""


def show(config: MemoryConfig) -> None:
    """Print the table."""
    print("\n".join(table(config)))
    print(
        f"\nnext: python -m training.opcd --preset {config.preset[0]} --dry-run --out runs/opcd",
        file=sys.stderr,
    )


def table(config: MemoryConfig) -> Iterable[str]:
    """The lines of the table, in GiB on each GPU."""
    names = [field.name for field in fields(Memory)]
    yield f"| preset | stage | GPUs | {' | '.join(names)} | at once |"
    yield f"|---|---|---:|{'---:|' * (len(names) + 1)}"
    classes: dict[str, Any] = {"sft": SFTConfig, "opcd": OPCDConfig}
    for name in config.preset:
        for stage, kind in classes.items():
            if stage == "sft" and name not in PRESETS[stage]:
                continue
            settings = preset(kind, stage, name)
            for gpus in config.gpus:
                shape = shape_config(name.removesuffix("-bf16"))
                sizes = sizes_of(settings, gpus)
                found = estimate(shape, settings, sizes, gpus, teacher=stage == "opcd")
                values = [*found.parts().values(), found.total]
                cells = " | ".join(f"{value / GIB:.1f}" for value in values)
                yield f"| {name} | {stage} | {gpus} | {cells} |"


def sizes_of(config: TrainingConfig, gpus: int) -> Sizes:
    """The micro-batches of a preset, all answers of the greatest length."""
    answer = getattr(config, "max_new_tokens", ANSWER)
    boards = (config.micro_batch_tokens or 0) / (PROMPT + answer)
    return Sizes(max(1, boards), PROMPT, answer, rollouts=answers_at_once(config, gpus))
