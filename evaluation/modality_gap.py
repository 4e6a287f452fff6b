"""The same boards by image and by text: what seeing costs. `python -m evaluation.modality_gap`.

The gap is success by text − success by image on the same boards, with a paired interval. As in MGSD
(arXiv 2606.06076) it has four parts: how often the image was read right, success where it was read
right, success where it was misread, and success given the true state, which is the run by text. If
success after a right reading stays below success given the true state, the model sees enough but
does not plan from what it sees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import tyro

from agents.agent import Agent
from agents.multi_turn import TurnPolicy
from agents.rollout import Case, asked_of
from evaluation import perception, planning
from evaluation.options import (
    GROUPS,
    CaseSet,
    EvalConfig,
    RuleName,
    boards_settings,
    end_by_failures,
    given_cases,
    make_agent,
    sample_cases,
    task_levels_of,
)
from evaluation.paired import Gap, mean_gap, paired_gap
from evaluation.perceived import facts_of, state_exact
from evaluation.processes import processes
from evaluation.rates import INTERVAL, Rate, Record, key_of, mean_rate, wilson
from evaluation.report.page import print_end, write_report
from evaluation.report.tables import Row, Table, print_table
from evaluation.run_folder import read_run, reader_of
from vsp_envs.core.simulator import rule_set
from vsp_envs.scoring.answer_readers import ReaderName
from vsp_envs.utils.choices import pick_name
from vsp_envs.utils.cli import main
from vsp_envs.utils.files import write_json

StateSource = Literal["stated", "asked"]

COLUMNS = {
    "image": "by image",
    "text": "by text",
    "gap": "text − image",
    "read": "image read right",
    "given_read": "success, read right",
    "given_misread": "success, misread",
}


@dataclass(frozen=True, kw_only=True)
class GapConfig(EvalConfig):
    """Let an agent plan on the same boards by image and by text; `--input` is ignored."""

    rules: RuleName = "env"
    """Rule set: what an illegal action does and what success needs."""
    reader: ReaderName | None = None
    """How answers are read, as in `evaluation.planning`."""
    state: StateSource = "stated"
    """Where to read what the agent saw: `stated` at the beginning of its planning answer, or
    `asked` by the perception questions in a run of its own."""
    turn_policy: tyro.conf.OmitArgPrefixes[TurnPolicy] = field(default_factory=TurnPolicy)


def evaluate(agent: Agent, config: GapConfig) -> dict[str, Any]:
    """The content of `gap.json`. The runs are in `image`, `text` and, if asked, `perception`."""
    rule_set(config.rules)
    asked = pick_name("state", config.state, get_args(StateSource)) == "asked"
    if asked:
        perception.check_describes(agent)
    ask = asked_of(agent.view, config.turn_policy)
    boards = given_cases(config, agent, ask) or _sampled(config, ask)
    for input in ("image", "text"):
        planning.evaluate(
            agent, input=input, rules=config.rules, seed=config.seed, out=config.out / input,
            progress=not config.quiet, turn_policy=config.turn_policy,
            given=_shown(boards, input=input), ask_errors=config.ask_errors, reader=config.reader,
        )  # fmt: skip
    if asked:
        perception.evaluate(
            agent, seed=config.seed, out=config.out / "perception", progress=not config.quiet,
            given=_shown(boards, goal="perceive"), ask_errors=config.ask_errors,
        )  # fmt: skip
    image, text = (read_run(config.out / input).records for input in ("image", "text"))
    seen = read_run(config.out / "perception").records if asked else image
    return gap_results(image, text, seen)


def _sampled(config: GapConfig, ask: str) -> CaseSet:
    task_levels = task_levels_of(config)
    cases = sample_cases(task_levels, config.split, config.episodes, "image", ask, config.seed)
    asked = boards_settings(None, config.split, config.episodes)
    return CaseSet(", ".join(f"{name} {value}" for name, value in asked.items()), cases)


def _shown(boards: CaseSet, **how: Any) -> CaseSet:
    # The text run shows no image, so it drops those of the set.
    if how.get("input") == "text":
        how |= {"picture": "", "art": ""}
    cases: list[Case] = [replace(case, **how) for case in boards.cases]
    return CaseSet(boards.source, cases)


def gap_results(
    image: Sequence[Record], text: Sequence[Record], seen: Sequence[Record]
) -> dict[str, Any]:
    """Gap and parts by task and level, their means over levels, and the macro means over tasks.

    All three hold the same boards, in any order; the replies of `seen` say what the agent saw.
    """
    groups: dict[str, dict[int, list[tuple[Record, Record, bool]]]] = {}
    for one, other, look in zip(
        *(sorted(run, key=key_of) for run in (image, text, seen)), strict=True
    ):
        group = groups.setdefault(one["task"], {}).setdefault(one["level"], [])
        group.append((one, other, read_right(look)))
    found = {
        task: {level: parts(group) for level, group in sorted(levels.items())}
        for task, levels in groups.items()
    }
    means = {task: mean_parts(list(levels.values())) for task, levels in found.items()}
    tasks = {
        task: {
            **as_json(means[task]),
            "levels": {str(level): as_json(each) for level, each in levels.items()},
        }
        for task, levels in found.items()
    }
    macro = as_json(mean_parts(list(means.values())))
    interval = f"{INTERVAL}; Newcombe's paired for the gap"
    return {"goal": "gap", "interval": interval, "tasks": tasks, "macro": macro}


def read_right(record: Record) -> bool:
    """Whether a reply, to a planning or to a perception prompt, states the board as it is."""
    return bool(state_exact(record)) and not record["error"]


def parts(group: Sequence[tuple[Record, Record, bool]]) -> dict[str, Rate | Gap | None]:
    """The columns of one task and level; None where no board counts."""
    image = [bool(one["success"]) for one, _, _ in group]
    text = [bool(other["success"]) for _, other, _ in group]
    right = [read for _, _, read in group]
    given = [success for success, read in zip(image, right, strict=True) if read]
    misread = [success for success, read in zip(image, right, strict=True) if not read]
    said = any(fact.said for one, _, _ in group for fact in facts_of(one)) or any(right)
    return {
        "image": wilson(sum(image), len(image)),
        "text": wilson(sum(text), len(text)),
        "gap": paired_gap(text, image),
        "read": wilson(sum(right), len(right)) if said else None,
        "given_read": wilson(sum(given), len(given)) if given else None,
        "given_misread": wilson(sum(misread), len(misread)) if misread and said else None,
    }


def mean_parts(groups: Sequence[Mapping[str, Rate | Gap | None]]) -> dict[str, Rate | Gap | None]:
    """The mean of each column over the groups that have it."""
    means: dict[str, Rate | Gap | None] = {}
    for name in COLUMNS:
        held = [group[name] for group in groups if group[name] is not None]
        gaps = [each for each in held if isinstance(each, Gap)]
        rates = [each for each in held if isinstance(each, Rate)]
        means[name] = mean_gap(gaps) if gaps else mean_rate(rates) if rates else None
    return means


def as_json(found: Mapping[str, Rate | Gap | None]) -> dict[str, dict[str, Any] | None]:
    """The columns as JSON data."""
    return {name: None if each is None else each._asdict() for name, each in found.items()}


def table(results: Mapping[str, Any]) -> Table:
    """The gap and its parts, one row per task and level and their means."""
    rows = []
    for task, found in results["tasks"].items():
        rows += [Row(f"{task} {level}", _cells(each)) for level, each in found["levels"].items()]
        if len(found["levels"]) > 1:
            rows.append(Row(f"{task}, mean", _cells(found)))
    if len(results["tasks"]) > 1:
        rows.append(Row("macro mean", _cells(results["macro"])))
    return Table(list(COLUMNS.values()), rows, "task, level")


def _cells(found: Mapping[str, Any]) -> list[Any]:
    return [found[name] for name in COLUMNS]


LEAD = (
    "The same boards by image and by text. The gap is success by text minus success by image, with "
    "Newcombe's paired interval and the exact McNemar test. Success by text is success given the "
    "true state; beside it stands success where the image was read right."
)


def run(config: GapConfig) -> None:
    """The command."""
    config.turn_policy.check()  # before a model is loaded
    reader_of(config.out / "image", config.reader)
    agent = make_agent(config)
    results = evaluate(agent, config)
    if not processes().is_first:
        return
    write_json(config.out / "gap.json", results)
    shown = table(results)
    runs = [read_run(config.out / input) for input in ("image", "text")]
    title = f"Modality gap: {agent.name}"
    write_report(config.out / "report.html", title, runs, shown, lead=LEAD)
    print_table(shown, title)
    print_end(config.out)
    end_by_failures([run.results for run in runs], config.max_failed)


if __name__ == "__main__":
    main(run, GapConfig, groups=GROUPS)
