"""A small Qwen3-VL from nothing for all tasks: `python -m training.recipes.nano`.

Base on text → perception SFT → OPCD; beside it OPCD + reward and direct-plan SFT; each played on
held-out boards and on public sets. `--minutes 9` stops in time at a checkpoint with exit status 3;
run again, it goes on; status 0 says that all is done. What goes on is `OUT/carry` alone, which may
be taken to another machine; `OUT/kept` grows and is never needed again.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from agents.agent import Agent, Reply, Request
from agents.backends.hf import HFAgent
from agents.rollout import Case
from agents.sampling import Sampling
from agents.scripted import SCRIPTED
from evaluation import perception, planning
from evaluation.options import CaseSet, Pictures, public_cases, sample_cases
from evaluation.planning import PlanningConfig
from evaluation.run_folder import check_same
from training.base import BaseConfig
from training.loop.checkpoints import last_checkpoint
from training.loop.deadline import TimeIsUp
from training.loop.run import history_of
from training.merge import MergeConfig, merge
from training.model.tiny import SIZES
from training.recipes.nano_report import read_state, write_page
from training.recipes.nano_settings import LINES, RECIPES, Line
from training.recipes.stages import train
from vsp_envs.count import count
from vsp_envs.utils.choices import pick_name
from vsp_envs.utils.cli import main
from vsp_envs.utils.files import write_json

RULES = {"visualplanning": "visualplanning"}
"""Public set → what counts there; `mgsd-eval`, where an illegal action fails, everywhere else."""
CARRIED = 64 * 2**20
"""Most bytes of `OUT/carry` between pieces, for the default size."""


@dataclass(frozen=True)
class NanoConfig:
    """Train, distil and evaluate a model of 4 M parameters for all tasks, piece by piece."""

    out: Path = Path("runs/nano")
    """Run folder."""
    minutes: float = 0.0
    """Stop at a checkpoint after so many minutes; 0: go on to the end."""
    size: str = "nano-4m"
    """`nano-1m`, `nano-4m` or `nano-10m`, by parameters. The state of the last is beyond 64 MiB."""
    recipe: str = "full"
    """`full`: all levels, on a GPU; `rehearsal`: the same plan at the smallest levels, on a CPU."""
    benchmarks: tuple[str, ...] = ()
    """Public sets, such as `vsp:ROOT visualplanning:ROOT`: played at the end, and no board of them
    nor a symmetric image of one is trained on."""
    seed: int = 0
    """Seed of everything."""
    workers: int = 0
    """Processes that prepare boards beside the training one."""


class Step(NamedTuple):
    """A part of the plan: a stage to train, or a line to play on a set."""

    name: str
    needs: tuple[str, ...]
    """Stages whose models it takes."""
    line: Line | None = None
    source: str = ""


class DeadlineAgent(HFAgent):
    """A model that stops answering when the time is up; replies until then are kept."""

    end = math.inf

    def reply(self, requests: Sequence[Request]) -> list[Reply]:
        """As of any agent. Raises TimeIsUp."""
        check_time(self.end)
        return super().reply(requests)


def check_time(end: float) -> None:
    """Raise TimeIsUp after `end`."""
    if time.monotonic() >= end:
        raise TimeIsUp("time is up between two steps; run the same command again, it goes on there")


class Plan:
    """All steps in order, and what of them is done."""

    def __init__(self, config: NanoConfig) -> None:
        """Raises ValueError if the folder holds a run of other settings."""
        self.config, self.recipe = config, RECIPES[pick_name("recipe", config.recipe, RECIPES)]
        pick_name("size", config.size, [name for name in SIZES if name.startswith("nano")])
        self.end = time.monotonic() + 60 * config.minutes if config.minutes else math.inf
        self.carry, self.kept = config.out / "carry", config.out / "kept"
        asked = {name: str(getattr(config, name)) for name in ("size", "recipe", "seed")}
        self.file = self.carry / "nano.json"
        self.state = read_state(self.file) if self.file.exists() else {"asked": asked, "done": {}}
        check_same(config.out, self.state["asked"], asked)
        self.done: dict[str, Any] = self.state["done"]

    def steps(self) -> Iterator[Step]:
        """Each stage, followed by what its model plays; the scripted agent comes last."""
        for name, stage in self.recipe.stages.items():
            yield Step(name, tuple(filter(None, (stage.model, stage.teacher))))
            yield from self._played(name)
        yield from self._played("")

    def _played(self, model: str) -> Iterator[Step]:
        for line in LINES:
            if line.model == model:
                for source in ("test", *(self.config.benchmarks if line.public else ())):
                    name = f"{line.name} · {source.partition(':')[0]}"
                    yield Step(name, (model,) if model else (), line, source)

    def run(self) -> None:
        """Do what is left. Raises TimeIsUp."""
        try:
            for step in self.steps():
                if step.name not in self.done:
                    check_time(self.end)
                    began = time.perf_counter()
                    print(f"— {step.name}", flush=True)
                    found = self.play(step) if step.line else self.train(step.name)
                    self.done[step.name] = {**found, "seconds": time.perf_counter() - began}
                    write_json(self.file, self.state)
                    self.prune()
        finally:
            self.prune()
            write_page(self.config.out / "nano.md", self.state)

    def train(self, name: str) -> dict[str, Any]:
        """One stage, from its last checkpoint; its model is kept in bf16."""
        stage, place = self.recipe.stages[name], self.carry / "runs" / name
        left = 0.0 if self.end == math.inf else max(1e-6, (self.end - time.monotonic()) / 60)
        asked: dict[str, Any] = {
            "out": place, "seed": self.config.seed, "exclude": self.config.benchmarks,
            "workers": self.config.workers, "minutes": left,
        }  # fmt: skip
        asked |= {"model": str(self.model(stage.model))} if stage.model else {}
        asked |= {"teacher": str(self.model(stage.teacher))} if stage.teacher else {}
        asked |= {"size": self.config.size} if isinstance(stage.config, BaseConfig) else {}
        train(replace(stage.config, **asked))
        part = self.model(f"{name}.part")
        for old in (part, self.model(name)):
            shutil.rmtree(old, ignore_errors=True)
        merge(MergeConfig(str(place), part))
        shutil.copytree(part, self.kept / "models" / name, dirs_exist_ok=True)
        part.rename(self.model(name))
        return {"history": history_of(place)}

    def play(self, step: Step) -> dict[str, Any]:
        """One line on one set."""
        line, config = step.line or LINES[0], self.config
        agent: Agent
        if line.model:
            agent = DeadlineAgent.load(
                str(self.model(line.model)), "auto", sampling=Sampling(max_new_tokens=160),
                batch_size=self.recipe.batch,
            )  # fmt: skip
            agent.end = self.end
        else:
            agent = SCRIPTED["blind"](config.seed)
        given = CaseSet(step.source, self.cases(step.source, line))
        place = self.carry / "evaluation" / step.name.replace(" ", "-")
        shown: dict[str, Any] = {"given": given, "out": place, "progress": True}
        if line.goal == "perceive":
            return {"results": perception.evaluate(agent, **shown)}
        rules = RULES.get(step.source.partition(":")[0], "mgsd-eval")
        return {"results": planning.evaluate(agent, input=line.input, rules=rules, **shown)}

    def cases(self, source: str, line: Line) -> list[Case]:
        """The boards of a set; VSP's in their own pictures."""
        kinds, recipe = self.recipe.stages["base"].config.kinds(), self.recipe
        if source != "test":
            own: Pictures = "original" if source.startswith("vsp:") else "rendered"
            # Named one by one: without names a set gives all that it has.
            asked = PlanningConfig(
                out=self.config.out, benchmark=source, pictures=own, tasks=tuple(map(str, kinds))
            )
            return public_cases(asked, kinds, line.goal)[: recipe.public]
        cases: list[Case] = []
        for kind in kinds:
            few = recipe.episodes
            if kind.level <= 5:  # some of these have fewer test boards
                few = min(few, count(kind).splits["test"])
            cases += sample_cases([kind], "test", few, line.input, line.goal, self.config.seed)
        return cases

    def model(self, name: str) -> Path:
        """Where the model of a stage lies."""
        return self.carry / "models" / name

    def prune(self) -> None:
        """Move what is done out of the carried folder, and leave one checkpoint of a run."""
        left = [step for step in self.steps() if step.name not in self.done]
        needed = {need for step in left for need in step.needs}
        for place in (self.carry / "models").glob("*"):
            if place.name in self.done and place.name not in needed:
                shutil.rmtree(place)
        for place in (self.carry / "runs").glob("*"):
            last = last_checkpoint(place / "checkpoints")
            for old in (place / "checkpoints").glob("checkpoint-*"):
                if place.name in self.done or old != last:
                    shutil.rmtree(old)
            if place.name in self.done:
                (place / "model.safetensors").unlink(missing_ok=True)
                move(place, self.kept / "runs" / place.name)
        under_way = {step.name.replace(" ", "-") for step in left}
        for place in (self.carry / "evaluation").glob("*"):
            if place.name not in under_way:
                move(place, self.kept / "evaluation" / place.name)


def move(place: Path, to: Path) -> None:
    """Move a folder, also onto one of an earlier try."""
    shutil.copytree(place, to, dirs_exist_ok=True)
    shutil.rmtree(place)


def run(config: NanoConfig) -> None:
    """The command."""
    plan = Plan(config)
    plan.run()
    print(f"all {len(plan.done)} steps are done: {config.out / 'nano.md'}")


if __name__ == "__main__":
    main(run, NanoConfig)
