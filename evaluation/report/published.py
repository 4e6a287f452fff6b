"""Published numbers to compare runs with, each with its protocol."""

from __future__ import annotations

from typing import NamedTuple


class Published(NamedTuple):
    """One number of a paper."""

    model: str
    value: str
    """Per cent, as printed."""


class PublishedSet(NamedTuple):
    """The numbers of one test set."""

    title: str
    protocol: str
    """The settings of a comparable run."""
    source: str
    """arXiv numbers."""
    rows: tuple[Published, ...]


PUBLISHED = (
    PublishedSet(
        "VSP FrozenLake, levels 3–8: success",
        "100 maps a level, mean over levels; a plan succeeds if it reaches the goal. Compare with "
        "--benchmark vsp:ROOT --pictures original --rules mgsd-eval.",
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
        "Exact match is a shortest plan: compare with --benchmark visualplanning:ROOT --rules "
        "visualplanning.",
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
        "FrozenLake 3–8, Maze 3–6, MiniBehaviour 5–6 of the paper's own boards, mean over levels, "
        "then over tasks: compare with --rules mgsd-eval at the default levels.",
        "2606.06076",
        (
            Published("Qwen3-VL-4B", "11.2"),
            Published("Qwen3-VL-4B + MGSD", "30.5"),
            Published("Qwen3-VL-8B", "17.2"),
            Published("Qwen3-VL-8B + MGSD", "35.6"),
        ),
    ),
)
