"""Training in pieces: a run stops in time at a checkpoint, and goes on there when run again."""

from __future__ import annotations

import time
from typing import Any

from accelerate.utils import broadcast_object_list
from transformers import TrainerCallback

from training.loop.checkpoints import TrainingStopped


class TimeIsUp(TrainingStopped):
    """All is well, but there is more to do: run the same command again."""

    exit_status = 3
    """What a command ends with; 0 would say that all is done."""


class Deadline(TrainerCallback):
    """Saves a checkpoint and raises TimeIsUp at the first step after so many minutes."""

    def __init__(self, minutes: float, every: int = 1) -> None:
        """Counted from now. Only steps that `every` divides are stopped at."""
        self.end, self.every, self.over = time.monotonic() + 60 * minutes, every, False

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Ask for a checkpoint when it is time; the last step needs none."""
        if state.global_step % self.every or state.global_step >= state.max_steps:
            return
        # The clocks of several processes differ by a moment: the first one's counts.
        [self.over] = broadcast_object_list([time.monotonic() >= self.end])
        control.should_save |= self.over

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The checkpoint is whole; stop."""
        if self.over:
            raise TimeIsUp(
                f"time is up at step {state.global_step} of {state.max_steps}; "
                "run the same command again, it goes on there"
            )
