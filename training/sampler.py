"""Who draws the student's answers: transformers itself, or a vLLM that follows the training.

A vLLM gets the policy's weights before the rollout of every step, so that answers are drawn from
the very model that is then updated; the log-probabilities it drew with come back and are compared
with the trainer's.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import distributed

from agents.agent import Prompt
from agents.encoding import Batch, resized
from agents.hf import Sampling, sample
from agents.loading import CheckpointError, Loaded
from training.checkpoints import TrainingStopped
from training.policy import policy_weights, save_adapter
from training.sharding import whole
from vsp_envs.task import pick_name


@dataclass(frozen=True)
class RolloutConfig:
    """Who draws the answers, and where; see docs/rollouts.md."""

    rollout: str = "hf"
    """`hf`: transformers' own generation; `vllm`: vLLM in this process, on the same GPU; `server`:
    vLLM servers on other GPUs."""
    rollout_adapter: bool = False
    """Send vLLM the LoRA adapter instead of whole weights: less to send, for LoRA on the language
    model alone."""
    rollout_memory: float = 0.3
    """`vllm`: the share of the GPU's memory that the engine may take, its weights included."""
    rollout_tokens: int = 4096
    """`vllm`: the longest prompt and answer together."""
    rollout_urls: tuple[str, ...] = ("http://127.0.0.1:8000",)
    """`server`: one or several servers of the student's checkpoint. They obey whoever reaches them:
    they listen on 127.0.0.1 alone, and other machines are reached through a tunnel."""
    rollout_folder: Path | None = None
    """`server`: where weights are left for the servers, which see it under the same path. None:
    `weights` in the run folder."""


ROLLOUTS = ("hf", "vllm", "server")


class RolloutError(TrainingStopped):
    """No answers can be drawn, so the run stops; its checkpoints are as they were."""


class Drawn(NamedTuple):
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
        inputs: Batch,
        sampling: Sampling,
        seeds: Sequence[int] | None = None,
    ) -> Drawn:
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
        inputs: Batch,
        sampling: Sampling,
        seeds: Sequence[int] | None = None,
    ) -> Drawn:
        """One completion per row of `inputs`; `prompts` are not read."""
        self.model.eval()
        with whole(self.model):
            return Drawn(sample(self.model, inputs, sampling, self.pad_id, seeds), None)


class VLLMSampler:
    """A vLLM engine, of this process or behind servers, that is given each step's weights."""

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
        _guarded(lambda: self._send_adapter(model) if self.adapter else self._send_weights(model))
        if self.shared and distributed.is_initialized():
            distributed.barrier()  # nobody asks before the servers have them

    def sample(
        self,
        prompts: Sequence[Prompt],
        inputs: Batch,
        sampling: Sampling,
        seeds: Sequence[int] | None = None,
    ) -> Drawn:
        """One completion per prompt, each with a seed of its own."""
        if seeds is None:
            seeds = np.random.SeedSequence(sampling.seed).generate_state(len(prompts)).tolist()
        self.engine.sampling = sampling
        prompts = [resized(self.processor, prompt) for prompt in prompts]
        replies = _guarded(lambda: self.engine.answer(prompts, seeds))
        expected = inputs["attention_mask"].sum(1).tolist()
        found = [reply.prompt_tokens for reply in replies]
        if found != expected:
            raise RolloutError(
                f"vLLM reads prompts of {found} tokens where the trainer's processor makes "
                f"{expected}; both need the same checkpoint, chat template and bounds of image size"
            )
        return Drawn([[*each.ids] for each in replies], [[*each.logprobs] for each in replies])

    @property
    def _sends(self) -> bool:
        return not self.shared or not distributed.is_initialized() or distributed.get_rank() == 0

    def _send_weights(self, model: Any) -> None:
        weights = policy_weights(model)
        if self._sends:
            self.engine.renew(weights)
        else:  # sharded weights are put together by all
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


def _guarded(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except (CheckpointError, TrainingStopped):
        raise
    except Exception as error:  # whatever an engine dies of
        said = str(error).strip().splitlines() or ["no word"]
        raise RolloutError(
            f"vLLM failed: {type(error).__name__}: {said[0]}. The run stops here; its checkpoints "
            "are whole, and the same command goes on from the last one"
        ) from error


def make_sampler(config: RolloutConfig, checkpoint: str, student: Loaded, out: Path) -> Sampler:
    """The sampler that the settings name, for the student of this checkpoint.

    In several processes it is made after they know each other. Raises RolloutError if vLLM cannot
    be started, and CheckpointError if it is not installed.
    """
    if pick_name("rollout", config.rollout, ROLLOUTS) == "hf":
        return HFSampler(student.model, student.processor.tokenizer.pad_token_id)
    folder = config.rollout_folder or out / "weights"
    if config.rollout == "vllm":
        engine = _guarded(lambda: _start_engine(config, checkpoint, student))
        return VLLMSampler(engine, student.processor, folder, config.rollout_adapter)
    from agents.vllm_server import VLLMServer

    servers = VLLMServer(
        config.rollout_urls, folder, student.model.config, student.processor, _dtype()
    )
    return VLLMSampler(servers, student.processor, folder, config.rollout_adapter, shared=True)


def _dtype() -> torch.dtype:
    """What a vLLM computes in, to be as near to the trainer as can be."""
    return torch.bfloat16 if torch.cuda.is_available() else torch.float32


def _start_engine(config: RolloutConfig, checkpoint: str, student: Loaded) -> Any:
    from agents.vllm import VLLMAgent

    gpu = torch.cuda.is_available()
    options: dict[str, Any] = {"enforce_eager": not gpu}
    if config.rollout_adapter:
        rank = max(each.r for each in student.model.peft_config.values())
        room = next(each for each in (8, 16, 32, 64, 128, 256, 320, 512) if each >= rank)
        options |= {"enable_lora": True, "max_lora_rank": room}
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:  # an engine per process, each on its own GPU
        options["distributed_executor_backend"] = "external_launcher"
    return VLLMAgent.load(
        checkpoint,
        dtype=str(_dtype()).removeprefix("torch."),
        gpu_memory_utilization=config.rollout_memory,
        max_model_len=config.rollout_tokens,
        **options,
    )
