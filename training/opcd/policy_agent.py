"""The policy in training as an agent, so that validation asks it as the rollouts do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from agents.agent import Prompt, Reply, Request, View
from agents.sampling import Sampling
from agents.vlm.encoding import ModelInputs, why_ended
from training.opcd.sampler import SampledCompletions

Sample = Callable[[Sequence[Prompt], ModelInputs, Sampling], SampledCompletions]


class PolicyAgent:
    """Greedy answers of the sampler that a run has, with the run's limit of tokens."""

    name = "policy"

    def __init__(
        self, sample: Sample, encode: Callable[[Sequence[Prompt]], ModelInputs], tokenizer: Any,
        view: View, end_ids: Sequence[int], max_new_tokens: int,
    ) -> None:  # fmt: skip
        """`sample` and `encode` are the trainer's; `end_ids` end an answer."""
        self._sample, self._encode, self._tokenizer = sample, encode, tokenizer
        self.view, self._end_ids = view, set(end_ids)
        self._sampling = Sampling(0.0, max_new_tokens)

    def reply(self, requests: Sequence[Request]) -> list[Reply]:
        """One reply per request, all in one call of the sampler."""
        prompts = [request.prompt for request in requests]
        inputs = self._encode(prompts)
        ids = self._sample(prompts, inputs, self._sampling).ids
        texts = self._tokenizer.batch_decode(ids, skip_special_tokens=True)
        return [
            Reply(text, len(each), ids=tuple(each), finish_reason=why_ended(each, self._end_ids))
            for text, each in zip(texts, ids, strict=True)
        ]
