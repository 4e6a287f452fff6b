"""What the student answered in a step, and what its answers are worth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from torch import Tensor

from agents.agent import Reply, Request
from agents.vlm.encoding import ModelInputs
from vsp_envs.scoring.episode import Episode


class Rollout(NamedTuple):
    """The episodes of a process in a step. Its rows are their turns: the first turns of all, then
    the second turns of those that have one, and so on."""

    requests: list[Request]
    inputs: ModelInputs
    """The prompts of the requests, encoded."""
    replies: list[Reply]
    episodes: list[Episode]

    @property
    def games(self) -> list[int]:
        """The episode of each row."""
        return [request.game for request in self.requests]

    def lengths(self) -> list[int]:
        """Tokens of each reply."""
        return [len(reply.ids) for reply in self.replies]


class Answers(NamedTuple):
    """A rollout with what its replies are worth."""

    rollout: Rollout
    is_stale: bool
    """Whether weights sampled it that are a step older than those that learn from it."""
    advantages: Tensor | None
    """[row]; None if the reward has no weight."""
    with_plan: np.ndarray
    """Whether the teacher is given a plan: bool[row]."""
    taught: list[Tensor] | None = None
    """The input of the teacher's output layer at each reply's tokens: [token, hidden]."""
