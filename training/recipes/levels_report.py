"""The page of `--recipe levels`: `python -m training.recipes.levels_report --run runs/levels`.

Rates on our test boards by task and by level, on public sets beside published numbers, and what
each stage took; beside the page a figure, and the numbers behind both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from evaluation.rates import as_rate
from evaluation.report.plots import SERIES
from evaluation.report.published import PUBLISHED, Published, PublishedSet, beside
from evaluation.report.tables import Row, Table, markdown, rate_text
from evaluation.run_folder import Run, read_run
from training.model.tiny import build_tiny
from training.recipes.nano_report import (
    last_metrics,
    level_rates,
    measure_of,
    played_on,
    rates,
    read_state,
    sources_of,
)
from training.recipes.nano_settings import PAPER, RECIPES
from vsp_envs.core.task import get_task
from vsp_envs.utils.cli import main
from vsp_envs.utils.files import write_json, write_text

LEAD = """# The paper's levels on two CPU cores

![A panel for each task: success by level, a line for each row of the table]({figure})

One Qwen3-VL of {millions} M parameters, trained from nothing for FrozenLake 3–8, Maze 3–6 and
MiniBehaviour 5–6 at once: base on text → perception SFT → OPCD; with the arms beside it that
takes {hours} core-hours.

**Two things differ from the paper.** A model of this size unlearns planning in perception SFT. So
{written} % of the boards of SFT are not seen but described, and there the plan is learned; no plan
is ever taught with a picture. And OPCD is by the forward KL: the paper's sampled reverse KL cannot
bring back words to which SFT leaves no chance.

Each board is answered once, greedily. Per cent with 95 % intervals over boards; one seed of
training. The mean is over levels, then over tasks. Test boards are held out by content hash, and no
board of the public sets was trained on, nor its rotations and reflections. Half of the FrozenLake
boards are drawn with tiles cut out of VSP's pictures, which VSP's rows see.

```
SETS="vsp:ROOT visualplanning:ROOT"
python -m training.recipes.nano --recipe levels --out runs/levels --benchmarks $SETS
python -m training.recipes.nano_report --run runs/levels --out models/vsp-nano
for each in mgsd vsp visualplanning; do
    python -m evaluation.planning --agent hf --model models/vsp-nano --protocol $each \\
        --benchmark $SETS --out runs/$each
done
python -m training.recipes.levels_report --run runs/levels --played runs/{{mgsd,vsp,visualplanning}}
```
"""
WORTH = """## What this shows, and what it does not

It shows that the whole method works at the paper's levels, from random weights, on a machine that
anybody has, and what each stage adds. It does not show what a general vision-language model learns:
this one knows three tasks, three words of prompt and two ways of drawing, and its test boards,
though it has never seen them, come from the generators of its training boards. Beside published
numbers of models that were asked zero-shot, or trained on other boards, it is a specialist.
"""
NAME = "vsp-nano"
"""The model in the box."""
PUBLIC = """## {title}

`--protocol {protocol}`. {note} Published numbers ({source}) are of other models, which saw other
training data. Ours are of the boards at hand.

| model | per cent |
|---|---:|
"""


@dataclass(frozen=True)
class LevelsReportConfig:
    """Write the page of a run of the nano recipe `levels`."""

    run: Path
    """The folder of the run, `--out` of `training.recipes.nano`."""
    page: Path = Path("docs/results/levels.md")
    """The page; its figure and its numbers are written beside it."""
    played: tuple[Path, ...] = ()
    """Runs of `evaluation.planning` under a protocol, to be set beside its published numbers."""


def write(config: LevelsReportConfig) -> None:
    """Write the page, and beside it the figure and the numbers."""
    state, runs = read_state(config.run / "carry" / "nano.json"), list(map(read_run, config.played))
    done, drawn = state["done"], config.page.with_suffix(".png")
    stages = {name: done[name] for name in RECIPES["levels"].stages if name in done}
    parts = [lead(state, stages, drawn.name), markdown(headline(done)), lacking(done), WORTH]
    parts += ["## Every row on the test boards", *tables(done, "test")]
    parts += [public(paper, runs) for paper in PUBLISHED]
    for source in sources_of(done)[1:]:
        parts += [f"## Every row on the boards of {source}", *tables(done, source)]
    parts += ["## What each stage took", took(stages)]
    write_text(config.page, "\n\n".join(part.strip("\n") for part in parts if part) + "\n")
    played = {name: brief(found["results"]) for name, found in done.items() if "results" in found}
    beside_it = {run.name: brief(run.results) for run in runs}
    ended = {
        name: {"seconds": found["seconds"], "validation": validated(found)}
        for name, found in stages.items()
    }
    write_json(
        config.page.with_suffix(".json"),
        {"asked": state["asked"], "stages": ended, "played": played, "protocols": beside_it},
    )
    figure(played_on(done, "test")).savefig(drawn, dpi=150)
    print(f"report: {config.page}")


def validated(found: Mapping[str, Any]) -> list[Mapping[str, float]]:
    """What a stage logged of validation boards, step by step."""
    return [entry for entry in found["history"] if {"success", "perception"} & entry.keys()]


def brief(results: Mapping[str, Any]) -> dict[str, Any]:
    """The rates alone."""
    return {name: results[name] for name in ("goal", "tasks", "macro", "pooled") if name in results}


def lead(state: Mapping[str, Any], stages: Mapping[str, Any], drawn: str) -> str:
    """The page's first words."""
    model, *_ = build_tiny(state["asked"]["size"])
    millions = sum(each.numel() for each in model.parameters()) / 1e6
    hours = sum(found["seconds"] for found in stages.values()) / 3600
    written = RECIPES["levels"].stages["sft"].config.settings()["written_share"]
    return LEAD.format(
        figure=drawn,
        millions=f"{millions:.1f}",
        hours=f"{hours:.1f}",
        written=f"{100 * written:.0f}",
    )


def lacking(done: Mapping[str, Any]) -> str:
    """The rows that are not played yet, in a sentence."""
    names = [line.name for line in RECIPES["levels"].lines if f"{line.name} · test" not in done]
    return f"Not played yet: {', '.join(names)}." if names else ""


def headline(done: Mapping[str, Any]) -> Table:
    """Success on test boards, over the tasks and of each, and on VSP's boards."""
    played, vsp = played_on(done, "test"), played_on(done, "vsp")
    rows = []
    for name, found in played.items():
        if measure_of(found) == "success":
            rates = [found["macro"], *found["tasks"].values(), vsp.get(name, {}).get("macro")]
            rows.append(Row(name, [each and each["success"] for each in rates]))
    return Table(
        ("mean", *map(levels_of, PAPER), "VSP's FrozenLake"), rows, "success on test boards"
    )


def levels_of(selector: str) -> str:
    """For example `FrozenLake 3–8`, of `frozenlake:3-8`."""
    task, levels = selector.partition("@")[0].split(":")
    return f"{get_task(task).title} {levels.replace('-', '–')}"


def tables(done: Mapping[str, Any], source: str) -> list[str]:
    """The rates on a set: over tasks, then level by level."""
    return [markdown(each) for each in (rates(done, source), *level_rates(done, source))]


def public(paper: PublishedSet, runs: Sequence[Run]) -> str:
    """Published numbers and, in bold, ours of the same protocol; empty without one of ours.

    A run that lacks boards of the protocol has a row for each task and level that it did play.
    """
    mine = [
        replace(run, name=NAME)
        for run in runs
        if run.config["settings"].get("protocol") == paper.protocol
    ]
    ours = list(beside(paper, mine).ours)
    for run in mine if not ours else ():
        for task, found in run.results["pooled"]["tasks"].items():
            rate, levels = as_rate(found["success"]), " ".join(run.results["tasks"][task]["levels"])
            row = f"{NAME}, {task} alone, levels {levels} (n = {rate.n})"
            ours.append(Published(row, rate_text(rate)))
    rows = [f"| {each.model} | {each.value} |" for each in paper.rows]
    rows += [f"| **{each.model}** | **{each.value}** |" for each in ours]
    return PUBLIC.format(**paper._asdict()) + "\n".join(rows) if ours else ""


def took(stages: Mapping[str, Any]) -> str:
    """A line for each stage: its steps, its boards and its minutes."""
    lines = ["| stage | steps × boards | core-minutes | at its end, on validation |"]
    lines.append("|---|---:|---:|---|")
    for name, found in stages.items():
        config = RECIPES["levels"].stages[name].config
        size, minutes = f"{config.steps} × {config.batch_size}", found["seconds"] / 60
        lines.append(f"| {name} | {size} | {minutes:.0f} | {last_metrics(found)} |")
    return "\n".join(lines)


def figure(played: Mapping[str, Mapping[str, Any]]) -> Figure:
    """A panel for each task: success by level with its intervals, a line for each row."""
    drawn = Figure((10, 3.4), layout="constrained", facecolor="white")
    rows = {name: found for name, found in played.items() if measure_of(found) == "success"}
    tasks = list(dict.fromkeys(task for found in rows.values() for task in found["tasks"]))
    widths = [max(len(found["tasks"][task]["levels"]) for found in rows.values()) for task in tasks]
    panels = drawn.subplots(1, len(tasks), sharey=True, squeeze=False, width_ratios=widths)[0]
    for axes, task in zip(panels, tasks, strict=True):
        for number, (name, found) in enumerate(rows.items()):
            levels = {
                int(level): as_rate(each["success"])
                for level, each in found["tasks"][task]["levels"].items()
            }
            around = [
                [rate.value - rate.low for rate in levels.values()],
                [rate.high - rate.value for rate in levels.values()],
            ]
            axes.errorbar(
                list(levels), [rate.value for rate in levels.values()], yerr=around, capsize=2,
                marker="o", markersize=4, linewidth=1.2, color=SERIES[number % len(SERIES)],
                label=name if axes is panels[0] else None,
            )  # fmt: skip
        axes.set(title=task, xlabel="level", xticks=list(levels), ylim=(-0.02, 1.02))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.grid(axis="y", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("success")
    drawn.legend(loc="outside right center", frameon=False, fontsize=9)
    return drawn


if __name__ == "__main__":
    main(write, LevelsReportConfig)
