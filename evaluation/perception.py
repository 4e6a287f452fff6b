"""Perception: an agent answers questions about each board. `python -m evaluation.perception`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.agent import Agent
from agents.own import as_agent
from evaluation.collect import collect, settings_of
from evaluation.options import (
    GROUPS,
    CaseSet,
    SeveralConfig,
    boards_settings,
    check_samples,
    end_by_failures,
    given_cases,
    make_agent,
    named_levels,
    sample_cases,
    several_cases,
    task_levels_of,
)
from evaluation.processes import processes
from evaluation.report.page import print_results, store
from evaluation.results import perception_results
from vsp_envs.core.task_level import TaskLevel
from vsp_envs.utils.cli import main


@dataclass(frozen=True, kw_only=True)
class PerceptionConfig(SeveralConfig):
    """Ask an agent what it sees; exact match per question and for all, with 95 % intervals."""


def evaluate(
    agent: Agent,
    task_levels: Sequence[TaskLevel] = (),
    split: str | None = "test",
    episodes: int = 200,
    input: str = "image",
    seed: int = 0,
    out: Path | str | None = None,
    progress: bool = False,
    given: CaseSet | None = None,
    ask_errors: bool = False,
    samples: int = 1,
    tasks: Sequence[str] = (),
) -> dict[str, Any]:
    """The content of `results.json`; the arguments are those of `evaluation.planning.evaluate`."""
    agent, out = as_agent(agent), Path(out) if out else None
    check_describes(agent)
    if given is None:
        task_levels = task_levels or named_levels(tasks)
        cases = sample_cases(task_levels, split, episodes, input, "perceive", seed)
    else:
        cases = given.cases
    cases = several_cases(cases, samples)
    asked = boards_settings(given, split, episodes) | {"input": input, "seed": seed}
    asked["samples"] = samples
    settings = settings_of(agent, cases, goal="perceive", **asked)
    records = collect(agent, cases, "env", settings, out, progress, ask_errors=ask_errors)
    results = perception_results(records)
    if out:
        if processes().is_first:
            store(out, results, records)
        processes().meet()
    return results


def check_describes(agent: Agent) -> None:
    """Raise ValueError for an agent that describes nothing: its score would always be 0."""
    if getattr(agent, "plans_only", False):
        raise ValueError(
            f"the {agent.name} agent plans and describes nothing, so there is no perception to "
            "measure; choose a model or the oracle"
        )


def run(config: PerceptionConfig) -> None:
    """The command."""
    check_samples(config)
    task_levels, agent = task_levels_of(config), make_agent(config)
    results = evaluate(
        agent,
        task_levels,
        config.split,
        config.episodes,
        config.input,
        config.seed,
        config.out,
        progress=not config.quiet,
        given=given_cases(config, agent, "perceive"),
        ask_errors=config.ask_errors,
        samples=config.samples,
    )
    if processes().is_first:
        print_results(results, config.out)
    end_by_failures([results], config.max_failed)


if __name__ == "__main__":
    main(run, PerceptionConfig, groups=GROUPS)
