"""A training run's folder: refused while another run uses it, resumed, finished, left alone."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelerate.utils import broadcast_object_list
from transformers import PrinterCallback, ProgressCallback

from agents.loading import Loaded
from evaluation.folder import claimed, read_json, versions, write_json
from training.checkpoints import last_checkpoint, writing
from training.dry_run import dry_run
from training.progress import ProgressBar
from training.reporting import draw_curves

if TYPE_CHECKING:
    from training.trainer import CompletionTrainer

CHANGEABLE = (
    "on_nan", "report_to", "workers", "preset", "dry_run", "minutes",
    "rollout_folder", "rollout_memory", "rollout_urls",
)  # fmt: skip
"""Settings that a resumed run may have otherwise than before."""


def run(trainer: CompletionTrainer, loaded: Loaded) -> Path:
    """Train, resuming from the last whole checkpoint in the run folder, and save the final one.

    A finished run is left alone. Raises ValueError if the folder holds a run of other settings or
    is in use, and TrainingStopped if training cannot go on.
    """
    config, out = trainer.config, trainer.config.out
    settings = json.loads(
        json.dumps({"stage": type(trainer).__name__, **asdict(config)}, default=str)
    )
    if config.dry_run:
        dry_run(trainer)
        return out
    if is_done(out, settings):
        print(f"{out} is done; delete it to train again", file=sys.stderr)
        return out
    first, checkpoints = trainer.is_world_process_zero(), out / "checkpoints"
    with claimed(out) if first else nothing():
        facts = {"settings": settings, "versions": versions(), "command": command()}
        if first:
            with writing(out / "run.json.part", checkpoints):
                write_json(out / "run.json", {**facts, "done": False})
        # One process decides for all: it reads every byte of the checkpoints.
        [last] = broadcast_object_list([str(last_checkpoint(checkpoints) or "") if first else ""])
        with shown(trainer):
            trainer.train(resume_from_checkpoint=last or None)
        # Every process: where the weights are sharded, all have to hand over theirs.
        with writing(out / "run.json.part", checkpoints):
            trainer.save_model(str(out))
            if first:
                loaded.model.generation_config.save_pretrained(out)
                history = trainer.state.log_history
                draw_curves(history, out / "curves.png")
                write_json(out / "run.json", {**facts, "done": True, "history": history})
    return out


@contextmanager
def shown(trainer: CompletionTrainer) -> Iterator[None]:
    """Our progress bar in place of the Trainer's bar and its printed dictionaries."""
    for callback in (ProgressCallback, PrinterCallback):
        trainer.remove_callback(callback)
    bar = ProgressBar(trainer.config.out.name)
    trainer.add_callback(bar)
    try:
        yield
    finally:
        bar.stop()


@contextmanager
def nothing() -> Iterator[None]:
    """Hold nothing."""
    yield


def command() -> str:
    """The command line of this process."""
    return shlex.join(["python", *sys.orig_argv[1:]])


def is_done(out: Path, settings: dict[str, Any]) -> bool:
    """Whether the folder holds a finished run of these settings."""
    file = out / "run.json"
    if not file.exists():
        return False
    kept = read_json(file)
    changed = [
        name
        for name in settings
        if name not in CHANGEABLE and kept["settings"].get(name) != settings[name]
    ]
    if changed:
        raise ValueError(
            f"{out} holds a run with another {', '.join(changed)}; "
            "choose another --out or delete the folder"
        )
    return bool(kept["done"])
