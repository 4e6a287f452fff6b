"""The `vllm` backend: a checkpoint in vLLM's own engine, in this process."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import AutoConfig

from agents.agent import Prompt, Reply, Request, View
from agents.sampling import Sampling
from agents.vlm.checkpoint import (
    ADAPTER,
    DTYPES,
    CheckpointError,
    find_checkpoint,
    load_processor,
    view_of,
    vision_token_ids,
)
from agents.vlm.encoding import chat_text
from vsp_envs.utils.choices import pick_name


def check_whole(path: str) -> None:
    """Raise CheckpointError unless vLLM can load the path: a whole checkpoint, no bare adapter."""
    if Path(find_checkpoint(path), ADAPTER).is_file():
        raise CheckpointError(
            f"{path} holds a LoRA adapter, and vLLM loads whole checkpoints; write one by "
            f"`python -m training.merge --run {path} --out {path}-merged`, and name that as --model"
        )


PROMPT_TOKENS = 4096
"""Room for a prompt where nothing else is asked for. Ours take up to 360 tokens in Qwen's
vocabulary; a game of 16 turns with as many pictures takes some 2000."""


def model_length(path: str, asked: int) -> int:
    """`asked`, or what the checkpoint can at most. Its own bound may ask for 36 GiB of cache."""
    config = AutoConfig.from_pretrained(path, trust_remote_code=False).get_text_config()
    return min(asked, config.max_position_embeddings)


class VLLMAgent:
    """A checkpoint in an engine that batches by itself."""

    def __init__(
        self, engine: Any, processor: Any, view: View, sampling: Sampling | None = None,
        batch_size: int = 256, name: str = "vllm", adapter: str = "",
    ) -> None:  # fmt: skip
        """Take over an engine; see `VLLMAgent.load` for a path."""
        self.engine, self.processor, self.view = engine, processor, view
        self.sampling, self.batch_size, self.name = sampling or Sampling(), batch_size, name
        self._adapter, self._version = adapter, 1

    @classmethod
    def load(
        cls,
        path: str,
        sampling: Sampling | None = None,
        batch_size: int = 256,
        dtype: str = "auto",
        adapter: str = "",
        **engine_options: Any,
    ) -> VLLMAgent:
        """The agent of a checkpoint folder or hub name. Raises CheckpointError.

        `engine_options` go to `vllm.LLM`. By default prompt and answer have room for
        PROMPT_TOKENS and the answer that `sampling` allows.
        """
        pick_name("dtype", dtype, DTYPES)
        check_whole(path)
        # In this process its logs and errors are visible, and its weights can be replaced.
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        try:  # imported here: vLLM is optional, and takes many seconds to start
            from vllm import LLM, EngineArgs
        except ImportError as error:
            raise CheckpointError(
                f"the vllm agent needs vLLM ({error}); install '.[vllm]' on a GPU machine, or use "
                "--agent openai with a vLLM server"
            ) from error
        for option in engine_options:
            pick_name("option of vLLM", option, [each.name for each in fields(EngineArgs)])
        config = AutoConfig.from_pretrained(path, trust_remote_code=False)
        room = PROMPT_TOKENS + (sampling or Sampling()).max_new_tokens
        engine_options.setdefault("max_model_len", model_length(path, room))
        engine = LLM(
            path,
            dtype=dtype,
            enable_lora=engine_options.pop("enable_lora", bool(adapter)),
            load_format="safetensors",  # other weights may be pickles, which run code
            trust_remote_code=False,
            # The log-probabilities of the distribution that was sampled from, temperature included.
            logprobs_mode="processed_logprobs",
            limit_mm_per_prompt={"image": 16, "video": 0},
            **engine_options,
        )
        name = f"vllm:{path}+{adapter}" if adapter else f"vllm:{path}"
        processor, view = load_processor(path, config), view_of(config)
        return cls(engine, processor, view, sampling, batch_size, name, adapter)

    def settings(self) -> dict[str, Any]:
        """What its replies depend on beside the prompts and the checkpoint's name."""
        return {"sampling": asdict(self.sampling)}

    def reply(self, requests: Sequence[Request]) -> list[Reply]:
        """One reply per request, with its sampled ids and their log-probabilities."""
        seeds = [request.seed(self.sampling.seed) for request in requests]
        return self.answer([request.prompt for request in requests], seeds)

    def answer(self, prompts: Sequence[Prompt], seeds: Sequence[int] | None = None) -> list[Reply]:
        """One reply per prompt, in one call; `seeds` holds a sampling seed for each reply."""
        seeds = [self.sampling.seed] * len(prompts) if seeds is None else seeds
        try:
            outputs = self.engine.generate(
                [self._input(prompt) for prompt in prompts],
                [self._parameters(seed) for seed in seeds],
                use_tqdm=False,
                lora_request=self._lora(),
            )
        except ValueError as error:
            if "max_model_len" not in str(error) and "maximum model length" not in str(error):
                raise
            raise CheckpointError(
                f"a prompt does not fit: {error}; give more room with --engine "
                "'{\"max_model_len\": N}'"
            ) from error
        return [self._reply(output) for output in outputs]

    def renew(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        """Answer with these weights from now on: all of the model's, named as in a checkpoint."""
        # Not `apply_model` with the model's `load_weights`: on CPUs it fails half-way and leaves a
        # mixture of old and new weights.
        self.engine.collective_rpc("reload_weights", kwargs={"weights_iterator": weights})
        # Drop what the old weights computed: keys and values, and the vision output, which the
        # worker drops by itself but the scheduler would still expect to be there.
        self.engine.reset_prefix_cache()
        self.engine.llm_engine.reset_encoder_cache()
        self.engine.reset_mm_cache()

    def adapt(self, adapter: str) -> None:
        """Answer with the LoRA adapter of this folder from now on; `enable_lora` at loading.

        Keep the folder until the next call. Each version needs a folder of its own: caches are
        keyed by the adapter's name and path.
        """
        self._adapter, self._version = adapter, self._version + 1

    def _input(self, prompt: Prompt) -> dict[str, Any]:
        # Unexpanded ids: the engine itself replaces the one pad of an image by the image's tokens.
        text = chat_text(self.processor, prompt)
        ids = self.processor.tokenizer(text, add_special_tokens=False)["input_ids"]
        images = [Image.fromarray(image) for image in prompt.images]
        return {"prompt_token_ids": ids} | (
            {"multi_modal_data": {"image": images}} if images else {}
        )

    def _parameters(self, seed: int) -> Any:
        from vllm import SamplingParams  # optional, as in `load`

        config = self.engine.llm_engine.model_config.hf_config
        return SamplingParams(
            temperature=self.sampling.temperature,
            max_tokens=self.sampling.max_new_tokens,
            seed=seed,
            logprobs=0,  # of the sampled token alone
            logit_bias=dict.fromkeys(vision_token_ids(config), -100.0),
        )

    def _lora(self) -> Any:
        if not self._adapter:
            return None
        from vllm.lora.request import LoRARequest  # optional, as in `load`

        return LoRARequest(f"adapter-{self._version}", self._version, self._adapter)

    def _reply(self, output: Any) -> Reply:
        [best] = output.outputs
        ids = tuple(best.token_ids)
        logprobs = tuple(
            each[token].logprob for each, token in zip(best.logprobs, ids, strict=True)
        )
        text = self.processor.tokenizer.decode(ids, skip_special_tokens=True)
        return Reply(
            text,
            len(ids),
            prompt_tokens=len(output.prompt_token_ids),
            ids=ids,
            logprobs=logprobs,
            finish_reason=best.finish_reason or "",
        )
