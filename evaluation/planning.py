"""Planning: an agent answers each board with a whole plan. `python -m evaluation.planning`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.agent import Agent
from evaluation.cli import main
from evaluation.collect import Options, collect, draw_cases, make_agent, settings_of
from evaluation.facts import state_exact
from evaluation.metrics import INTERVAL, Record, tabulate
from evaluation.report import print_results, store
from vsp_envs.select import Kind, select_kinds
from vsp_envs.simulate import rule_set


@dataclass(frozen=True, kw_only=True)
class PlanningOptions(Options):
    """Have an agent plan on held-out boards; success and optimal rates with 95 % intervals."""

    rules: str = "env"
    """What an illegal action costs and what success needs: `env`, `mgsd-train`, `mgsd-eval` or
    `visualplanning`."""


def evaluate(
    agent: Agent,
    kinds: Sequence[Kind],
    split: str | None = "test",
    episodes: int = 200,
    input: str = "image",
    rules: str = "env",
    seed: int = 0,
    out: Path | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """The content of `results.json`: `episodes` different boards of each kind, one reply each.

    With `out` the run is kept in that folder, and goes on there if it was stopped. Raises
    ValueError for what cannot be played, or if `out` holds a run of other settings.
    """
    rule_set(rules)
    cases = draw_cases(kinds, split, episodes, input, "plan", seed)
    asked = {"split": split, "episodes": episodes, "input": input, "rules": rules, "seed": seed}
    settings = settings_of(agent, kinds, goal="plan", **asked)
    records = collect(agent, cases, rules, settings, out, progress)
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
    return {"goal": "plan", "interval": INTERVAL, **results}


def count_replies(records: Sequence[Record]) -> dict[str, int]:
    """Replies by parse status, with illegal actions, and how many never came."""
    counts = Counter(record["status"] for record in records if not record["error"])
    illegal = sum(record["illegal"] > 0 for record in records)
    return {**counts, "illegal": illegal, "error": sum(bool(each["error"]) for each in records)}


def run(options: PlanningOptions) -> None:
    """The command."""
    kinds = select_kinds(options.tasks, options.levels)
    rule_set(options.rules)
    results = evaluate(
        make_agent(options), kinds, options.split, options.episodes, options.input,
        options.rules, options.seed, options.out, progress=True,
    )  # fmt: skip
    print_results(results, options.out)


if __name__ == "__main__":
    main(run, PlanningOptions)
