"""What draws the student's answers, and transformers' own generation as one that does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from agents.agent import Prompt
from agents.backends.hf import sample
from agents.sampling import Sampling
from agents.vlm.encoding import ModelInputs
from training.loop.checkpoints import TrainingStopped
from training.model.sharding import unsharded


class RolloutError(TrainingStopped):
    """No answers can be drawn, so the run stops; its checkpoints are as they were."""


class SampledCompletions(NamedTuple):
    """Completions that were sampled."""

    ids: list[list[int]]
    """Of each, up to its end token."""
    logprobs: list[list[float]] | None
    """Of each id as the sampler drew it: at its temperature, vision tokens excluded. None if the
    trainer's own forward drew them."""


class Sampler(Protocol):
    """Draws completions from the policy as it was at the last `update`."""

    def update(self, model: Any) -> None:
        """Draw from these weights from now on. Every process calls it before each step's rollout.

        Raises RolloutError.
        """
        ...

    def sample(
        self,
        prompts: Sequence[Prompt],
        inputs: ModelInputs,
        sampling: Sampling,
        seeds: Sequence[int] | None = None,
    ) -> SampledCompletions:
        """One completion per prompt; `inputs` are the prompts encoded. Raises RolloutError.

        `seeds`, one a prompt, take the place of `sampling.seed`.
        """
        ...


class HFSampler:
    """transformers' generation, by the very model that is trained."""

    def __init__(self, model: Any, pad_id: int) -> None:
        """`pad_id` is the tokenizer's."""
        self.model, self.pad_id = model, pad_id

    def update(self, model: Any) -> None:
        """Nothing is to be sent."""
        self.model = model

    def sample(
        self,
        prompts: Sequence[Prompt],
        inputs: ModelInputs,
        sampling: Sampling,
        seeds: Sequence[int] | None = None,
    ) -> SampledCompletions:
        """One completion per row of `inputs`; `prompts` are not read."""
        self.model.eval()
        with unsharded(self.model):
            return SampledCompletions(
                sample(self.model, inputs, sampling, self.pad_id, seeds), None
            )
