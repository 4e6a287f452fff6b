"""What samples the student's answers: transformers itself, or a vLLM with the same weights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, get_args

import torch

from agents.backends.engine_options import engine_options
from agents.backends.vllm import VLLMAgent
from agents.backends.vllm_server import VLLMServer
from agents.vlm.checkpoint import Loaded
from training.opcd.config import Rollout, RolloutConfig
from training.opcd.sampler import HFSampler, Sampler
from training.opcd.vllm_sampler import VLLMSampler, guarded
from vsp_envs.utils.choices import pick_name


def make_sampler(config: RolloutConfig, checkpoint: str, student: Loaded, out: Path) -> Sampler:
    """The sampler that the settings name, for the student of this checkpoint.

    With several processes, call it after they are connected. Raises RolloutError if vLLM cannot
    be started, and CheckpointError if it is not installed.
    """
    if pick_name("rollout", config.rollout, get_args(Rollout)) == "hf":
        pad_id = student.processor.tokenizer.pad_token_id
        return HFSampler(student.model, pad_id, config.rollout_batch_size)
    folder = config.rollout_folder or out / "weights"
    if config.rollout == "vllm":
        engine = guarded(lambda: _start_engine(config, checkpoint, student))
        return VLLMSampler(engine, student.processor, folder, config.rollout_adapter)
    servers = VLLMServer(
        config.rollout_urls, folder, student.model.config, student.processor, _dtype()
    )
    return VLLMSampler(servers, student.processor, folder, config.rollout_adapter, shared=True)


def _dtype() -> torch.dtype:
    """The dtype in which vLLM computes, as close to the trainer as possible."""
    return torch.bfloat16 if torch.cuda.is_available() else torch.float32


def _start_engine(config: RolloutConfig, checkpoint: str, student: Loaded) -> Any:
    gpu = torch.cuda.is_available()
    options: dict[str, Any] = {"enforce_eager": not gpu}
    if config.rollout_adapter:
        rank = max(each.r for each in student.model.peft_config.values())
        room = next(each for each in (8, 16, 32, 64, 128, 256, 320, 512) if each >= rank)
        options |= {"enable_lora": True, "max_lora_rank": room}
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:  # an engine per process, each on its own GPU
        options["distributed_executor_backend"] = "external_launcher"
    options |= {
        "gpu_memory_utilization": config.rollout_memory, "max_model_len": config.rollout_tokens,
    }  # fmt: skip
    options |= engine_options(config.engine)
    return VLLMAgent.load(checkpoint, dtype=str(_dtype()).removeprefix("torch."), **options)
