"""How a model's tokens are sampled: the same few settings for every backend."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sampling:
    """How tokens are sampled."""

    temperature: float = 0.0
    """0 takes the most likely token; training samples at 1."""
    max_new_tokens: int = 1024
    """Longest completion, its end token included. The default is four times as long as the longest
    of our own reference answers in Qwen's vocabulary."""
    seed: int = 0
    """Seed of the sampling."""
