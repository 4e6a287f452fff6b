"""The `hf` backend: a transformers model that answers in left-padded batches."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from inspect import signature
from typing import Any, Self

import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from agents.agent import Prompt, Reply, Request
from agents.sampling import Sampling
from agents.vlm.checkpoint import Loaded, end_token_ids, load_checkpoint, vision_token_ids
from agents.vlm.encoding import ModelInputs, encode_prompts, until_end, why_ended


class SeededSampling(LogitsProcessor):
    """Turns greedy decoding into sampling with a random stream per row.

    `generate` samples all rows from one stream, so that an answer depends on the rows beside it.
    The argmax of log p + Gumbel noise is a sample from p.
    """

    def __init__(self, seeds: Sequence[int], temperature: float, device: torch.device) -> None:
        """One seed per row."""
        self.streams = [torch.Generator(device).manual_seed(seed) for seed in seeds]
        self.temperature = temperature

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Noisy scores, [batch, vocab]."""
        noise = torch.empty_like(scores, dtype=torch.float32)
        for row, stream in zip(noise, self.streams, strict=True):
            row.exponential_(generator=stream)
        return scores.float() / self.temperature - noise.log()


@torch.no_grad()
def sample(
    model: Any,
    prompts: ModelInputs,
    sampling: Sampling,
    pad_id: int,
    seeds: Sequence[int] | None = None,
) -> list[list[int]]:
    """Completions as token ids, each up to its end token. Vision tokens are never sampled.

    `seeds`, one per prompt, replace `sampling.seed`: an answer then does not depend on the prompts
    beside it.
    """
    options: dict[str, Any] = {"do_sample": False}
    if sampling.temperature > 0 and seeds is None:
        options = {
            "do_sample": True, "temperature": sampling.temperature, "top_k": 0, "top_p": 1.0,
        }  # fmt: skip
    elif sampling.temperature > 0 and seeds is not None:
        noise = SeededSampling(seeds, sampling.temperature, model.device)
        options["logits_processor"] = LogitsProcessorList([noise])
    # Qwen's family needs mm_token_type_ids, see `encode_prompts`; other models reject it. A peft
    # wrapper's signature accepts anything, so the model inside is asked.
    bare = model.get_base_model() if hasattr(model, "get_base_model") else model
    if "mm_token_type_ids" not in signature(bare.forward).parameters:
        prompts = {name: each for name, each in prompts.items() if name != "mm_token_type_ids"}
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), without_stored_settings(bare):
        torch.manual_seed(sampling.seed)
        ids = model.generate(
            **prompts,
            max_new_tokens=sampling.max_new_tokens,
            suppress_tokens=vision_token_ids(model.config),
            pad_token_id=pad_id,
            **options,
        )
    width = prompts["input_ids"].shape[1]
    return [until_end(row, end_token_ids(model)) for row in ids[:, width:].tolist()]


@contextmanager
def without_stored_settings(model: Any) -> Iterator[None]:
    """Let `generate` do what it is asked and nothing else.

    It takes every setting that is not given from the checkpoint's `generation_config.json`, such as
    Qwen's `repetition_penalty`: the model would not be sampled from. Only the end tokens stay.
    """
    stored = model.generation_config
    model.generation_config = GenerationConfig(eos_token_id=stored.eos_token_id)
    try:
        yield
    finally:
        model.generation_config = stored


class HFAgent:
    """A local checkpoint. Requests are answered `batch_size` at a time."""

    def __init__(
        self,
        loaded: Loaded,
        sampling: Sampling | None = None,
        batch_size: int = 64,
        name: str = "hf",
    ) -> None:
        """Take over a loaded model; see `HFAgent.load` for a path."""
        self.model, self.processor, self.view = loaded
        self.sampling = sampling or Sampling()
        self.batch_size, self.name = batch_size, name

    @classmethod
    def load(
        cls,
        path: str,
        device: str = "cpu",
        dtype: str = "auto",
        adapter: str = "",
        **options: Any,
    ) -> Self:
        """The agent of a checkpoint, see `load_checkpoint`. Raises CheckpointError."""
        loaded = load_checkpoint(path, dtype, device, adapter)
        name = f"hf:{path}+{adapter}" if adapter else f"hf:{path}"
        return cls(loaded, name=name, **options)

    def settings(self) -> dict[str, Any]:
        """What its replies depend on beside the prompts: the sampling and the weights themselves.

        A path is not enough: another training run may have overwritten it.
        """
        return {"sampling": asdict(self.sampling), "weights": weights_id(self.model)}

    def reply(self, requests: Sequence[Request]) -> list[Reply]:
        """One reply per request, from its prompt and, at a temperature, its own seed."""
        replies: list[Reply] = []
        for first in range(0, len(requests), self.batch_size):
            batch = requests[first : first + self.batch_size]
            seeds = [request.seed(self.sampling.seed) for request in batch]
            replies += self.answer([request.prompt for request in batch], seeds=seeds)
        return replies

    def answer(
        self,
        prompts: Sequence[Prompt],
        prefills: Sequence[str] | None = None,
        seeds: Sequence[int] | None = None,
    ) -> list[Reply]:
        """One batch of replies. Each begins with its prefill, if there are any.

        Without `seeds`, one a prompt, the batch is sampled from the seed of all.
        """
        self.model.eval()
        inputs = encode_prompts(self.processor, prompts, prefills)
        inputs = {name: value.to(self.model.device) for name, value in inputs.items()}
        tokenizer = self.processor.tokenizer
        completions = sample(self.model, inputs, self.sampling, tokenizer.pad_token_id, seeds)
        texts = tokenizer.batch_decode(completions, skip_special_tokens=True)
        prefills, end = prefills or [""] * len(texts), end_token_ids(self.model)
        lengths = inputs["attention_mask"].sum(1).tolist()
        return [
            Reply(
                prefill + text,
                len(ids),
                prompt_tokens=length,
                ids=tuple(ids),
                finish_reason=why_ended(ids, end),
            )
            for prefill, text, ids, length in zip(
                prefills, texts, completions, lengths, strict=True
            )
        ]


@torch.no_grad()
def weights_id(model: torch.nn.Module) -> str:
    """A checksum of a model's parameters, the same on every device: 16 hexadecimal digits."""
    sums = {
        name: int(weight.detach().reshape(-1).view(torch.uint8).sum(dtype=torch.int64))
        for name, weight in model.named_parameters()
    }
    return hashlib.sha256(repr(sorted(sums.items())).encode()).hexdigest()[:16]
