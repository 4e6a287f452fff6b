"""Planning: an agent acts on boards, its plans are scored. `python -m evaluation.planning`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import tyro

from agents.acting import Acting
from agents.agent import Agent
from evaluation.collect import collect, settings_of
from evaluation.facts import state_exact
from evaluation.metrics import INTERVAL, Record, tabulate
from evaluation.options import Given, Options, boards_asked, draw_cases, given_boards, make_agent
from evaluation.replies import count_replies, reply_rates, usage_of
from evaluation.report import print_results, store
from vsp_envs.cli import main
from vsp_envs.select import Kind, select_kinds
from vsp_envs.simulate import rule_set


@dataclass(frozen=True, kw_only=True)
class PlanningOptions(Options):
    """Have an agent plan on held-out boards; success and optimal rates with 95 % intervals."""

    rules: str = "env"
    """What an illegal action costs and what success needs: `env`, `mgsd-train`, `mgsd-eval` or
    `visualplanning`."""
    acting: tyro.conf.OmitArgPrefixes[Acting] = field(default_factory=Acting)


def evaluate(
    agent: Agent,
    kinds: Sequence[Kind] = (),
    split: str | None = "test",
    episodes: int = 200,
    input: str = "image",
    rules: str = "env",
    seed: int = 0,
    out: Path | None = None,
    progress: bool = False,
    acting: Acting | None = None,
    given: Given | None = None,
    ask_errors: bool = False,
) -> dict[str, Any]:
    """The content of `results.json`: `episodes` different boards of each kind, or those `given`.

    With `out` the run is kept in that folder, and goes on there if it was stopped. Raises
    ValueError for what cannot be played, or if `out` holds a run of other settings.
    """
    rule_set(rules)
    acting = (acting or Acting()).check()
    if given is None:
        cases = draw_cases(kinds, split, episodes, input, "plan", seed)
    else:
        cases = given.cases
    asked = boards_asked(given, split, episodes) | {"input": input, "rules": rules, "seed": seed}
    asked["acting"] = asdict(acting)
    settings = settings_of(agent, cases, goal="plan", **asked)
    records = collect(agent, cases, rules, settings, out, progress, acting, ask_errors)
    results = results_of(records)
    if out:
        store(out, results, records)
    return results


def results_of(records: Sequence[Record]) -> dict[str, Any]:
    """Success and optimal rates; `state_exact` too if any reply says what the board is."""
    states = [state_exact(record) for record in records]
    stated = any(state is not None for state in states)
    marks = [
        {"success": record["success"], "optimal": record["optimal"]}
        | ({"state_exact": bool(state)} if stated else {})
        for record, state in zip(records, states, strict=True)
    ]
    results = tabulate(records, marks)
    for task, found in results["tasks"].items():
        found["replies"] = count_replies([each for each in records if each["task"] == task])
    return {
        "goal": "plan",
        "interval": INTERVAL,
        **results,
        "replies": reply_rates(records),
        "usage": usage_of(records),
    }


def run(options: PlanningOptions) -> None:
    """The command."""
    rule_set(options.rules)
    options.acting.check()  # before a model is loaded
    kinds, agent = select_kinds(options.tasks, options.levels), make_agent(options)
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
        acting=options.acting,
        given=given_boards(options, agent, "plan"),
        ask_errors=options.ask_errors,
    )
    print_results(results, options.out)


if __name__ == "__main__":
    main(run, PlanningOptions)
