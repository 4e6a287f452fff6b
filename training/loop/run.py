"""A training run in its folder: started, resumed or done; refused while another run uses it."""

from __future__ import annotations

import atexit
import json
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from transformers import PrinterCallback, ProgressCallback

from evaluation.run_folder import check_same, claimed, provenance
from training.config import TrainingConfig
from training.loop.arguments import is_first
from training.loop.checkpoints import last_checkpoint, writing
from training.loop.deadline import Interrupt
from training.loop.dry_run import dry_run
from training.loop.progress import ProgressBar
from training.loop.trackers import draw_curves
from training.loop.trainer import CompletionTrainer
from vsp_envs.prompts.texts import style_of, texts_hash
from vsp_envs.utils.files import read_json, write_json

CHANGEABLE = (
    "out", "on_nan", "report_to", "workers", "preset", "dry_run", "minutes",
    "prompts", "rollout_folder", "rollout_memory", "rollout_urls", "engine", "save_every",
    "save_dtype", "keep",
)  # fmt: skip
"""Settings that may change when a run is resumed."""


class RunRecord(NamedTuple):
    """What `run.json` says of a run."""

    settings: dict[str, Any]
    done: bool
    history: list[dict[str, float]]
    """What the Trainer logged; empty until the run is done."""


def run(config: TrainingConfig, stage: str, make_trainer: Callable[[], CompletionTrainer]) -> Path:
    """Train, resuming from the last intact checkpoint in the run folder, and save the final one.

    `make_trainer` also loads the models; it is not called for a finished run. `stage` is the kind
    of run. Raises ValueError if the folder holds a run of other settings or is in use, and
    TrainingStopped if training cannot go on.
    """
    if config.dry_run:
        with nothing_left(config.out):
            dry_run(make_trainer())
    elif is_done(config, stage):
        print(f"{config.out} is done; delete it to train again", file=sys.stderr)
        print(next_command(config))
    else:
        train(
            make_trainer(), as_json({"stage": stage, **config.settings(), **prompts_hash(config)})
        )
        if is_first():
            print(f"model: {config.out}; its curves: {config.out / 'curves.png'}")
            print(next_command(config))
    leave_group_at_exit()
    return config.out


@lru_cache(maxsize=1)
def leave_group_at_exit() -> None:
    """See to it that one of several processes leaves their group before its interpreter ends.

    A thread of gloo that still held a tensor then would abort a process whose work is done.
    """
    if PartialState().num_processes > 1:
        atexit.register(PartialState().destroy_process_group)


@contextmanager
def nothing_left(out: Path) -> Iterator[None]:
    """Remove the folders that the Trainer makes for a run, if they were not there before."""
    made = [each for each in (out / "checkpoints", out, *out.parents) if not each.exists()]
    try:
        yield
    finally:
        for folder in made:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def next_command(config: TrainingConfig) -> str:
    """How one measures the trained model at what it was taught, on held-out boards."""
    name, said = config.measured_by()
    tasks = [each.partition("@")[0] for each in config.tasks]
    words = ["--agent", "hf", "--model", str(config.out), "--tasks", *tasks, *said]
    command = ["python", "-m", f"evaluation.{name}", *words, "--out", f"{config.out}-{name}"]
    return f"next: {shlex.join(command)}"


def train(trainer: CompletionTrainer, settings: dict[str, Any]) -> None:
    """Train in the run's folder, and keep other runs out of it meanwhile."""
    out, first = trainer.config.out, trainer.is_world_process_zero()
    checkpoints = out / "checkpoints"
    with claimed(out) if first else nullcontext():
        record = provenance(settings)
        if first:
            with writing(out / "run.json.part", checkpoints):
                write_json(out / "run.json", {**record, "done": False})
        # One process decides for all: it reads every byte of the checkpoints.
        [last] = broadcast_object_list([str(last_checkpoint(checkpoints) or "") if first else ""])
        generation = trainer.model.generation_config
        with shown(trainer), interruptible(trainer):
            trainer.train(resume_from_checkpoint=last or None)
        # Every process takes part: where weights are sharded, each has a part of them.
        with writing(out / "run.json.part", checkpoints):
            trainer.save_model(str(out))
            if first:
                generation.save_pretrained(out)
                history = trainer.state.log_history
                draw_curves(history, out / "curves.png")
                if best := trainer.state.best_global_step:
                    record["best"] = {"step": best, "score": trainer.state.best_metric}
                    print(
                        f"{out}: step {best} is the best on validation; `python -m training.merge "
                        f"--run {out} --step {best}` exports it",
                        file=sys.stderr,
                    )
                write_json(out / "run.json", {**record, "done": True, "history": history})


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
def interruptible(trainer: CompletionTrainer) -> Iterator[None]:
    """Ctrl-C stops at a checkpoint, or at once, and says where the next run starts."""
    interrupt = Interrupt(trainer.config.resumes_every())
    trainer.add_callback(interrupt)
    try:
        with interrupt.listening():
            yield
    except KeyboardInterrupt as stopped:
        if stopped.args:
            raise
        kept = last_checkpoint(trainer.config.out / "checkpoints")
        begin = kept.name.removeprefix("checkpoint-") if kept else "0"
        raise KeyboardInterrupt(
            f"stopped at step {trainer.state.global_step}; the next run starts at step {begin}"
        ) from None


def is_done(config: TrainingConfig, stage: str) -> bool:
    """Whether the folder holds a finished run of these settings.

    A setting that an older version did not have counts as its present default. Raises ValueError
    if the folder holds another run.
    """
    record = read_record(config.out)
    if record is None:
        return False
    known = type(config)(out=config.out).settings()
    asked = config.settings() | prompts_hash(config)
    held = {name: {**known, **record.settings}.get(name) for name in asked}
    if not config.prompts and "prompts_hash" in record.settings:
        held["prompts_hash"] = record.settings["prompts_hash"]
    same_stage = record.settings.get("stage") == stage
    if record.done and same_stage and held["steps"] != config.steps and goes_on(config, held):
        return False
    check_same(
        config.out,
        {"stage": record.settings.get("stage"), **as_flags(held)},
        {"stage": stage, **as_flags(asked)},
    )
    return record.done


def goes_on(config: TrainingConfig, held: Mapping[str, Any]) -> bool:
    """Whether a finished run goes on to more steps from its final checkpoint.

    False if other settings differ too. Raises ValueError if its schedule does not allow it.
    """
    asked = config.settings() | prompts_hash(config)
    if as_flags(held) != as_flags({**held, **asked, "steps": held["steps"]}):
        return False
    if config.steps > held["steps"] and config.schedule == "constant" and not config.curriculum:
        return True
    why = (
        "it has more steps already" if config.steps < held["steps"]
        else "its curriculum is spread over all steps" if config.schedule == "constant"
        else f"the schedule {config.schedule} has brought its learning rate to an end"
    )  # fmt: skip
    raise ValueError(
        f"{config.out} is done at step {held['steps']} and cannot go on to --steps {config.steps}: "
        f"{why}. Start a new run from its model: --model {config.out} --out ANOTHER"
    )


def prompts_hash(config: TrainingConfig) -> dict[str, str]:
    """What tells the prompts of a folder from others; nothing for ours."""
    return {"prompts_hash": texts_hash(style_of(config.prompts))} if config.prompts else {}


def read_record(folder: Path) -> RunRecord | None:
    """The run in a folder, or None. Raises ValueError if its `run.json` is not a run's."""
    file = folder / "run.json"
    if not file.exists():
        return None
    said: dict[str, Any] = {"settings": None, "done": None, "history": [], **read_json(file)}
    record = RunRecord(said["settings"], said["done"], said["history"])
    sound = {
        "settings": isinstance(record.settings, dict),
        "done": isinstance(record.done, bool),
        "history": isinstance(record.history, list) and all(map(_is_entry, record.history)),
    }
    for name, is_sound in sound.items():
        if not is_sound:
            raise ValueError(f"{file} holds no {name} of a run; remove it to start anew")
    return record


def history_of(folder: Path) -> list[dict[str, float]]:
    """What the Trainer of a finished run logged; empty for an unfinished one. Raises ValueError."""
    record = read_record(folder)
    return record.history if record else []


def seconds_of(history: Sequence[Mapping[str, float]]) -> float:
    """The time that a finished run took, over its pieces and processes.

    Runs of before `process_seconds` was logged know the time of their last piece alone.
    """
    return history[-1].get("process_seconds", history[-1]["train_runtime"])


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, dict) and all(isinstance(each, int | float) for each in entry.values())


def as_flags(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that must not change, by their flags, with values as JSON gives them back."""
    return {
        f"--{name.replace('_', '-')}": value
        for name, value in as_json(settings).items()
        if name not in CHANGEABLE
    }


def as_json(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as JSON gives them back: tuples become lists, paths text."""
    return json.loads(json.dumps(settings, default=str))
