"""Agents of other people: `--agent my_module:MyAgent`, or the name of an entry point."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from agents.agent import Agent, Reply, Request, View
from vsp_envs.utils.words import counted

GROUP = "vsp_envs.agents"
"""The group of entry points that announce agents."""
HOWTO = "docs/howto/your-own-agent.md shows one"


def announced() -> dict[str, str]:
    """Name → `module:Class` of the agents that installed packages announce."""
    return {found.name: found.value for found in entry_points(group=GROUP)}


def load_agent(place: str) -> Agent:
    """The agent of `module:Class`, made without arguments. Raises ValueError if there is none."""
    module, _, name = place.partition(":")
    try:
        found: Any = getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"--agent {place}: there is no module {error.name!r}; it must be in this folder, "
            "installed, or on PYTHONPATH"
        ) from None
    except AttributeError:
        raise ValueError(f"--agent {place}: the module {module} has no {name!r}") from None
    return as_agent(found() if isinstance(found, type) else found)


def as_agent(found: Any) -> Agent:
    """An object with `reply` as an agent: a missing `name` is its class's, a missing `view` plain.

    Raises ValueError if it cannot answer.
    """
    if isinstance(found, type) or not callable(getattr(found, "reply", None)):
        raise ValueError(
            f"{found!r} is not an agent: an agent is an object with a method reply(requests); "
            f"{HOWTO}"
        )
    if not hasattr(found, "name"):
        found.name = type(found).__name__
    if not hasattr(found, "view"):
        found.view = View()
    if not isinstance(found.name, str) or not isinstance(found.view, View):
        raise ValueError(
            f"the agent {type(found).__name__} needs a text as name and a View as view, got "
            f"{found.name!r} and {found.view!r}; {HOWTO}"
        )
    return found


def replies_of(agent: Agent, requests: Sequence[Request]) -> list[Reply]:
    """What an agent answers; a text is a reply. Raises ValueError for anything else."""
    found: Any = agent.reply(requests)
    if not isinstance(found, list | tuple) or len(found) != len(requests):
        several = isinstance(found, list | tuple)
        got = counted(len(found), "item") if several else type(found).__name__
        raise ValueError(
            f"the agent {agent.name} must return a list with one reply for each of "
            f"{counted(len(requests), 'request')}, got {got}; {HOWTO}"
        )
    wrong = next((each for each in found if not isinstance(each, Reply | str)), None)
    if wrong is not None:
        raise ValueError(
            f"the agent {agent.name} must return a Reply or a text for each request, got a "
            f"{type(wrong).__name__}: {wrong!r:.80}; {HOWTO}"
        )
    return [Reply(each) if isinstance(each, str) else each for each in found]
