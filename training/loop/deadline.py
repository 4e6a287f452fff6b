"""Training in pieces: a run stops at a checkpoint, in time or at Ctrl-C, and resumes there."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from accelerate.utils import broadcast_object_list
from transformers import TrainerCallback

from training.loop.arguments import processes
from training.loop.checkpoints import TrainingStopped


class TimeIsUp(TrainingStopped):
    """The time is used up and the run is not done: run the same command again."""

    exit_status = 3
    """Exit status of the command; 0 would say that the run is done."""


class Deadline(TrainerCallback):
    """Saves a checkpoint and raises TimeIsUp at the first step after so many minutes."""

    def __init__(self, minutes: float, every: int = 1) -> None:
        """The time counts from now. Only multiples of `every` are steps to stop at."""
        self.end, self.every, self.over = time.monotonic() + 60 * minutes, every, False

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Ask for a checkpoint when the time is up; the last step needs none."""
        if state.global_step % self.every or state.global_step >= state.max_steps:
            return
        # The clocks of several processes differ by a moment: the first one's counts.
        [self.over] = broadcast_object_list([time.monotonic() >= self.end])
        control.should_save |= self.over

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The checkpoint is complete: stop."""
        if self.over:
            raise TimeIsUp(
                f"time is up at step {state.global_step} of {state.max_steps}; "
                "run the same command again, it goes on there"
            )


class Interrupt(TrainerCallback):
    """Ctrl-C stops a run at a checkpoint after the step; a second one stops it at once."""

    def __init__(self, every: int = 1) -> None:
        """Only multiples of `every` are steps to stop at."""
        self.every, self.asked, self.over = every, False, False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take over Ctrl-C. One of several processes leaves it to the launcher, which ends all."""
        if processes() > 1:
            yield
            return
        before, wakeup = signal.signal(signal.SIGINT, self._ask), signal.set_wakeup_fd(-1)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
            signal.set_wakeup_fd(wakeup)

    def _ask(self, *_: Any) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        print("stopping after this step; Ctrl-C again stops at once", file=sys.stderr, flush=True)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Ask for a checkpoint after Ctrl-C; the last step needs none."""
        can_stop = state.global_step % self.every == 0 and state.global_step < state.max_steps
        self.over = self.asked and can_stop
        control.should_save |= self.over

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The checkpoint is complete: stop."""
        if self.over:
            raise KeyboardInterrupt(
                f"stopped at step {state.global_step} of {state.max_steps}; "
                "run the same command again, it goes on there"
            )


def ignore_interrupts(_: int = 0) -> None:
    """Leave Ctrl-C to the training process, which still needs its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
