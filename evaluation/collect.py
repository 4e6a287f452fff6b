"""Play boards with an agent and keep every reply: what planning and perception runs share."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from agents.agent import Agent
from agents.rollouts import INPUTS, Case, play
from agents.scripted import SCRIPTED
from evaluation.folder import open_folder
from evaluation.metrics import Record
from vsp_envs import LayoutSpec, draw_distinct
from vsp_envs.select import Kind
from vsp_envs.task import pick_name


@dataclass(frozen=True, kw_only=True)
class Options:
    """What every evaluation asks for."""

    out: Path
    """Folder of the run: a stopped run goes on there, one of other settings is refused."""
    agent: str = "hf"
    """`hf` (a local checkpoint), `oracle` (a shortest plan), `random` (as many random actions) or
    `blind` (knows start and goal, ignores what is between)."""
    model: str = ""
    """Checkpoint folder of the `hf` agent."""
    tasks: tuple[str, ...] = ("frozenlake", "maze", "minibehaviour")
    """Tasks, each with levels if wanted: `frozenlake:3-8 maze:3,6`."""
    levels: tuple[int, ...] = ()
    """Levels of the tasks that name none; without them a task has the levels of the paper."""
    split: str = "test"
    """`train`, `val` or `test`: by content hash, so that no board is in two of them."""
    episodes: int = 200
    """Different boards per task and level."""
    input: str = "image"
    """`image`, or `text` for the symbolic state."""
    seed: int = 0
    """Seed of the boards, of the random agent and of sampling."""
    temperature: float = 0.0
    """Sampling temperature of the `hf` agent; 0 takes the likeliest token."""
    max_new_tokens: int = 256
    """Longest reply of the `hf` agent."""
    batch_size: int = 64
    """Boards that the `hf` agent answers at once."""
    device: str = "auto"
    """Where the `hf` agent runs: `cpu`, `cuda`, or `auto` for a GPU where there is one."""


def make_agent(options: Options) -> Agent:
    """The agent that the options name. Raises ValueError, or CheckpointError for a bad model."""
    if pick_name("agent", options.agent, ["hf", *SCRIPTED]) != "hf":
        return SCRIPTED[options.agent](options.seed)
    if not options.model:
        raise ValueError("the hf agent needs a checkpoint: --model PATH")
    import torch  # seconds that the scripted agents need not wait

    from agents.hf import HFAgent, Sampling

    found = "cuda" if torch.cuda.is_available() else "cpu"
    sampling = Sampling(options.temperature, options.max_new_tokens, options.seed)
    return HFAgent.load(
        options.model,
        device=found if options.device == "auto" else options.device,
        sampling=sampling,
        batch_size=options.batch_size,
    )


def draw_cases(
    kinds: Sequence[Kind], split: str | None, episodes: int, input: str, goal: str, seed: int
) -> list[Case]:
    """`episodes` different boards of each kind. Raises ValueError, also if there are too few."""
    pick_name("input", input, INPUTS)
    if episodes < 1:
        raise ValueError(f"episodes must be at least 1, got {episodes}")
    return [
        Case(layout, input, goal)
        for kind in kinds
        for layout in draw_distinct(LayoutSpec(kind.task, kind.level, split), episodes, seed)
    ]


def settings_of(agent: Agent, kinds: Sequence[Kind], **others: Any) -> dict[str, Any]:
    """All that a run's replies depend on: two runs of equal settings are the same run.

    An agent may have a method `settings()` for what it depends on itself, such as its weights.
    """
    own: Mapping[str, Any] = getattr(agent, "settings", dict)()
    named = {"agent": agent.name, "kinds": [str(kind) for kind in kinds]}
    return {**named, **others, "view": asdict(agent.view), **own}


def collect(
    agent: Agent,
    cases: Sequence[Case],
    rules: str,
    settings: Mapping[str, Any],
    out: Path | None = None,
    progress: bool = False,
) -> list[Record]:
    """One record per case, in order; what a run in `out` already holds is not played again."""
    held = {_key_of(record): record for record in (open_folder(out, settings) if out else [])}
    left = [case for case in cases if _key(case) not in held]
    batch_size = getattr(agent, "batch_size", 64)  # so that the bar moves with each model call
    with _bar(agent.name, len(cases), len(held), progress) as tick, _replies(out) as keep:
        for case, episode in zip(left, play(agent, left, rules, batch_size), strict=True):
            held[_key(case)] = record = episode.record()
            keep(record)
            tick()
    return [held[_key(case)] for case in cases]


def _key(case: Case) -> tuple[str, int, str]:
    return case.layout.task, case.layout.level, case.layout.layout_id


def _key_of(record: Record) -> tuple[str, int, str]:
    return record["task"], record["level"], record["layout_id"]


@contextmanager
def _replies(out: Path | None) -> Iterator[Callable[[Record], object]]:
    if out is None:
        yield lambda record: None
        return
    with (out / "replies.jsonl").open("a", buffering=1) as file:  # flushed line by line
        yield lambda record: file.write(json.dumps(record, ensure_ascii=False) + "\n")


@contextmanager
def _bar(name: str, total: int, done: int, shown: bool) -> Iterator[Callable[[], object]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not shown) as bar:
        task = bar.add_task(name, total=total, completed=done)
        yield lambda: bar.advance(task)
