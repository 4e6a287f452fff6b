"""Play a batch of boards: live environments in, episodes with replies and scores out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import gymnasium as gym
import numpy as np

from agents.agent import Agent, Prompt, Reply, Request, View
from agents.prompts import text_prompt, visual_prompt
from vsp_envs import Layout, get_task
from vsp_envs.episode import Episode, score_episode
from vsp_envs.task import pick_name

__all__ = ["INPUTS", "Case", "Episode", "episode", "live_env", "observe", "play", "prompt_of"]

INPUTS = ("image", "text")


@dataclass(frozen=True)
class Case:
    """A board to be played, and how it is shown."""

    layout: Layout
    input: str = "image"
    """`image` or `text`."""
    goal: str = "plan"
    """`plan` or `perceive`."""


@lru_cache(maxsize=64)
def live_env(task: str, level: int, view: View, split: str | None = None) -> gym.Env[Any, int]:
    """A live environment that shows boards as `view` wants them. Shared: reset it before use."""
    return gym.make(
        get_task(task).id,
        level=level,
        image_size=view.pixels(level),
        theme=view.theme,
        split=split,
        observation="image",
    )


def observe(layout: Layout, view: View) -> np.ndarray:
    """The board's first image, from a live environment."""
    env = live_env(layout.task, layout.level, view)
    image, _ = env.reset(options={"layout": layout})
    return image


def prompt_of(case: Case, view: View) -> Prompt:
    """The prompt of a case, in the wording and drawing of `view`."""
    if pick_name("input", case.input, INPUTS) == "text":
        return text_prompt(case.layout, case.goal, view.style)
    return visual_prompt(case.layout.task, observe(case.layout, view), case.goal, view)


def play(
    agent: Agent, cases: Sequence[Case], rules: str = "env", batch_size: int = 64
) -> Iterator[Episode]:
    """Ask the agent for a whole plan per board and score it; episodes come batch by batch."""
    for first in range(0, len(cases), batch_size):
        batch = cases[first : first + batch_size]
        requests = [Request(prompt_of(case, agent.view), case.layout) for case in batch]
        replies = agent.reply(requests)
        for case, request, reply in zip(batch, requests, replies, strict=True):
            yield episode(case, request.prompt, reply, agent.view, rules)


def episode(case: Case, prompt: Prompt, reply: Reply, view: View, rules: str) -> Episode:
    """Score a reply and keep all that is needed to look at it again."""
    return score_episode(
        case.layout,
        reply.text,
        rules,
        input=case.input,
        image={"theme": view.theme, "pixels": view.pixels(case.layout.level)},
        prompt=prompt.text,
        tokens=reply.tokens,
        error=reply.error,
    )
