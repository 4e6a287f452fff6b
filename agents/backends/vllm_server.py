"""vLLM's own servers, asked for tokens and given new weights, while training runs on other GPUs.

New weights travel as a file in a folder that both sides see, and are announced by the endpoints of
vLLM's development mode (`VLLM_SERVER_DEV_MODE=1`) or, for LoRA adapters, by its runtime loading
(`VLLM_ALLOW_RUNTIME_LORA_UPDATING=1`). Either one lets anybody who reaches the port replace the
model; the first also lets them call any method of the engine. Let such a server listen on 127.0.0.1
only, and reach it from other machines through a tunnel. `docs/rollouts.md` has the commands.
"""

from __future__ import annotations

import json
import os
import weakref
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import torch
from safetensors.torch import save_file

from agents.agent import Prompt, Reply
from agents.backends.chat import chat_messages
from agents.backends.connection import open_client, read_url
from agents.sampling import Sampling
from agents.vlm.checkpoint import vision_token_ids


class VLLMServerError(ValueError):
    """A server does not answer, or refuses; the message names it and quotes its answer."""


class VLLMServer:
    """One or several servers of one model. They share the prompts; all get the new weights."""

    def __init__(
        self, urls: Sequence[str], folder: Path, config: Any, processor: Any,
        dtype: torch.dtype = torch.bfloat16, timeout: float = 900.0,
    ) -> None:  # fmt: skip
        """`folder` is where new weights are left for the servers, under the same path there.

        `config` and `processor` are the model's. `dtype` is what new weights are written as, best
        that of the servers. `timeout` is the longest silence in seconds.
        """
        self.folder, self.config, self.processor = folder.absolute(), config, processor
        self.sampling, self.dtype = Sampling(), dtype
        self._urls = [read_url(url) for url in urls]
        self._client: httpx2.Client = open_client(httpx2.Client, timeout)
        weakref.finalize(self, self._client.close)
        self._adapter, self._described = "", False

    def answer(self, prompts: Sequence[Prompt], seeds: Sequence[int]) -> list[Reply]:
        """One reply per prompt, with its ids and log-probabilities. Raises VLLMServerError."""
        with ThreadPoolExecutor(min(256, len(prompts))) as pool:
            return list(pool.map(self._answer, range(len(prompts)), prompts, seeds))

    def renew(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        """Answer with these weights from now on: all of the model's, named as in a checkpoint."""
        if not self._described:  # the folder is the server's checkpoint from now on
            self.config.save_pretrained(self.folder)
            self.processor.save_pretrained(self.folder)
            self._described = True
        written = self.folder / "weights.new"
        # Copies: safetensors refuses tensors that share memory.
        held = {name: weight.to("cpu", self.dtype, copy=True) for name, weight in weights}
        save_file(held, written, {"format": "pt"})
        os.replace(written, self.folder / "model.safetensors")
        reload = {"method": "reload_weights", "kwargs": {"weights_path": str(self.folder)}}
        for url in self._urls:
            self._post(url, "/collective_rpc", reload)
            # Drop what the old weights computed.
            for cache in ("prefix", "encoder", "mm"):
                self._post(url, f"/reset_{cache}_cache", {})

    def adapt(self, adapter: str) -> None:
        """Answer with the LoRA adapter of this folder from now on.

        Each version needs a folder of its own; the folder's name is the adapter's name, under which
        a server caches. Keep the folder until the next call.
        """
        name, last = Path(adapter).name, self._adapter
        for url in self._urls:
            path = str(Path(adapter).absolute())
            self._post(url, "/v1/load_lora_adapter", {"lora_name": name, "lora_path": path})
            if last:
                self._post(url, "/v1/unload_lora_adapter", {"lora_name": last})
        self._adapter = name

    def close(self) -> None:
        """Close the connections that are kept alive."""
        self._client.close()

    def _answer(self, index: int, prompt: Prompt, seed: int) -> Reply:
        url = self._urls[index % len(self._urls)]
        answer = json.loads(self._post(url, "/v1/chat/completions", self._body(prompt, seed)))
        [choice] = answer["choices"]
        logprobs = tuple(each["logprob"] for each in choice["logprobs"]["content"])
        ids = tuple(choice["token_ids"])
        text, asked = choice["message"]["content"] or "", len(answer["prompt_token_ids"])
        return Reply(text, len(ids), prompt_tokens=asked, ids=ids, logprobs=logprobs)

    def _body(self, prompt: Prompt, seed: int) -> dict[str, Any]:
        # A server takes missing values from the checkpoint's generation_config.json. Qwen's has
        # top_k 20 and top_p 0.8: it would not sample from the policy.
        whole = {"top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}
        return whole | {
            "messages": chat_messages(prompt),
            "temperature": self.sampling.temperature,
            "max_tokens": self.sampling.max_new_tokens,
            "seed": seed,
            "logprobs": True,
            "return_token_ids": True,
            "logit_bias": {str(token): -100 for token in vision_token_ids(self.config)},
        } | ({"model": self._adapter} if self._adapter else {})  # fmt: skip

    def _post(self, url: str, path: str, body: dict[str, Any]) -> bytes:
        try:
            response = self._client.post(url + path, json=body)
        except httpx2.HTTPError as error:
            raise VLLMServerError(
                f"the vLLM server {url} does not answer ({type(error).__name__}: {error})"
            ) from error
        if response.status_code != 200:
            said = " ".join(response.text.split())[:300]
            variable = "ALLOW_RUNTIME_LORA_UPDATING" if "lora" in path else "SERVER_DEV_MODE"
            way_out = f"; start it with VLLM_{variable}=1" * (response.status_code == 404)
            answers = f"answers {path} with HTTP {response.status_code}: {said}"
            raise VLLMServerError(f"the vLLM server {url} {answers}{way_out}")
        return response.content
