"""A vLLM that samples the student's answers with the weights of each step.

It gets the policy's weights before the rollout of every step, so answers come from the model that
is updated next. It returns its log-probabilities, and the trainer compares them with its own.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from torch import distributed

from agents.agent import Prompt
from agents.sampling import Sampling
from agents.vlm.checkpoint import CheckpointError
from agents.vlm.encoding import ModelInputs, resized
from training.loop.checkpoints import TrainingStopped
from training.opcd.sampler import RolloutError, SampledCompletions
from training.opcd.weight_sync import policy_weights, save_adapter


class VLLMSampler:
    """A vLLM engine, in this process or behind servers, that gets the weights of each step."""

    def __init__(
        self, engine: Any, processor: Any, folder: Path, adapter: bool = False, shared: bool = False
    ) -> None:
        """`engine` is a `VLLMAgent`, or a `VLLMServer` that all processes share: `shared`.

        `processor` is the trainer's. With `adapter` the engine is sent the model's LoRA adapter,
        through `folder`, instead of all weights.
        """
        self.engine, self.processor, self.folder = engine, processor, folder
        self.adapter, self.shared = adapter, shared
        self._sent: Path | None = None

    def update(self, model: Any) -> None:
        """Send the weights: each process to its own engine, or the first to the shared ones."""
        guarded(lambda: self._send_adapter(model) if self.adapter else self._send_weights(model))
        if self.shared and distributed.is_initialized():
            distributed.barrier()  # no process asks before the servers have the weights

    def sample(
        self,
        prompts: Sequence[Prompt],
        inputs: ModelInputs,
        sampling: Sampling,
        seeds: Sequence[int] | None = None,
    ) -> SampledCompletions:
        """One completion per prompt, each with its own seed."""
        if seeds is None:
            seeds = np.random.SeedSequence(sampling.seed).generate_state(len(prompts)).tolist()
        self.engine.sampling = sampling
        prompts = [resized(self.processor, prompt) for prompt in prompts]
        replies = guarded(lambda: self.engine.answer(prompts, seeds))
        expected = inputs["attention_mask"].sum(1).tolist()
        found = [reply.prompt_tokens for reply in replies]
        if found != expected:
            raise RolloutError(
                f"vLLM reads prompts of {found} tokens where the trainer's processor makes "
                f"{expected}; both need the same checkpoint, chat template and bounds of image size"
            )
        return SampledCompletions(
            [[*each.ids] for each in replies], [[*each.logprobs] for each in replies]
        )

    def ready(self) -> AbstractContextManager[None]:
        """Nothing has to be held."""
        return nullcontext()

    def close(self) -> None:
        """Close the connections to servers."""
        getattr(self.engine, "close", lambda: None)()

    @property
    def _sends(self) -> bool:
        return not self.shared or not distributed.is_initialized() or distributed.get_rank() == 0

    def _send_weights(self, model: Any) -> None:
        weights = policy_weights(model)
        if self._sends:
            self.engine.renew(weights)
        else:  # all processes gather sharded weights together
            deque(weights, maxlen=0)

    def _send_adapter(self, model: Any) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix="adapter-", dir=self.folder))
        new.chmod(0o755)  # a server may run as another user
        save_adapter(model, new, self._sends)
        if self._sends:
            self.engine.adapt(str(new))
        if self._sent:
            shutil.rmtree(self._sent)
        self._sent = new


def guarded(ask: Callable[[], Any]) -> Any:
    """The result of a call to vLLM. Raises RolloutError for any of its failures."""
    try:
        return ask()
    except (CheckpointError, TrainingStopped):
        raise
    except Exception as error:  # vLLM and its dependencies raise exceptions of every kind
        said = str(error).strip().splitlines() or ["no word"]
        raise RolloutError(
            f"vLLM failed: {type(error).__name__}: {said[0]}. The run stops here; its checkpoints "
            "are whole, and the same command goes on from the last one"
        ) from error
