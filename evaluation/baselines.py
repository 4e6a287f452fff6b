"""Scores of the scripted agents, the bounds of every result: `python -m evaluation.baselines`.

They play the three tasks at the paper's levels and, where their folder is given, the public sets,
each under the rules of its authors; the table is written as Markdown.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from agents.scripted import SCRIPTED
from evaluation import planning
from evaluation.options import EvalConfig, given_cases
from evaluation.planning import PlanningConfig
from evaluation.rates import Rate, as_rate
from evaluation.report.tables import Row, Table, markdown, print_table
from vsp_envs import TASKS
from vsp_envs.core.task_level import select_task_levels
from vsp_envs.utils.cli import main
from vsp_envs.utils.files import write_text

AGENTS = ("oracle", "blind", "random")


class PublicSet(NamedTuple):
    """A public set in the folder of all of them."""

    title: str
    name: str
    folder: str
    rules: str


PUBLIC = (
    PublicSet("VSP", "vsp", "vsp_frozenlake", "mgsd-eval"),
    PublicSet("VisualPlanning", "visualplanning", "visualplanning", "visualplanning"),
    PublicSet("DiffThinker", "diffthinker", "diffthinker", "mgsd-eval"),
)


@dataclass(frozen=True, kw_only=True)
class BaselinesConfig:
    """Play the scripted agents and write the table of their scores."""

    out: Path = Path("docs/results/baselines.md")
    """The file."""
    benchmarks: str = field(default_factory=lambda: os.environ.get("VSP_BENCHMARKS", ""))
    """Folder with the public sets in `vsp_frozenlake`, `visualplanning` and `diffthinker`; missing
    sets are left out."""
    episodes: int = 200
    """Different boards per task and level, of the test split."""
    seed: int = 0
    """Seed of the boards and of the random agent."""


Column = dict[str, Rate]
"""Agent → rate."""


def sampled_columns(config: BaselinesConfig) -> dict[str, Column]:
    """Success on sampled boards: per task the mean over levels, and the mean over tasks."""
    columns: dict[str, Column] = {}
    task_levels = select_task_levels(list(TASKS))
    for name in AGENTS:
        found = planning.evaluate(
            SCRIPTED[name](config.seed), task_levels, episodes=config.episodes, rules="mgsd-eval",
            seed=config.seed,
        )  # fmt: skip
        for task, rates in found["tasks"].items():
            columns.setdefault(task, {})[name] = as_rate(rates["success"])
        columns.setdefault("macro mean", {})[name] = as_rate(found["macro"]["success"])
    return columns


def public_columns(config: BaselinesConfig) -> dict[str, Column]:
    """Success on each public set in the folder, by task."""
    columns: dict[str, Column] = {}
    for public in public_sets(config):
        root = Path(config.benchmarks, public.folder)
        asked = PlanningConfig(out=Path(), benchmark=(f"{public.name}:{root}",), seed=config.seed)
        for name in AGENTS:
            for task, rate in play_public(replace(asked, agent=name), public.rules).items():
                columns.setdefault(f"{public.title} {task}", {})[name] = rate
    return columns


def public_sets(config: BaselinesConfig) -> Iterator[PublicSet]:
    """The public sets whose folders exist."""
    for public in PUBLIC:
        if config.benchmarks and Path(config.benchmarks, public.folder).is_dir():
            yield public


def play_public(asked: EvalConfig, rules: str) -> dict[str, Rate]:
    """Task → success of a scripted agent, the mean over levels."""
    agent = SCRIPTED[asked.agent](asked.seed)
    given = given_cases(asked, agent, "plan")
    found = planning.evaluate(agent, rules=rules, seed=asked.seed, given=given)
    return {task: as_rate(rates["success"]) for task, rates in found["tasks"].items()}


def table_of(columns: dict[str, Column]) -> Table:
    """The columns as rows, one test set each: there are more of them than agents."""
    rows = [Row(name, [found[agent] for agent in AGENTS]) for name, found in columns.items()]
    return Table(AGENTS, rows, "test set")


TEXT = """# What the baselines score

Success in per cent with 95 % intervals, mean over levels. **Oracle** plays a shortest plan,
**blind** knows start and goal and ignores obstacles, **random** samples as many actions as a
shortest plan has. Our boards are those of the test split at the paper's levels
(FrozenLake 3–8, Maze 3–6, MiniBehaviour 5–6), {episodes} a level, under the rules `mgsd-eval`: any
illegal action fails. VSP and DiffThinker are played under the same rules, VisualPlanning under its
own, by which only a shortest plan succeeds. n is what the files hold that were found.

```
{command}
```

{table}
What blind scores needs no sight of obstacles: two positions are enough. On VSP's FrozenLake that
is about two boards of three, so a model below that rate has not shown that it sees a single hole,
and the distance from *blind* to 100, not from 0, is what perception and planning can earn there.
In a maze, where walls are everywhere, the same walk is worth far less.
"""


def run(config: BaselinesConfig) -> None:
    """The command."""
    if config.benchmarks and not list(public_sets(config)):
        names = [public.folder for public in PUBLIC]
        raise ValueError(
            f"no {', '.join(names[:-1])} or {names[-1]} in {config.benchmarks}; check "
            "--benchmarks and VSP_BENCHMARKS, which name the folder of these folders"
        )
    table = table_of(sampled_columns(config) | public_columns(config))
    command = "VSP_BENCHMARKS=SETS python -m evaluation.baselines"
    if config.episodes != BaselinesConfig.episodes:
        command += f" --episodes {config.episodes}"
    text = TEXT.format(episodes=config.episodes, command=command, table=markdown(table))
    write_text(config.out, text)
    print_table(table)
    print(f"written: {config.out}")
    print("next: python -m evaluation.planning --agent blind --tasks frozenlake:3 --out runs/blind")


if __name__ == "__main__":
    main(run, BaselinesConfig)
