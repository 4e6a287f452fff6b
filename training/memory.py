"""Print how much memory a run takes on each GPU: `python -m training.memory`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from training.loop.memory_estimate import GIB, Memory, Sizes, estimate
from training.model.shapes import shape_config
from training.opcd.config import OPCDConfig
from training.presets import preset
from training.sft import SFTConfig
from vsp_envs.utils.cli import main

STAGES = {
    # 64 image tokens and the words; answers of SFT are short.
    "sft": Sizes(boards=4, prompt=640, completion=256),
    "opcd": Sizes(boards=1, prompt=640, completion=2048, rollouts=4),
}
"""The micro-batches of the presets; 2048 tokens are OPCD's longest answer."""


@dataclass(frozen=True)
class MemoryConfig:
    """Print a table of the presets' memory for each number of GPUs, as Markdown."""

    gpus: tuple[int, ...] = (1, 8, 16)
    """Numbers of GPUs."""
    models: tuple[str, ...] = ("qwen3-vl-4b", "qwen3-vl-8b")
    """Presets."""


def show(config: MemoryConfig) -> None:
    """Print the table."""
    print("\n".join(table(config)))


def table(config: MemoryConfig) -> Iterable[str]:
    """The lines of the table, in GiB on each GPU."""
    names = [field.name for field in fields(Memory)]
    yield f"| preset | stage | GPUs | {' | '.join(names)} | sum |"
    yield f"|---|---|---:|{'---:|' * (len(names) + 1)}"
    classes: dict[str, Any] = {"sft": SFTConfig, "opcd": OPCDConfig}
    for name in config.models:
        for stage, kind in classes.items():
            settings = preset(kind, stage, name)
            for gpus in config.gpus:
                found = estimate(
                    shape_config(name), settings, STAGES[stage], gpus, teacher=stage == "opcd"
                )
                values = [*found.parts().values(), found.total]
                cells = " | ".join(f"{value / GIB:.1f}" for value in values)
                yield f"| {name} | {stage} | {gpus} | {cells} |"


if __name__ == "__main__":
    main(show, MemoryConfig)
