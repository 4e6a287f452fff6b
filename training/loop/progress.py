"""The progress of a run: a bar with the success rate on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import TrainerCallback

SHOWN = ("success", "perception", "rollout_success", "reward", "reverse_kl", "loss")
"""The logged values that are shown, in this order."""
RATES = ("success", "perception", "rollout_success")


class ProgressBar(TrainerCallback):
    """Shows the step, the time left, and the latest loss and rates, on stderr."""

    def __init__(self, name: str) -> None:
        """`name` is the name of the run."""
        self.name, self.console = name, Console(stderr=True)
        self.latest: dict[str, float] = {}
        self.first, self.began = 0, time.perf_counter()
        self.bar: Progress | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the bar, at the step that a resumed run goes on from."""
        self.first, self.began = state.global_step, time.perf_counter()
        if not state.is_world_process_zero:
            return
        if state.global_step:
            self._say(f"goes on from step {state.global_step}")
        if self.console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
            values = TextColumn("{task.fields[values]}")
            self.bar = Progress(*columns, TimeRemainingColumn(), values, console=self.console)
            self.task = self.bar.add_task(
                self.name, total=state.max_steps, completed=state.global_step, values=""
            )
            self.bar.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Move the bar."""
        if self.bar:
            self.bar.update(self.task, completed=state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Show the latest values, in a line of their own where there is no terminal."""
        fresh = {name: logs[name] for name in SHOWN if name in (logs or {})}
        if not state.is_world_process_zero or not fresh:
            return
        self.latest |= fresh
        if self.bar:
            self.bar.update(self.task, values=values_text(self.latest))
        else:
            passed, steps = time.perf_counter() - self.began, state.global_step - self.first
            left = passed / max(1, steps) * (state.max_steps - state.global_step)
            times = f"  {passed:.0f} s, {left:.0f} s left" if steps else ""
            self._say(f"step {state.global_step}/{state.max_steps}  {values_text(fresh)}{times}")

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Leave the terminal as it was."""
        self.stop()

    def stop(self) -> None:
        """Remove the bar, also after an error."""
        if self.bar:
            self.bar.stop()
            self.bar = None

    def _say(self, text: str) -> None:
        print(f"{self.name}: {text}", file=sys.stderr, flush=True)


def values_text(logs: Mapping[str, float]) -> str:
    """For example `success 94.5 %  loss 0.0132`, in the order of `SHOWN`."""
    return "  ".join(
        f"{name} {100 * logs[name]:.1f} %" if name in RATES else f"{name} {logs[name]:.4g}"
        for name in SHOWN
        if name in logs
    )
