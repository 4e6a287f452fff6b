"""Planning: an agent plans on boards and is scored. `python -m evaluation.planning`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import tyro

from agents.agent import Agent
from agents.multi_turn import TurnPolicy
from agents.own import as_agent
from agents.rollout import asked_of, check_asked
from evaluation.collect import collect, settings_of
from evaluation.options import (
    GROUPS,
    CaseSet,
    RuleName,
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
from evaluation.protocols import ProtocolName, check_protocol, protocol_defaults
from evaluation.report.page import print_results, store
from evaluation.rescored import reader_rates
from evaluation.results import planning_results
from evaluation.run_folder import reader_of
from vsp_envs.core.simulator import rule_set
from vsp_envs.core.task_level import TaskLevel
from vsp_envs.prompts.question import Ask
from vsp_envs.scoring.answer_readers import ReaderName
from vsp_envs.utils.choices import pick_name
from vsp_envs.utils.cli import main_with_defaults


@dataclass(frozen=True, kw_only=True)
class PlanningConfig(SeveralConfig):
    """Let an agent plan on held-out boards; success and optimal rates with 95 % intervals."""

    protocol: ProtocolName | Literal[""] = ""
    """Measure as a paper does; `mgsd`, `vsp` or `visualplanning` set all that their numbers depend
    on beside the model, and need the public sets in `--benchmark`. What contradicts is refused."""
    rules: RuleName = "env"
    """Rule set: what an illegal action does and what success needs."""
    reader: ReaderName | None = None
    """How answers are read: `tolerant` (whatever has one meaning), `strict` (the format that the
    prompt asks for) or `mgsd` (as the reference reads). The default is `tolerant`, or what the run
    in `--out` has."""
    ask: Ask | Literal[""] = ""
    """What the prompt asks for: `plan` (the state, a route and the answer), `search` (a search on
    paper before the route) or `answer` (the answer alone). Empty: what the checkpoint was trained
    on, by `--target` or `--ask`; for other agents `plan`."""
    turn_policy: tyro.conf.OmitArgPrefixes[TurnPolicy] = field(default_factory=TurnPolicy)


def evaluate(
    agent: Agent,
    task_levels: Sequence[TaskLevel] = (),
    split: str | None = "test",
    episodes: int = 200,
    input: str = "image",
    rules: str = "env",
    seed: int = 0,
    out: Path | str | None = None,
    progress: bool = False,
    turn_policy: TurnPolicy | None = None,
    given: CaseSet | None = None,
    ask_errors: bool = False,
    reader: str | None = None,
    samples: int = 1,
    ask: str = "",
    tasks: Sequence[str] = (),
    protocol: str = "",
) -> dict[str, Any]:
    """The content of `results.json`, for `episodes` different boards of each task level or `given`.

    `tasks` names the task levels, such as `["frozenlake:3"]`, if `task_levels` does not. `agent` is
    any object with the method `reply` of `agents.agent.Agent`.

    Without a `reader`, a new run is read by `tolerant`. With `out` the run is kept in that folder
    and resumes there if it was stopped. Raises ValueError for invalid settings, or if `out` holds a
    run of other settings.
    """
    rule_set(rules)
    agent, out = as_agent(agent), Path(out) if out else None
    turn_policy = (turn_policy or TurnPolicy()).check()
    if given is None:
        task_levels = task_levels or named_levels(tasks)
        cases = sample_cases(
            task_levels, split, episodes, input, ask or asked_of(agent.view, turn_policy), seed
        )
    else:
        cases = given.cases
    cases = several_cases(cases, samples)
    asked = boards_settings(given, split, episodes) | {"input": input, "rules": rules, "seed": seed}
    asked["acting"] = turn_policy.settings()
    asked["reader"] = reader = reader_of(out, reader)
    asked["samples"] = samples
    if (goal := cases[0].goal) != "plan":
        asked["ask"] = goal
    if protocol:
        asked["protocol"] = protocol
    settings = settings_of(agent, cases, goal="plan", **asked)
    records = collect(agent, cases, rules, settings, out, progress, turn_policy, ask_errors, reader)
    results = planning_results(records)
    results |= {"reader": reader, "readers": reader_rates(records, rules)}
    if out:
        if processes().is_first:
            store(out, results, records)
        processes().meet()
    return results


def run(config: PlanningConfig) -> None:
    """The command."""
    check_protocol(config)
    check_samples(config)
    rule_set(config.rules)
    if config.ask:
        pick_name("question", config.ask, get_args(Ask))
    check_asked(config.ask or "plan", config.turn_policy.check())  # before a model is loaded
    reader_of(config.out, config.reader)
    task_levels, agent = task_levels_of(config), make_agent(config, own_scale=bool(config.protocol))
    ask = config.ask or asked_of(agent.view, config.turn_policy)
    results = evaluate(
        agent,
        task_levels,
        config.split,
        config.episodes,
        config.input,
        config.rules,
        config.seed,
        config.out,
        progress=not config.quiet,
        turn_policy=config.turn_policy,
        given=given_cases(config, agent, ask),
        ask_errors=config.ask_errors,
        samples=config.samples,
        reader=config.reader,
        ask=ask,
        protocol=config.protocol,
    )
    if processes().is_first:
        print_results(results, config.out)
    end_by_failures([results], config.max_failed)


def protocol_config(name: str) -> PlanningConfig:
    """The settings of a protocol, "" being none's; `out` is still to be given."""
    return PlanningConfig(out=tyro.MISSING, **protocol_defaults(name))


def command(args: Sequence[str] | None = None) -> None:
    """The command line. `--help` beside `--protocol` shows what it sets."""
    main_with_defaults(run, PlanningConfig, "--protocol", protocol_config, args, GROUPS)


if __name__ == "__main__":
    command()
