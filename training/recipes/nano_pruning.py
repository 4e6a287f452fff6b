"""Keeps the carried folder of `training.recipes.nano` small."""

from __future__ import annotations

import shutil
from pathlib import Path

from training.loop.checkpoints import last_checkpoint
from training.recipes.nano_plan import Plan
from training.recipes.nano_playing import folder_name


def prune(plan: Plan) -> None:
    """Move finished work out of the carried folder, and leave one checkpoint of each run."""
    with plan.alone():
        left = plan.left()
        needed = {need for step in left for need in step.needs}
        for model in (plan.carry / "models").glob("*"):
            if model.name in plan.done and model.name not in needed:
                shutil.rmtree(model)
        for run in (plan.carry / "runs").glob("*"):
            if not plan.mine(run.name):
                continue
            prune_run(run, run.name in plan.done)
            if run.name in plan.done:
                move(run, plan.kept / "runs" / run.name)
        open_folders = {folder_name(step) for step in left}
        for played in (plan.carry / "evaluation").glob("*"):
            if played.name not in open_folders:
                move(played, plan.kept / "evaluation" / played.name)


def prune_run(run: Path, done: bool) -> None:
    """Remove all checkpoints but the last; of a finished run all, and its weights."""
    last = last_checkpoint(run / "checkpoints")
    for checkpoint in (run / "checkpoints").glob("checkpoint-*"):
        if done or checkpoint != last:
            shutil.rmtree(checkpoint)
    if done:
        (run / "model.safetensors").unlink(missing_ok=True)


def move(folder: Path, to: Path) -> None:
    """Move a folder; it may replace files of an earlier try."""
    shutil.copytree(folder, to, dirs_exist_ok=True)
    shutil.rmtree(folder)
