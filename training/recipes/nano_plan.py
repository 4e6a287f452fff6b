"""The plan of `training.recipes.nano`: all steps in order, and which of them are done."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, get_args

from accelerate.utils import broadcast_object_list
from filelock import FileLock

from evaluation.run_folder import check_same
from training.config import SizeName
from training.loop.arguments import processes
from training.loop.deadline import TimeIsUp
from training.recipes.nano_report import read_state
from training.recipes.nano_settings import RECIPES, Line, NanoConfig
from vsp_envs.utils.choices import pick_name
from vsp_envs.utils.files import write_json


class Step(NamedTuple):
    """A part of the plan: a stage to train, or a line to play on a set."""

    name: str
    needs: tuple[str, ...]
    """The stages whose models it loads."""
    line: Line | None = None
    source: str = ""


class Plan:
    """All steps in order, their folders, and the results of those that are done."""

    def __init__(self, config: NanoConfig) -> None:
        """Raises ValueError if the folder holds a run of other settings."""
        self.config, self.recipe = config, RECIPES[pick_name("recipe", config.recipe, RECIPES)]
        self.size = pick_name("size", config.size or self.recipe.size, get_args(SizeName))
        for name in config.stages:
            pick_name("stage", name, self.recipe.stages)
        self.end = time.monotonic() + 60 * config.minutes if config.minutes else math.inf
        self.carry, self.kept = config.out / "carry", config.out / "kept"
        asked = {"size": self.size, "recipe": config.recipe, "seed": str(config.seed)}
        self.file = self.carry / "nano.json"
        self.state = {"asked": asked, "done": {}}
        self._read()
        check_same(config.out, self.state["asked"], asked)

    @property
    def done(self) -> dict[str, Any]:
        """The results of the steps that are done, by name."""
        return self.state["done"]

    def _read(self) -> None:
        """Take over what the folder says."""
        if self.file.exists():
            self.state = read_state(self.file)

    def steps(self) -> Iterator[Step]:
        """Each stage, followed by the lines that its model plays; the scripted agent is last."""
        for name, stage in self.recipe.stages.items():
            yield Step(name, tuple(filter(None, (stage.model, stage.teacher))))
            yield from self._played(name)
        yield from self._played("")

    def _played(self, model: str) -> Iterator[Step]:
        for line in self.recipe.lines:
            if line.model == model:
                for source in ("test", *(self.config.benchmarks if line.public else ())):
                    name = f"{line.name} · {source.partition(':')[0]}"
                    yield Step(name, (model,) if model else (), line, source)

    @property
    def vsp(self) -> str:
        """The public set whose tiles are cut; empty: it is not given."""
        return next((each for each in self.config.benchmarks if each.startswith("vsp:")), "")

    def left(self) -> list[Step]:
        """The steps that are not done."""
        return [step for step in self.steps() if step.name not in self.done]

    def mine(self, name: str) -> bool:
        """Whether this process has to do with a stage, or with what plays (empty: no model)."""
        return not self.config.stages or name in self.config.stages

    def todo(self) -> list[Step]:
        """The steps of those left that are for this process; of several, each trains and none
        plays."""
        steps = [step for step in self.left() if processes() == 1 or not step.line]
        return [step for step in steps if self.mine(step.line.model if step.line else step.name)]

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes of the run waiting, with all that they have done known here."""
        self.carry.mkdir(parents=True, exist_ok=True)
        with FileLock(self.carry / ".lock"):
            self._read()
            yield

    def finish(self, step: Step, results: dict[str, Any]) -> None:
        """Record the results of a step."""
        with self.alone():
            self.done[step.name] = results
            write_json(self.file, self.state)

    def model(self, stage: str) -> Path:
        """The folder of a stage's model."""
        return self.carry / "models" / stage


def check_time(end: float) -> None:
    """Raise TimeIsUp after `end`, by the clock of the first process."""
    [over] = broadcast_object_list([time.monotonic() >= end])
    if over:
        raise TimeIsUp("time is up between two steps; run the same command again, it goes on there")
