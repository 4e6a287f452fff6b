"""Protocols: all that a number depends on beside the model, by name, so that equal is equal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from vsp_envs import get_task
from vsp_envs.utils.choices import pick_name

ProtocolName = Literal["mgsd", "vsp", "visualplanning"]


@dataclass(frozen=True)
class Protocol:
    """How the numbers of a paper are measured."""

    title: str
    sources: Mapping[str, str]
    """Task → the public set that its boards are from, at the paper's levels."""
    headline: str
    """The paper's number: `pooled` (over all boards of a task, then over tasks: the reference's
    `all_tasks_macro_avg`), `levels` (the mean over levels), or `tasks` (one number per task,
    pooled)."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Setting of `evaluation.planning` → its value."""


_SHARED = {"input": "image", "samples": 1}
PROTOCOLS: Mapping[str, Protocol] = {
    "mgsd": Protocol(
        "MGSD",
        {"frozenlake": "vsp", "maze": "visualplanning", "minibehaviour": "visualplanning"},
        "pooled",
        {
            **_SHARED,
            "rules": "mgsd-eval",
            "reader": "mgsd",
            "pictures": "available",
            "picture_size": 256,
            "image_size": 256,
            "theme": "classic",
            "temperature": 0.0,
            "max_new_tokens": 4096,
        },
    ),
    "vsp": Protocol(
        "VSP, FrozenLake",
        {"frozenlake": "vsp"},
        "levels",
        {**_SHARED, "rules": "mgsd-eval", "reader": "tolerant", "pictures": "original"},
    ),
    "visualplanning": Protocol(
        "VisualPlanning",
        dict.fromkeys(("frozenlake", "maze", "minibehaviour"), "visualplanning"),
        "tasks",
        {**_SHARED, "rules": "visualplanning", "reader": "tolerant"},
    ),
}


LEVELS = {("visualplanning", "frozenlake"): (3, 4, 5, 6)}
"""Protocol and task → its levels, where they are not those of MGSD's paper."""


def levels_of(name: str, task: str) -> tuple[int, ...]:
    """The levels of a task in a protocol."""
    return LEVELS.get((name, task), get_task(task).paper_levels)


def get_protocol(name: str) -> Protocol:
    """The protocol of that name. Raises ValueError that lists them."""
    return PROTOCOLS[pick_name("protocol", name, get_args(ProtocolName))]


def protocol_defaults(name: str) -> dict[str, Any]:
    """The settings of `evaluation.planning` that a protocol sets; "" sets none."""
    if not name:
        return {}
    settings = get_protocol(name).settings
    return {"protocol": name, "tasks": _selectors(name), **settings}


def _selectors(name: str) -> tuple[str, ...]:
    """What `--tasks` says; levels only where they are not the paper's."""
    selectors = []
    for task, source in PROTOCOLS[name].sources.items():
        levels = ",".join(map(str, LEVELS.get((name, task), ())))
        selectors.append(f"{task}:{levels}@{source}" if levels else f"{task}@{source}")
    return tuple(selectors)


def check_protocol(config: Any) -> None:
    """Raise ValueError, naming each, for settings that contradict the protocol of the settings."""
    if not config.protocol:
        return
    protocol = get_protocol(config.protocol)
    other = [
        f"--{name.replace('_', '-')} {value} (not {getattr(config, name) or 'the default'})"
        for name, value in protocol.settings.items()
        if getattr(config, name) != value
    ]
    if config.levels:
        other.append("the paper's levels (no --levels)")
    if config.agent == "human":
        other.append("the boards of its sets (a recording holds its own)")
    if not config.turn_policy.one_reply:
        other.append("--act plan, one reply")
    known = _selectors(config.protocol)
    if not set(config.tasks) <= set(known):
        other.append(f"--tasks {' '.join(known)}, or some of them")
    if other:
        raise ValueError(f"--protocol {config.protocol} means {'; '.join(other)}")
    if not config.benchmark:
        sets = " ".join(f"{source}:ROOT" for source in dict.fromkeys(protocol.sources.values()))
        raise ValueError(f"--protocol {config.protocol} plays public boards: --benchmark {sets}")


def measured_by(settings: Mapping[str, Any], results: Mapping[str, Any]) -> str:
    """The protocol that a run's numbers are of; "" for none, or if tasks or levels are left out."""
    name = settings.get("protocol", "")
    if name not in PROTOCOLS:
        return ""
    played = {task: list(found["levels"]) for task, found in results["tasks"].items()}
    asked = {task: [*map(str, levels_of(name, task))] for task in PROTOCOLS[name].sources}
    return name if played == asked else ""
