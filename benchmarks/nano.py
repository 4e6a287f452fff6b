"""What `training.recipes.nano` costs on a CPU: `python -m benchmarks.nano [--quick]`.

*Samples that one core prepares.* The mixture of a stage: all levels at 256 px, a theme for each
board, patches of the image, tokens of prompt and answer. With `VSP_BENCHMARKS` the public sets are
excluded. CPU seconds of one process count, so that other programs matter less.

*Seconds per board.* One board at a time on one thread, from image to answer. Untrained weights cost
as much as trained ones; every answer has the mean length of a reference answer.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from dataclasses import replace

import torch

from agents.backends.hf import HFAgent
from agents.rollout import Case, play
from agents.sampling import Sampling
from benchmarks.measure import Row, table
from benchmarks.steppers import without_end_tokens
from benchmarks.training import prepared
from training.data.layout_stream import live_boards
from training.model.tiny import SIZES, build_tiny
from training.recipes.nano_settings import RECIPES
from training.sft import TARGETS, Collate, SFTConfig
from vsp_envs import LayoutSpec, draw_distinct

WANTED = 500
"""Samples per CPU second: 8 000 on 16 cores."""


def rows(samples: int) -> Iterator[Row]:
    """A row for each stage that learns from reference answers."""
    _, processor, view = build_tiny("nano-1m")
    root = os.environ.get("VSP_BENCHMARKS")
    sets = (f"vsp:{root}/vsp_frozenlake", f"visualplanning:{root}/visualplanning") if root else ()
    for name, stage in RECIPES["full"].stages.items():
        config = stage.config
        if not isinstance(config, SFTConfig):
            continue
        boards = live_boards(replace(config, exclude=sets), view, TARGETS[config.target])
        collate = Collate(processor, view, config.input)
        speed = prepared(boards, collate, samples, config.batch_size, warm=3)
        title = f"prepared samples per CPU second, stage {name}"
        yield Row(title, "2 ms a sample", speed, WANTED, "sample", speed / WANTED, 1)


LINE = 42
"""Mean tokens of a planning answer over the boards of the full recipe; the longest has 109."""


def latencies(boards: int) -> Iterator[str]:
    """A line for each size and length."""
    layouts = draw_distinct(LayoutSpec("frozenlake", 6), boards, seed=0)
    for size in (name for name in SIZES if name.startswith("nano")):
        loaded = without_end_tokens(build_tiny(size))
        agent = HFAgent(loaded, Sampling(max_new_tokens=LINE))
        cases = [Case(layout) for layout in layouts]
        list(play(agent, cases[:1], batch_size=1))
        wall, cpu = time.perf_counter(), time.process_time()
        list(play(agent, cases, batch_size=1))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        each = f"{cpu / boards:.3f} CPU s a board, {wall / boards:.3f} s by the clock"
        yield f"{size}: {each}, {LINE} tokens, n = {boards}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a batch of each")
    torch.set_num_threads(1)
    quick = parser.parse_args().quick
    print("\n".join(latencies(3 if quick else 20)))
    print(table(list(rows(960 if quick else 9600))))
