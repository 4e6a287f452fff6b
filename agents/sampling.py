"""How a model's tokens are sampled: the same few settings for every backend."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sampling:
    """How tokens are sampled."""

    temperature: float = 0.0
    """0 takes the most likely token; training samples at 1."""
    max_new_tokens: int = 256
    """Longest completion, its end token included."""
    seed: int = 0
    """Seed of the sampling."""
