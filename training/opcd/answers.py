"""What a step asks the student, and its answers with what they are worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from agents.agent import Prompt
from agents.sampling import Sampling
from agents.vlm.encoding import ModelInputs
from training.data.layout_stream import Board


class Asked(NamedTuple):
    """The prompts of a process in a step, one for each answer."""

    boards: list[Board]
    prompts: list[Prompt]
    inputs: ModelInputs
    """The prompts encoded."""
    sampling: Sampling
    seeds: list[int] | None
    """One for each answer; None: `sampling.seed` for all."""


class Answers(NamedTuple):
    """The sampled answers to the prompts of a step."""

    asked: Asked
    ids: list[list[int]]
    logprobs: Sequence[Sequence[float]] | None
    """The sampler's, of each id."""
    is_stale: bool
    """Whether weights sampled them that are a step older than those that learn from them."""
    advantages: Tensor | None
    """[answer]; None if the reward has no weight."""
    with_plan: np.ndarray
    """Whether the teacher is given a plan: bool[answer]."""
    taught: list[Tensor] | None = None
    """The input of the teacher's output layer at each answer's tokens: [token, hidden]."""

    def lengths(self) -> list[int]:
        """Tokens of each answer."""
        return [len(each) for each in self.ids]
