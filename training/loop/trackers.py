"""Where the curves of a run go: trackers by name, and a picture in the run folder."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from evaluation.report.plots import Chart, history_points, save_curves
from vsp_envs.utils.choices import pick_name

TRACKERS: dict[str, str] = {
    "tensorboard": "tensorboard",
    "wandb": "wandb",
    "mlflow": "mlflow",
    "trackio": "trackio",
    "swanlab": "swanlab<0.7",  # transformers' side of it breaks with 0.10
}
"""Tracker → what to install with pip; the module has the name of the tracker."""
SWANLAB_LOCAL = {"swanboard": "swanlab[dashboard]<0.7", "peewee": "peewee<4"}
"""Module → what to install for `SWANLAB_MODE=local`; swanboard's queries fail in peewee 4."""


def trackers(names: Sequence[str]) -> list[str]:
    """The trackers of a run.

    Raises ValueError for an unknown one, and for a package that is missing or too new.
    """
    for name in names:
        needs = {name: TRACKERS[pick_name("tracker", name, TRACKERS)]}
        if name == "swanlab" and os.environ.get("SWANLAB_MODE") == "local":
            needs |= SWANLAB_LOCAL
        for module, package in needs.items():
            _check_installed(name, module, package)
    return list(names) or ["none"]


def _check_installed(name: str, module: str, package: str) -> None:
    way_out = f"`pip install '{package}'`, or leave --report-to out"
    if find_spec(module) is None:
        raise ValueError(f"--report-to {name} needs a package that is not here; {way_out}")
    needed = Requirement(package)
    if needed.name != module or not needed.specifier:
        return
    found = version(module)
    if not needed.specifier.contains(found, prereleases=True):
        raise ValueError(
            f"--report-to {name} does not work with {module} {found}, which is installed; {way_out}"
        )


def charts(history: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """The curves of a run: rates on validation boards and in rollouts, losses, gradient norm."""
    named = sorted({name for entry in history for name in entry})
    rates = [
        name
        for name in named
        if name.split("/")[0] in ("success", "perception", "rollout_success", "rollout_answered")
    ]
    groups = {
        "On validation boards and in rollouts": (rates, True),
        "Loss per token, nats": (("loss", "reverse_kl", "entropy"), False),
        "Gradient norm": (("grad_norm",), False),
        "Learning rate of the first group": (("learning_rate",), False),
    }
    curves = [
        Chart(title, [point for name in names for point in history_points(history, name)], share)
        for title, (names, share) in groups.items()
    ]
    return [chart for chart in curves if chart.points]


def draw_curves(history: Sequence[Mapping[str, Any]], file: Path) -> None:
    """Write the curves of a run as a picture."""
    save_curves(charts(history), file)
