"""The whole method on a tiny model and a CPU: `make demo`, or `python -m training.recipes.demo`.

base (plans on text, cannot see) → perception SFT (sees, no longer plans) → OPCD (plans from
pixels), then every model and baseline on the same held-out boards, one table and one report.
"""

from __future__ import annotations

if __name__ == "__main__":  # before torch is imported, so that --help is there at once
    from training.recipes.demo_settings import DemoConfig
    from vsp_envs.utils.cli import main

    main("training.recipes.demo:run", DemoConfig)
    raise SystemExit

import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from agents.agent import Agent
from agents.backends.hf import HFAgent
from agents.backends.prefilled_route import ForcedRoute
from agents.sampling import Sampling
from agents.scripted import SCRIPTED
from agents.vlm.checkpoint import load_checkpoint
from evaluation import perception, planning
from evaluation.options import sample_cases
from evaluation.report.page import write_report
from evaluation.report.plots import Chart, history_points
from evaluation.report.tables import Row, Table, markdown, print_table
from evaluation.run_folder import Run, read_run
from training.loop.run import history_of, seconds_of
from training.merge import CARD_HEAD, check_empty, write_model
from training.recipes.demo_settings import RECIPES, DemoConfig, Recipe
from training.recipes.stages import train as train_stage
from vsp_envs.core.task_level import TaskLevel
from vsp_envs.utils.files import write_text


def recipe_of(config: DemoConfig) -> Recipe:
    """The recipe that the settings name. Raises ValueError if there is none."""
    name = "all" if config.tasks == "all" else f"{config.tasks}:{config.level}"
    if name not in RECIPES:
        raise ValueError(
            f"the demo has no recipe for tasks {config.tasks!r} at level {config.level}; it has "
            "FrozenLake 3 (the default), FrozenLake 4 (--level 4) and --tasks all"
        )
    return RECIPES[name]


def train(config: DemoConfig) -> None:
    """The three stages, each skipped if it is done."""
    recipe, seed = recipe_of(config), config.seed
    folders = {stage: config.out / stage for stage in Recipe._fields}
    base_model, sft_model = str(folders["base"]), str(folders["sft"])
    print("— base: plans on text", flush=True)
    train_stage(replace(recipe.base, out=folders["base"], seed=seed))
    print("— perception SFT: learns to see", flush=True)
    train_stage(replace(recipe.sft, out=folders["sft"], seed=seed, model=base_model))
    print("— OPCD: learns to plan from what it sees", flush=True)
    train_stage(
        replace(recipe.opcd, out=folders["opcd"], seed=seed, model=sft_model, teacher=base_model)
    )


def histories(out: Path) -> dict[str, list[dict[str, Any]]]:
    """What each stage logged."""
    return {stage: history_of(out / stage) for stage in Recipe._fields}


class Line(NamedTuple):
    """A row of the table: the agent, its input, and how its perception is measured."""

    folder: str
    name: str
    agent: Callable[[], Agent]
    input: str = "image"
    perception: str = ""
    """`asked`: the perception questions; `stated`: the state at the head of the planning answer."""


def lines(out: Path, seed: int) -> list[Line]:
    """The table's rows."""

    def model(stage: str) -> HFAgent:
        return HFAgent.load(
            str(out / stage), dtype="float32", sampling=Sampling(max_new_tokens=160)
        )

    return [
        Line("base", "base", lambda: model("base"), perception="asked"),
        Line("sft", "SFT", lambda: model("sft"), perception="asked"),
        Line("control", "SFT, made to go on with a route", lambda: ForcedRoute(model("sft"))),
        Line("opcd", "OPCD", lambda: model("opcd"), perception="stated"),
        Line("bound", "symbolic-input bound (base, text)", lambda: model("base"), "text"),
        Line("blind", "blind", lambda: SCRIPTED["blind"](seed)),
        Line("random", "random", lambda: SCRIPTED["random"](seed)),
        Line("oracle", "oracle", lambda: SCRIPTED["oracle"](seed), perception="asked"),
    ]


def evaluate(config: DemoConfig) -> tuple[Table, list[Run]]:
    """Play every row of the table on the same test boards; returns it and the runs, by row name."""
    kinds, folder = recipe_of(config).kinds, config.out / "evaluation"
    rows, runs = [], []
    for line in lines(config.out, config.seed):
        rows.append(Row(line.name, _rates(line, kinds, config, folder / line.folder)))
        runs.append(replace(read_run(folder / line.folder), name=line.name))
    columns = ("plan success", *task_columns(kinds), "optimal success", "perception exact")
    return Table(columns, rows, "test boards"), runs


def _rates(line: Line, kinds: Sequence[TaskLevel], config: DemoConfig, folder: Path) -> list[Any]:
    agent, episodes, seed = line.agent(), config.episodes, config.seed
    played = planning.evaluate(
        agent, kinds, "test", episodes, line.input, seed=seed, out=folder, progress=True
    )
    tasks = played["tasks"]
    seen = played["macro"].get("state_exact") if line.perception == "stated" else None
    if line.perception == "asked":
        asked = folder.with_name(f"{folder.name}-perception")
        seen = perception.evaluate(
            agent, kinds, "test", episodes, seed=seed, out=asked, progress=True
        )["macro"]["exact"]
    success = [
        played["macro"]["success"],
        *(tasks[task]["success"] for task in task_columns(kinds)),
    ]
    return [*success, played["macro"]["optimal"], seen]


def task_columns(kinds: Sequence[TaskLevel]) -> list[str]:
    """The tasks that get a column of their own: all, if there are several."""
    tasks = list(dict.fromkeys(kind.task for kind in kinds))
    return tasks if len(tasks) > 1 else []


def curves(out: Path) -> list[Chart]:
    """Success on validation boards and loss, over the steps of each stage."""
    logs = histories(out)
    measured = [
        *history_points(logs["base"], "success", "base, from text"),
        *history_points(logs["sft"], "perception", "SFT, perception"),
        *history_points(logs["opcd"], "success", "OPCD, from pixels"),
    ]
    losses = [
        *history_points(logs["base"], "loss", "base"),
        *history_points(logs["sft"], "loss", "SFT"),
    ]
    divergence = history_points(logs["opcd"], "reverse_kl", "OPCD: KL(student ‖ teacher) per token")
    return [
        Chart("On validation boards, over training steps", measured, share=True),
        Chart("Cross-entropy per token, nats", losses),
        Chart("Reverse KL per sampled token, nats", divergence),
    ]


def run(config: DemoConfig) -> None:
    """Train, evaluate, print the table and write the report."""
    recipe = recipe_of(config)
    sample_cases(recipe.kinds, "test", config.episodes, "image", "plan", config.seed)  # or refuse
    if config.export:
        check_empty(config.export, "--export")
    done = (config.out / "report.html").exists()
    train(config)
    began = time.perf_counter()
    table, runs = evaluate(config)
    seconds = {name: seconds_of(log) for name, log in histories(config.out).items()}
    seconds["evaluation"] = time.perf_counter() - began
    title = f"Demo: {', '.join(map(str, recipe.kinds))}"
    if not done:
        write_text(
            config.out / "summary.md", f"{title}\n\n{markdown(table)}\n{NOTE}\n{cost(seconds)}\n"
        )
    lead = f"{LEAD} {NOTE}"
    write_report(config.out / "report.html", title, runs, table, curves(config.out), lead)
    print_table(table, title)
    print(NOTE)
    print(cost(seconds))
    print(f"{'done before; ' if done else ''}report: {config.out / 'report.html'}")
    if config.export:
        export(config, config.export, table)
    print(f"next: python -m vsp_envs.play --replay {config.out / 'evaluation' / 'opcd'}")


def export(config: DemoConfig, out: Path, table: Table) -> None:
    """Write the final model in bf16, with a card that holds the table."""
    loaded = load_checkpoint(config.out / "opcd", "bfloat16")
    recipe = recipe_of(config)
    said = {
        "name": out.name, "folder": out, "tasks": config.tasks, "level": config.level,
        "seed": config.seed, "episodes": config.episodes, "table": markdown(table), "note": NOTE,
        "millions": sum(each.numel() for each in loaded.model.parameters()) / 1e6,
        "kinds": ", ".join(map(str, recipe.kinds)), "asked": " ".join(map(str, recipe.kinds)),
    }  # fmt: skip
    stages = {
        name: f"{stage.steps} × {stage.batch_size}" for name, stage in recipe._asdict().items()
    }
    card = CARD_HEAD + CARD.format(**said, **stages)
    write_model(loaded, out, card)


CARD = """# {name}

A Qwen3-VL of {millions:.1f} M parameters that plans from pictures of {kinds}. It was trained from
random weights on a CPU, on live environments alone: base on text ({base} answers) → perception SFT
({sft}) → OPCD ({opcd}); seed {seed}. These are the weights after OPCD, in bf16. It sees pictures of
32 px a cell in the project's own drawings, with the project's brief prompts; the folder says so
itself, and the project's commands ask it that way.

```
python -m training.recipes.demo --tasks {tasks} --level {level} --export {folder}   # makes it
python -m evaluation.planning --agent hf --model {folder} --tasks {asked} --out runs/tiny
```

{episodes} boards of each task, held out by content hash. The rows are the stages in float32:

{table}
{note}

It can do nothing else: other levels, drawings and questions are outside of what it was trained for.
"""


def cost(seconds: Mapping[str, float]) -> str:
    """Seconds by stage, and the peak memory of this process."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # KiB → GiB on Linux
    stages = ", ".join(f"{stage} {taken:.0f}" for stage, taken in seconds.items())
    return f"Seconds: {stages}; {sum(seconds.values()):.0f} in all. Peak memory: {peak:.1f} GiB."


LEAD = (
    "A tiny Qwen3-VL, from scratch, on live boards. The base model plans on text and cannot see; "
    "perception SFT teaches it to read the picture; OPCD, with the frozen base as a text-only "
    "teacher, teaches it to plan from the picture alone. All rows play the same held-out boards."
)
NOTE = (
    "Per cent with 95 % intervals. OPCD's perception is the state at the head of its planning "
    "answer. «made to go on with a route» is the control for the answer's format: it gives the SFT "
    "model its own perceived state and the first word of a route."
)
