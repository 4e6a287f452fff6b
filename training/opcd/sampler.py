"""The protocol of what samples the student's answers, and transformers' generation as one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

from agents.agent import Prompt
from agents.backends.hf import sample
from agents.sampling import Sampling
from agents.vlm.encoding import ModelInputs, select_rows
from training.loop.checkpoints import TrainingStopped
from training.model.sharding import at_own_pace


class RolloutError(TrainingStopped):
    """No answers can be sampled, so the run stops; its checkpoints stay intact."""


class SampledCompletions(NamedTuple):
    """Completions that were sampled."""

    ids: list[list[int]]
    """Of each completion, up to its end token."""
    logprobs: list[list[float]] | None
    """Of each id in the sampler, at its temperature, with vision tokens suppressed. None if the
    trainer's own model samples."""


class Sampler(Protocol):
    """Samples completions from the policy of the last `update`."""

    def update(self, model: Any) -> None:
        """Sample from these weights from now on. Every process calls it before each step's rollout.

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

        `seeds`, one per prompt, replace `sampling.seed`.
        """
        ...

    def ready(self) -> AbstractContextManager[None]:
        """Hold what sampling needs. In it each process may call `sample` as often as it likes."""
        ...

    def close(self) -> None:
        """Leave what was open for sampling."""
        ...


class HFSampler:
    """transformers' generation, with the model that is trained."""

    def __init__(self, model: Any, pad_id: int, batch_size: int = 64) -> None:
        """`pad_id` is the tokenizer's. At most `batch_size` answers are sampled at once."""
        self.model, self.pad_id, self.batch_size = model, pad_id, batch_size

    def update(self, model: Any) -> None:
        """Nothing has to be sent."""
        self.model = model

    def ready(self) -> AbstractContextManager[None]:
        """Let each process generate at its own pace, if weights are sharded."""
        return at_own_pace(self.model)

    def close(self) -> None:
        """Nothing is open."""

    def sample(
        self,
        prompts: Sequence[Prompt],
        inputs: ModelInputs,
        sampling: Sampling,
        seeds: Sequence[int] | None = None,
    ) -> SampledCompletions:
        """One completion per row of `inputs`; `prompts` are not read."""
        self.model.eval()
        rows, ids = range(len(inputs["input_ids"])), []
        for first in rows[:: self.batch_size]:
            some = rows[first : first + self.batch_size]
            chunk = replace(sampling, seed=sampling.seed + first)
            own = None if seeds is None else [seeds[row] for row in some]
            ids += sample(self.model, select_rows(inputs, some), chunk, self.pad_id, own)
        return SampledCompletions(ids, None)
