"""How the cost of the environments grows with the level and with their number."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.measure import Work, speed
from benchmarks.workloads import generating, lake_8x8, vector, vector_steps

LEVELS = (3, 4, 6, 8, 12, 16, 24, 32)
COUNTS = (1, 4, 16, 64, 256, 1024, 4096)
COLOURS = {"frozenlake": "#2f7fc1", "maze": "#d1822b", "minibehaviour": "#4d9a5b"}


def draw(folder: Path) -> None:
    """Measure, and write `envs_level.png` and `envs_count.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    figure = Figure((9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for task, colour in COLOURS.items():
        levels = [level for level in LEVELS if task != "minibehaviour" or level != 4]
        steps = [vector_steps(vector(task, level, 256, pool=256), 2) for level in levels]
        boards = [generating(task, level, 1024 if level < 12 else 64) for level in levels]
        left.plot(levels, _costs(steps), "o-", color=colour, label=task, markersize=4)
        right.plot(levels, _costs(boards), "o-", color=colour, label=task, markersize=4)
    side, cost = "side of the board", "µs per step and env"
    _label(left, "steps, 256 envs, a pool of layouts", LEVELS, side, cost)
    _label(right, "generate and solve", LEVELS, side, "µs per board")
    left.set(yscale="linear", ylim=(0, None))
    figure.savefig(folder / "envs_level.png", dpi=130)
    figure = Figure((5.2, 3.6), layout="constrained")
    axes = figure.subplots()
    for task, level in (("frozenlake", 8), ("maze", 6), ("minibehaviour", 6)):
        steps = [vector_steps(vector(task, level, count, pool=4096)) for count in COUNTS]
        axes.plot(COUNTS, _costs(steps), "o-", color=COLOURS[task], label=f"{task} {level}")
    theirs = [vector_steps(lake_8x8("sync", count), 2) for count in COUNTS[:-1]]
    axes.plot(COUNTS[:-1], _costs(theirs), "--", color="grey", label="SyncVectorEnv FrozenLake8x8")
    _label(axes, "steps, resets included", COUNTS, "environments", cost)
    figure.savefig(folder / "envs_count.png", dpi=130)


def _costs(works: Sequence[Work]) -> list[float]:
    """Microseconds of the processor per unit, the best of five turns through all of them."""
    turns = [[speed(work, time.process_time, 0.06) for work in works] for _ in range(5)]
    return [1e6 / max(each) for each in zip(*turns, strict=True)]


def _label(axes: Axes, title: str, ticks: Sequence[int], across: str, up: str) -> None:
    axes.set(title=title, xlabel=across, ylabel=up, xscale="log", yscale="log")
    axes.set_xticks(ticks, labels=map(str, ticks))
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
