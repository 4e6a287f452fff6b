"""A person's recorded episodes as a run, for a report beside models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evaluation.results import planning_results
from evaluation.run_folder import Run, versions
from vsp_envs.scoring.episode import first_attempts, read_episodes


def read_recording(path: Path) -> Run:
    """A file of `python -m vsp_envs.play --record`, scored as a planning run.

    The first attempt at each board counts; an attempt with a hint is a failure. Raises ValueError
    for a missing file or one without episodes.
    """
    episodes = read_episodes(path)
    if not episodes:
        raise ValueError(
            f"{path} holds no episode of a person; `vsp_envs.play --record` writes them"
        )
    firsts = first_attempts(episodes)
    records: list[Mapping[str, Any]] = [episode.record() for episode in firsts]
    players = sorted({each.agent for each in episodes if each.agent})
    settings = {
        "agent": ", ".join(players) or "unknown",
        "goal": "plan",
        "recording": str(path),
        "episodes": len(firsts),
        "attempts": len(episodes),
        "seconds": round(sum(each.seconds for each in firsts)),
    }
    name = " ".join(dict.fromkeys([*players, path.stem]))
    return Run(
        name, {"settings": settings, "versions": versions()}, planning_results(records), records
    )
