"""What oracle, random and blind score, the bounds of every result: `evaluation.baselines`.

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
    """Play the scripted agents and write the table of what they score."""

    out: Path = Path("docs/results/baselines.md")
    """The file."""
    benchmarks: str = field(default_factory=lambda: os.environ.get("VSP_BENCHMARKS", ""))
    """Folder with the public sets in `vsp_frozenlake`, `visualplanning` and `diffthinker`; those
    that are not there are left out."""
    episodes: int = 200
    """Different boards per task and level, of the test split."""
    seed: int = 0
    """Seed of the boards and of the random agent."""


Column = dict[str, Rate]
"""Agent → rate."""


def drawn_columns(options: BaselinesConfig) -> dict[str, Column]:
    """Success on boards of our own by task, the mean over its levels, and the mean over tasks."""
    columns: dict[str, Column] = {}
    kinds = select_task_levels(list(TASKS))
    for name in AGENTS:
        found = planning.evaluate(
            SCRIPTED[name](options.seed), kinds, episodes=options.episodes, rules="mgsd-eval",
            seed=options.seed,
        )  # fmt: skip
        for task, rates in found["tasks"].items():
            columns.setdefault(task, {})[name] = as_rate(rates["success"])
        columns.setdefault("macro mean", {})[name] = as_rate(found["macro"]["success"])
    return columns


def public_columns(options: BaselinesConfig) -> dict[str, Column]:
    """Success on each public set that is there, by task."""
    columns: dict[str, Column] = {}
    for public in public_sets(options):
        root = Path(options.benchmarks, public.folder)
        asked = PlanningConfig(out=Path(), benchmark=f"{public.name}:{root}", seed=options.seed)
        for name in AGENTS:
            for task, rate in play_public(replace(asked, agent=name), public.rules).items():
                columns.setdefault(f"{public.title} {task}", {})[name] = rate
    return columns


def public_sets(options: BaselinesConfig) -> Iterator[PublicSet]:
    """The public sets whose folders are there."""
    for public in PUBLIC:
        if options.benchmarks and Path(options.benchmarks, public.folder).is_dir():
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
**blind** knows where things are and walks as if nothing were in the way, **random** draws as many
actions as a shortest plan has. Our boards are those of the test split at the paper's levels
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


def run(options: BaselinesConfig) -> None:
    """The command."""
    if options.benchmarks and not list(public_sets(options)):
        names = [public.folder for public in PUBLIC]
        raise ValueError(
            f"no {', '.join(names[:-1])} or {names[-1]} in {options.benchmarks}; check "
            "--benchmarks and VSP_BENCHMARKS, which name the folder of these folders"
        )
    table = table_of(drawn_columns(options) | public_columns(options))
    command = "VSP_BENCHMARKS=SETS python -m evaluation.baselines"
    if options.episodes != BaselinesConfig.episodes:
        command += f" --episodes {options.episodes}"
    text = TEXT.format(episodes=options.episodes, command=command, table=markdown(table))
    write_text(options.out, text)
    print_table(table)
    print(f"written: {options.out}")


if __name__ == "__main__":
    main(run, BaselinesConfig)
