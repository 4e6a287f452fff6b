"""Training in pieces: a run stops at a checkpoint in time, and the same command resumes it."""

from __future__ import annotations

import time
from typing import Any

from accelerate.utils import broadcast_object_list
from transformers import TrainerCallback

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
