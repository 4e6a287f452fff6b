"""Trainers that run step by step, so that two of them can take turns, each with a stopwatch."""

from __future__ import annotations

import functools
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import PrinterCallback, ProgressCallback, TrainerCallback

from agents.vlm.checkpoint import Loaded, end_token_ids
from benchmarks.measure import Row
from training.data.layout_stream import live_boards
from training.opcd.config import OPCDConfig
from training.opcd.teachers import Teacher
from training.opcd.trainer import OPCDTrainer
from training.sft import Collate, SFTConfig, SFTTrainer

REST = "data"
"""The phase of all time that no other phase claims: boards, prompts, scores, logs, Python."""


TASKS = ("frozenlake:4",)
STEPS = 1_000_000  # more than are ever taken


class Scale(NamedTuple):
    """The size of what is measured."""

    size: str = "M"
    batch: int = 64
    new_tokens: int = 48
    seconds: float = 120
    samples: int = 512
    loss_tokens: int = 32 * 256


class Stopwatch:
    """Seconds by phase, while it is started. An inner phase pauses the outer one."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.peak: dict[str, int] = defaultdict(int)
        """Peak bytes on the GPU by phase."""
        self._phases, self._since, self._runs = [REST], 0.0, False

    def start(self) -> None:
        """Begin to count."""
        self._runs, self._since = True, _now()

    def stop(self) -> None:
        """Stop counting."""
        self._note()
        self._runs = False

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time inside for this phase."""
        self._note()
        self._phases.append(name)
        try:
            yield
        finally:
            self._note()
            self._phases.pop()

    def claim(self, owner: Any, method: str, name: str) -> None:
        """Count the calls of a method for a phase."""
        plain = getattr(owner, method)

        @functools.wraps(plain)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.phase(name):
                return plain(*args, **kwargs)

        setattr(owner, method, timed)

    def _note(self) -> None:
        now = _now()
        if self._runs:
            self.seconds[self._phases[-1]] += now - self._since
            if torch.cuda.is_available():
                peak = torch.cuda.max_memory_allocated()
                self.peak[self._phases[-1]] = max(self.peak[self._phases[-1]], peak)
                torch.cuda.reset_peak_memory_stats()
        self._since = now


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


class Stepper:
    """A Trainer whose `train` waits after every optimizer step until it is told to go on."""

    def __init__(self, trainer: Any) -> None:
        self.trainer, self.watch, self.steps = trainer, Stopwatch(), 0
        self._go, self._waits = threading.Semaphore(0), threading.Semaphore(0)
        self._stopping = False
        self._error: BaseException | None = None
        self._threads = torch.get_num_threads()
        for noise in (ProgressCallback, PrinterCallback):
            trainer.remove_callback(noise)
        trainer.add_callback(_Gate(self))
        threading.Thread(target=self._train, daemon=True).start()

    def step(self) -> None:
        """One optimizer step, from the end of the one before to its own end."""
        self.watch.start()
        self._turn()
        self.watch.stop()
        self.steps += 1

    def close(self) -> None:
        """End the training and free its memory."""
        self._stopping = True
        self._turn()
        del self.trainer

    def _turn(self) -> None:
        self._go.release()
        self._waits.acquire()
        if self._error is not None:
            raise self._error

    def _train(self) -> None:
        torch.set_num_threads(self._threads)  # a new thread would begin with the default
        self._go.acquire()
        try:
            self.trainer.train()
        except BaseException as error:  # raised again in the thread that waits
            self._error = error
        self._waits.release()

    def wait(self, control: Any) -> None:
        """Hand over at the end of a step, in the training's thread."""
        self._waits.release()
        self._go.acquire()
        control.should_training_stop = self._stopping


class _Gate(TrainerCallback):
    def __init__(self, stepper: Stepper) -> None:
        self._stepper = stepper

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._stepper.wait(control)


def sft_stepper(loaded: Loaded, scale: Scale, out: Path) -> Stepper:
    """Our perception SFT."""
    config = SFTConfig(out, tasks=TASKS, steps=STEPS, batch_size=scale.batch, save_every=STEPS)
    collate = Collate(loaded.processor, loaded.view, "image")
    boards = live_boards(config, loaded.view, ("perceive",))
    return watched(SFTTrainer(config, loaded, boards, data_collator=collate))


def opcd_stepper(
    student: Loaded, teacher: Any, scale: Scale, out: Path, **settings: Any
) -> Stepper:
    """Our OPCD with the reverse KL."""
    config = OPCDConfig(
        out, tasks=TASKS, steps=STEPS, batch_size=scale.batch, save_every=STEPS,
        max_new_tokens=scale.new_tokens, learning_rate=1e-4, **settings,
    )  # fmt: skip
    student = without_end_tokens(student)
    trainer = OPCDTrainer(config, student, Teacher(teacher), live_boards(config, student.view))
    stepper = watched(trainer)
    stepper.watch.claim(student.model, "generate", "generation")
    # Backbone and head apart, because the loss may call either.
    stepper.watch.claim(teacher.model, "forward", "teacher")
    stepper.watch.claim(teacher.lm_head, "forward", "teacher")
    return stepper


def watched(trainer: Any) -> Stepper:
    """A stepper whose stopwatch knows the update: forward, backward, clipping and optimizer."""
    stepper = Stepper(trainer)
    stepper.watch.claim(trainer, "training_step", "update")
    stepper.watch.claim(trainer.accelerator, "clip_grad_norm_", "update")
    trainer.create_optimizer()
    stepper.watch.claim(trainer.optimizer, "step", "update")
    return stepper


def without_end_tokens(loaded: Loaded) -> Loaded:
    """The model, which now never samples an end token: all completions have their full length."""
    plain, end_tokens = loaded.model.generate, end_token_ids(loaded.model)

    def generate(**options: Any) -> Any:
        return plain(**{**options, "suppress_tokens": [*options["suppress_tokens"], *end_tokens]})

    loaded.model.generate = generate
    return loaded


def share(stepper: Stepper, work: str, phase: str) -> Row:
    """A step against one of its phases alone: the ratio is the phase's share."""
    total, alone = sum(stepper.watch.seconds.values()), stepper.watch.seconds[phase]
    steps = stepper.steps
    name = f"its {phase} alone"
    return Row(f"{work}: a step", name, steps / total, steps / alone, "step", alone / total, None)
