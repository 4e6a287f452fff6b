"""The page of `training.recipes.closed_loop`: tables, a figure, and the numbers behind them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from evaluation.report.plots import SERIES
from evaluation.report.tables import markdown
from training.recipes.ablation_report import Played, each_seed, over_seeds, read_played, table
from vsp_envs.utils.files import read_json, write_json, write_text

TITLES: dict[str, str] = {
    "plan_opcd": "SFT + OPCD on plans",
    "more_opcd": "SFT + OPCD on plans, and more on plans",
    "step_opcd": "SFT + OPCD on plans, then in steps",
    "step_opcd_forward": "SFT + OPCD on plans, then in steps by the forward KL",
    "plan_sft": "SFT on plans",
    "step_sft": "SFT in steps",
    "step_sft_detours": "SFT in steps, with detours",
}
"""Arms that play → their rows."""
WAYS = {
    "plan": "as a plan",
    "step": "in steps",
    "plan-pushed": "as a plan, pushed",
    "step-pushed": "in steps, pushed",
}
"""How they play → the words for it."""
LEAD = """# What learning in closed loop is worth

```
python -m training.recipes.closed_loop
```

Success on held-out test boards from the image alone, in per cent: the mean over seeds and the wider
of two 95 % intervals, Student's over seeds and Wilson's over boards. One model of 0.5 M parameters
per kind of board, arm and seed. *As a plan*: one reply is played to its end. *In steps*: a fresh
picture after each action. *Pushed*: once in mid-episode the agent is moved by a random legal move,
the same for all. Perception SFT is of the states that turns reach, with detours. OPCD has a hundred
steps on plans, and in three arms as many more on plans or in steps; by the reverse KL twice as many
on MiniBehaviour.
[Closed loop](../closed-loop.md) explains the arms.
"""


def playing(arms: Sequence[str]) -> list[str]:
    """Those of the arms that play, in the order of the page."""
    return [arm for arm in TITLES if arm in arms]


def rows(arms: Sequence[str]) -> dict[str, str]:
    """Title of a row → the folder of its run."""
    found = {"base, from text (the bound)": "base-text"}
    for arm, way in product(playing(arms), WAYS):
        found[f"{TITLES[arm]}; {WAYS[way]}"] = f"{arm}-{way}"
    return found


def numbers(page: Path) -> Path:
    """The file with the numbers behind a page."""
    return page.with_suffix(".json")


def reported(out: Path, page: Path) -> list[Played]:
    """What has been played in the run, and what stands beside the page."""
    file = numbers(page)
    held = [Played(**each) for each in read_json(file)["played"]] if file.exists() else []
    found = {each[:3]: each for each in [*held, *read_played(out)]}
    return [found[key] for key in sorted(found)]


def write_report(out: Path, page: Path, arms: Sequence[str], kinds: Sequence[str]) -> None:
    """Write the page, and beside it the figure and the numbers."""
    played, titles = reported(out, page), rows(arms)
    shown = markdown(table(played, titles, kinds))
    seeds, drawn = each_seed(played, titles, kinds), page.with_suffix(".png")
    alt = "A panel for each kind of board, a line for each arm: how it plays, with intervals"
    write_text(page, f"{LEAD}\n![{alt}]({drawn.name})\n\n{shown}\n{seeds}")
    write_json(numbers(page), {"played": [each._asdict() for each in played]})
    figure(played, playing(arms), kinds).savefig(drawn, dpi=150)
    print(f"report: {page}")


def figure(played: Sequence[Played], arms: Sequence[str], kinds: Sequence[str]) -> Figure:
    """A panel per kind, a line per arm: its four rates with their intervals."""
    drawn = Figure((10, 1.2 + 0.5 * len(arms)), layout="constrained", facecolor="white")
    panels = drawn.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    for axes, kind in zip(panels, kinds, strict=True):
        for number, (way, words) in enumerate(WAYS.items()):
            for line, arm in enumerate(arms):
                some = [each for each in played if (each.kind, each.row) == (kind, f"{arm}-{way}")]
                if not some:
                    continue
                rate = over_seeds(some)
                around = [[rate.value - rate.low], [rate.high - rate.value]]
                axes.errorbar(
                    rate.value, line + 0.14 * (number - 1.5), xerr=around, fmt="o", markersize=5,
                    color=SERIES[way.startswith("plan")], linewidth=0.9,
                    markerfacecolor="white" if way.endswith("pushed") else None,
                    label=words if (kind, line) == (kinds[0], 0) else None,
                )  # fmt: skip
        axes.set(title=kind, xlim=(-0.02, 1.02), xticks=(0, 0.5, 1), yticks=range(len(arms)))
        axes.set_yticklabels([TITLES[arm] for arm in arms])
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.grid(axis="x", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].invert_yaxis()
    drawn.supxlabel("success, held-out test boards", fontsize=10)
    drawn.legend(loc="outside upper center", ncols=len(WAYS), frameon=False, fontsize=9)
    return drawn
