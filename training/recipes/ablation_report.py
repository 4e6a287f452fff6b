"""The table and the curves of an ablation, from what its runs left behind."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.rates import Rate, wilson
from evaluation.report.plots import SERIES, history_points
from evaluation.report.tables import Row, Table, markdown
from training.loop.run import history_of
from vsp_envs.utils.files import read_json, write_json, write_text

T975 = {
    2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262,
}  # fmt: skip
"""Student's t, 97.5 % point, by the number of seeds."""


class Played(NamedTuple):
    """The result of one model on the test boards of its kind."""

    kind: str
    seed: int
    row: str
    success: int
    episodes: int
    state_exact: float | None


class Curve(NamedTuple):
    """Success on validation boards over the answers that one training run has seen; of perception
    SFT, the share of them that it reads right."""

    kind: str
    seed: int
    arm: str
    points: list[tuple[int, float]]


def read_played(out: Path) -> list[Played]:
    """Every row that has been played, from `KIND/SEED/played/ROW/results.json`."""
    found = []
    for file in sorted(out.glob("*/*/played/*/results.json")):
        kind, seed, _, row = file.relative_to(out).parts[:4]
        macro = read_json(file)["macro"]
        rate, state = macro["success"], macro.get("state_exact")
        wins = round(rate["value"] * rate["n"])
        exact = state["value"] if state else None
        found.append(Played(kind.replace("-", ":"), int(seed), row, wins, rate["n"], exact))
    return found


def read_curves(out: Path) -> list[Curve]:
    """The success on validation boards along every finished run that measured it."""
    found = []
    for file in sorted(out.glob("*/*/*/run.json")):
        kind, seed, arm = file.relative_to(out).parts[:3]
        history = history_of(file.parent)
        measured = history_points(history, "success") or history_points(history, "perception")
        if measured:  # an unfinished run would leave its arm without a mean
            settings = read_json(file)["settings"]
            answers = settings["batch_size"] * settings.get("rollouts", 1)
            points = [(int(each.step) * answers, each.value) for each in measured]
            found.append(Curve(kind.replace("-", ":"), int(seed), arm, points))
    return found


def over_seeds(played: Sequence[Played]) -> Rate:
    """The mean over seeds with the wider of two 95 % intervals.

    Student's interval over the seeds covers how trainings differ, but has no width for three equal
    ones. Wilson's over all episodes covers how few boards there are, but treats the models as one.
    """
    shares = [each.success / each.episodes for each in played]
    pooled = wilson(sum(each.success for each in played), sum(each.episodes for each in played))
    if len(shares) < 2:
        return pooled
    half = T975[len(shares)] * stdev(shares) / math.sqrt(len(shares))
    mean = fmean(shares)
    low, high = max(0.0, mean - half), min(1.0, mean + half)
    return pooled._replace(low=min(pooled.low, low), high=max(pooled.high, high))


def table(played: Sequence[Played], rows: Mapping[str, str], kinds: Sequence[str]) -> Table:
    """A line per row, a column per kind of board."""
    lines = []
    for title, row in rows.items():
        cells = []
        for kind in kinds:
            some = [each for each in played if (each.kind, each.row) == (kind, row)]
            cells.append(over_seeds(some) if some else None)
        lines.append(Row(title, cells))
    return Table(list(kinds), lines, "test boards, success")


def each_seed(played: Sequence[Played], rows: Mapping[str, str], kinds: Sequence[str]) -> str:
    """The same by seed, in per cent, for readers who compute another interval."""
    lines = [f"| by seed | {' | '.join(kinds)} |", "| --- |" + " --- |" * len(kinds)]
    for title, row in rows.items():
        cells = []
        for kind in kinds:
            some = sorted(each for each in played if (each.kind, each.row) == (kind, row))
            cells.append(" · ".join(f"{100 * each.success / each.episodes:.1f}" for each in some))
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def perceived(curves: Sequence[Curve], kinds: Sequence[str]) -> str:
    """One more line of that table: the final perception of SFT, which the later arms start from."""
    cells = []
    for kind in kinds:
        some = sorted(each for each in curves if (each.kind, each.arm) == (kind, "sft"))
        cells.append(" · ".join(f"{100 * each.points[-1][1]:.0f}" for each in some))
    return f"| *after SFT, states read right (validation)* | {' | '.join(cells)} |\n"


def curves_figure(
    curves: Sequence[Curve],
    arms: Mapping[str, str],
    kinds: Sequence[str],
    after_sft: Collection[str],
) -> Figure:
    """A panel per kind: a thin line per seed, a thick one for their mean.

    The curves of the arms `after_sft` begin where perception SFT has ended.
    """
    seen = {(each.kind, each.arm): each.points[-1][0] for each in curves}
    figure = Figure((10, 3.1), layout="constrained", facecolor="white")
    panels = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    for axes, kind in zip(panels, kinds, strict=True):
        for series, (arm, title) in enumerate(arms.items()):
            before = seen[kind, "sft"] if arm in after_sft else 0
            some = [
                [((before + answers) / 1000, share) for answers, share in each.points]
                for each in curves
                if (each.kind, each.arm) == (kind, arm)
            ]
            _draw_arm(axes, some, SERIES[series % len(SERIES)], title if kind == kinds[0] else None)
        axes.set(title=kind, ylim=(-0.02, 1.02))
        axes.grid(axis="y", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("success, validation boards")
    figure.supxlabel("thousand answers seen, perception SFT's included", fontsize=10)
    figure.legend(loc="outside upper center", ncols=-(-len(arms) // 2), frameon=False, fontsize=9)
    return figure


def _draw_arm(
    axes: Axes, curves: Sequence[Sequence[tuple[float, float]]], color: str, label: str | None
) -> None:
    for points in curves:
        axes.plot(*zip(*points, strict=True), color=color, alpha=0.25, linewidth=0.8)
    together = list(zip(*curves, strict=False))
    answers = [points[0][0] for points in together]
    means = [fmean(share for _, share in points) for points in together]
    axes.plot(answers, means, color=color, linewidth=1.8, label=label)


def write_report(
    out: Path,
    rows: Mapping[str, str],
    arms: Mapping[str, str],
    kinds: Sequence[str],
    after_sft: Collection[str],
    lead: str,
) -> None:
    """`ablation.md`, `ablation.json` and `ablation.png` into the run folder."""
    played, curves = read_played(out), read_curves(out)
    shown = table(played, rows, kinds)
    text = f"{lead}\n\n{markdown(shown)}\n{each_seed(played, rows, kinds)}"
    text += perceived(curves, kinds)
    write_text(out / "ablation.md", text)
    data: dict[str, Any] = {
        "played": [each._asdict() for each in played],
        "curves": [each._asdict() for each in curves],
    }
    write_json(out / "ablation.json", data)
    curves_figure(curves, arms, kinds, after_sft).savefig(out / "ablation.png", dpi=150)
