"""Published numbers, each with its protocol, and the runs that were measured by the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from evaluation.protocols import PROTOCOLS, measured_by
from evaluation.rates import Rate, as_rate
from evaluation.report.tables import rate_text
from evaluation.run_folder import Run


class Published(NamedTuple):
    """One number of a paper."""

    model: str
    value: str
    """Per cent, as printed."""


class PublishedSet(NamedTuple):
    """The numbers of one test set."""

    title: str
    protocol: str
    """The protocol that they are of, one of `evaluation.protocols.PROTOCOLS`."""
    note: str
    """What was measured."""
    source: str
    """arXiv numbers."""
    rows: tuple[Published, ...]


class Beside(NamedTuple):
    """Published numbers, and those of our runs of the same protocol."""

    paper: PublishedSet
    ours: tuple[Published, ...]
    command: str
    """What measures a run so."""


def beside(paper: PublishedSet, runs: Sequence[Run]) -> Beside:
    """The numbers of a paper beside those of the runs of its protocol; others stay away."""
    ours = []
    for run in runs:
        if rates := headline(run, paper.protocol):
            name = f"{run.name} (n = {sum(rate.n for rate in rates)})"
            ours.append(Published(name, " / ".join(map(rate_text, rates))))
    roots = dict.fromkeys(PROTOCOLS[paper.protocol].sources.values())
    sets = " ".join(f"{name}:ROOT" for name in roots)
    command = f"evaluation.planning --protocol {paper.protocol} --benchmark {sets}"
    return Beside(paper, tuple(ours), command)


def headline(run: Run, protocol: str) -> list[Rate]:
    """A run's numbers of a protocol, in the form of the paper; none for a run of another one."""
    if run.results["goal"] != "plan":
        return []
    if measured_by(run.config.get("settings", {}), run.results) != protocol:
        return []
    pooled, kind = run.results["pooled"], PROTOCOLS[protocol].headline
    if kind == "levels":
        return [as_rate(run.results["macro"]["success"])]
    if kind == "pooled":
        return [as_rate(pooled["all_tasks_macro_avg"]["success"])]
    return [as_rate(pooled["tasks"][task]["success"]) for task in PROTOCOLS[protocol].sources]


PUBLISHED = (
    PublishedSet(
        "VSP FrozenLake, levels 3–8: success",
        "vsp",
        "100 maps a level, mean over levels; a plan succeeds if it reaches the goal.",
        "2512.24165, 2603.12252",
        (
            Published("Qwen3-VL-8B, zero-shot", "32.8"),
            Published("Qwen3-VL-8B + GRPO", "53.3"),
            Published("GPT-5", "57.3"),
            Published("Qwen3-VL-8B, direct-plan SFT on 30 k samples", "94.5"),
            Published("Gemini-3-Flash", "96.7"),
            Published("Qwen3-VL-32B, SFT", "97.0"),
            Published("DiffThinker++", "99.7"),
            Published("EndoCoT", "99.7"),
        ),
    ),
    PublishedSet(
        "VisualPlanning, FrozenLake / Maze / MiniBehaviour: exact match",
        "visualplanning",
        "All boards of a task; exact match is a shortest plan.",
        "2505.11409, 2609.33412",
        (
            Published("Gemini 2.5 Pro", "72.0 / 21.5 / 37.6"),
            Published("Qwen2.5-VL, text SFT", "68.6 / 60.9 / 31.3"),
            Published("VPRL", "91.6 / 74.5 / 75.8"),
            Published("SSVR", "99.5 / 96.3 / 83.9"),
        ),
    ),
    PublishedSet(
        "MGSD, macro mean over three tasks: success",
        "mgsd",
        "FrozenLake 3–8 on VSP's maps and pictures, Maze 3–6 and MiniBehaviour 5–6 on "
        "VisualPlanning's boards; all boards of a task, then the mean over tasks.",
        "2606.06076",
        (
            Published("Qwen3-VL-4B", "11.2"),
            Published("Qwen3-VL-4B + MGSD", "30.5"),
            Published("Qwen3-VL-8B", "17.2"),
            Published("Qwen3-VL-8B + MGSD", "35.6"),
        ),
    ),
)
