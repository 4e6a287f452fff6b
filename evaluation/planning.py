"""Planning: an agent acts on boards, its plans are scored. `python -m evaluation.planning`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import tyro

from agents.agent import Agent
from agents.multi_turn import TurnPolicy
from evaluation.collect import collect, settings_of
from evaluation.options import (
    CaseSet,
    EvalConfig,
    boards_asked,
    draw_cases,
    given_cases,
    make_agent,
)
from evaluation.report.page import print_results, store
from evaluation.results import planning_results
from vsp_envs.core.simulator import rule_set
from vsp_envs.core.task_level import TaskLevel, select_task_levels
from vsp_envs.utils.cli import main


@dataclass(frozen=True, kw_only=True)
class PlanningConfig(EvalConfig):
    """Have an agent plan on held-out boards; success and optimal rates with 95 % intervals."""

    rules: str = "env"
    """What an illegal action costs and what success needs: `env`, `mgsd-train`, `mgsd-eval` or
    `visualplanning`."""
    turn_policy: tyro.conf.OmitArgPrefixes[TurnPolicy] = field(default_factory=TurnPolicy)


def evaluate(
    agent: Agent,
    kinds: Sequence[TaskLevel] = (),
    split: str | None = "test",
    episodes: int = 200,
    input: str = "image",
    rules: str = "env",
    seed: int = 0,
    out: Path | None = None,
    progress: bool = False,
    turn_policy: TurnPolicy | None = None,
    given: CaseSet | None = None,
    ask_errors: bool = False,
) -> dict[str, Any]:
    """The content of `results.json`: `episodes` different boards of each kind, or those `given`.

    With `out` the run is kept in that folder, and goes on there if it was stopped. Raises
    ValueError for what cannot be played, or if `out` holds a run of other settings.
    """
    rule_set(rules)
    turn_policy = (turn_policy or TurnPolicy()).check()
    if given is None:
        cases = draw_cases(kinds, split, episodes, input, "plan", seed)
    else:
        cases = given.cases
    asked = boards_asked(given, split, episodes) | {"input": input, "rules": rules, "seed": seed}
    asked["acting"] = asdict(turn_policy)
    settings = settings_of(agent, cases, goal="plan", **asked)
    records = collect(agent, cases, rules, settings, out, progress, turn_policy, ask_errors)
    results = planning_results(records)
    if out:
        store(out, results, records)
    return results


def run(options: PlanningConfig) -> None:
    """The command."""
    rule_set(options.rules)
    options.turn_policy.check()  # before a model is loaded
    kinds, agent = select_task_levels(options.tasks, options.levels), make_agent(options)
    results = evaluate(
        agent,
        kinds,
        options.split,
        options.episodes,
        options.input,
        options.rules,
        options.seed,
        options.out,
        progress=not options.quiet,
        turn_policy=options.turn_policy,
        given=given_cases(options, agent, "plan"),
        ask_errors=options.ask_errors,
    )
    print_results(results, options.out)


if __name__ == "__main__":
    main(run, PlanningConfig)
