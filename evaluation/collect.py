"""Play boards with an agent and keep every reply, for planning and perception runs alike."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from agents.agent import Agent
from agents.multi_turn import TurnPolicy
from agents.recorded_human import Human
from agents.rollout import Case, check_case, play_unordered, roles_of
from evaluation.live_table import live_table
from evaluation.processes import Processes, collect_shares, processes
from evaluation.rates import Key, Record, key_of
from evaluation.run_folder import claimed, open_folder
from vsp_envs.prompts.texts import STYLES, check_texts, texts_hash
from vsp_envs.rendering.renderer import check_image_size
from vsp_envs.scoring.episode import read_records
from vsp_envs.utils.files import append_json_line, write_text
from vsp_envs.utils.words import counted

Held = dict[tuple[Key, int], Record]
"""Board and sample → its record."""


class NotAnsweredError(ValueError):
    """An endpoint answered nothing at all; the message says what it said instead."""


def settings_of(agent: Agent, cases: Sequence[Case], **others: Any) -> dict[str, Any]:
    """All that a run's replies depend on. Two runs with equal settings are the same run.

    The optional method `settings()` of an agent adds what the agent itself depends on, such as its
    weights.
    """
    own: Mapping[str, Any] = getattr(agent, "settings", dict)()
    task_levels = dict.fromkeys(f"{case.layout.task}:{case.layout.level}" for case in cases)
    view = asdict(agent.view)
    view.pop("ask")  # it is a setting of its own
    if agent.view.style not in STYLES:  # what the folder holds counts, not where it is
        view["style"], others["prompts"] = "prompts", texts_hash(agent.view.style)
    return {
        "agent": agent.name,
        "kinds": list(task_levels),
        **others,
        "view": view,
        **own,
    }


def collect(
    agent: Agent,
    cases: Sequence[Case],
    rules: str,
    settings: Mapping[str, Any],
    out: Path | None = None,
    progress: bool = False,
    turn_policy: TurnPolicy | None = None,
    ask_errors: bool = False,
    reader: str = "strict",
) -> list[Record]:
    """One record per case, in order. Cases that a run in `out` already holds are not played again.

    `ask_errors` asks once more for replies that never came. Raises ValueError for an invalid image
    size or prompt, or for a case that cannot be played in turns, before anything is written, and if
    another run uses `out`; NotAnsweredError if nothing was ever answered, with nothing recorded.
    """
    policy = turn_policy or TurnPolicy()
    if isinstance(agent, Human) and policy.asks_again:
        raise ValueError(
            f"--act {policy.act}, --malformed {policy.malformed} and --illegal {policy.illegal} "
            "may ask an agent again; a recorded person has one answer a board: take --act plan and "
            "no retries"
        )
    for case in cases:
        check_case(case, policy)
    for role in {role for case in cases for role in roles_of(case, turn_policy)}:
        check_texts(agent.view.style, {case.layout.task for case in cases}, [role])
    rendered = (case for case in cases if case.input == "image" and not case.picture)
    for level in {case.layout.level for case in rendered}:
        check_image_size(agent.view.pixels(level))
    team = processes() if out else Processes(0, 1)
    with claimed(out) if out and team.is_first else nullcontext():
        held = _held(out, settings, team)
        done = {key for key, record in held.items() if not (ask_errors and record["error"])}
        waiting = [case for case in cases if _key(case) not in done]
        left = team.share(waiting)
        total, progress = len(cases) - len(waiting) + len(left), progress and team.is_first
        goal = "perceive" if cases and cases[0].goal == "perceive" else "plan"
        batch_size = getattr(agent, "batch_size", 64)  # the bar moves with each model call
        table = live_table(agent.name, goal, total, list(held.values()), progress)
        with table as show, said_at_interrupt(held, total, out):
            failed: list[Record] = []  # kept back until something is answered
            answered = any(not record["error"] for record in held.values())
            # As many as are asked at once; agents of this process fail by themselves.
            most = getattr(agent, "concurrency", 0)
            played = play_unordered(agent, left, rules, batch_size, turn_policy, reader)
            for _, episode in played:
                record = episode.record()
                answered = answered or not record["error"] or len(record["turns"]) > 1
                failed.append(record)
                if most and not answered and len(failed) in (max(3, most), len(left)):
                    raise NotAnsweredError(
                        f"none of the first {counted(len(failed), 'request')} was answered, so "
                        f"nothing was recorded: {record['error']}"
                    )
                if answered or not most:
                    _keep(failed, held, team.replies_file(out) if out else None)
                    failed = []
                show(record)
        if out:
            held = _gather(out, held, ask_errors, team)
    return [held[_key(case)] for case in cases]


def _held(out: Path | None, settings: Mapping[str, Any], team: Processes) -> Held:
    """What the run holds. The first process opens its folder; then the others read it."""
    if not out:
        return {}
    if team.is_first:
        if out.is_dir():
            collect_shares(out)  # of a run of several processes that was stopped
        held = _by_key(open_folder(out, settings))
    team.meet()
    if not team.is_first:
        held = _by_key(open_folder(out, settings))
    team.meet()  # before anything is added
    return held


def _gather(out: Path, held: Held, ask_errors: bool, team: Processes) -> Held:
    """What all processes hold, of every answer the last."""
    team.meet()
    if team.is_first:
        if team.count > 1:
            collect_shares(out)
            held = _by_key(read_records(out / "replies.jsonl"))
        if ask_errors:  # without those that have come since
            lines = (json.dumps(each, ensure_ascii=False) + "\n" for each in held.values())
            write_text(out / "replies.jsonl", "".join(lines))
    team.meet()
    return held if team.is_first else _by_key(read_records(out / "replies.jsonl"))


def _by_key(records: Sequence[Record]) -> Held:
    return {_answer(record): record for record in records}


@contextmanager
def said_at_interrupt(held: Mapping[Any, Record], total: int, out: Path | None) -> Iterator[None]:
    """Let Ctrl-C say how many replies are kept, and that the run resumes."""
    try:
        yield
    except KeyboardInterrupt:
        kept = f"kept in {out}; run the same command again, it goes on there"
        came = f"stopped: {len(held)} of {counted(total, 'reply')}"
        raise KeyboardInterrupt(f"{came} {kept if out else 'came; none is kept'}") from None


def _key(case: Case) -> tuple[Key, int]:
    """The key of the case's record."""
    layout = case.layout
    return (layout.task, layout.level, layout.layout_id, case.name), case.sample


def _answer(record: Record) -> tuple[Key, int]:
    """Board and sample of a record; older ones have one sample and do not say so."""
    return key_of(record), record.get("sample", 0)


def _keep(records: Sequence[Record], held: Held, file: Path | None) -> None:
    for record in records:
        held[_answer(record)] = record
        if file:
            append_json_line(file, record)
