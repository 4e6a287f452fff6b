"""Diagnostics of a run: metrics per token that show drift, and warnings about bad steps."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import torch
from torch import Tensor

from training.loop.checkpoints import TrainingStopped
from training.opcd.divergences import entropy, of_tokens, reverse_kl


@torch.no_grad()
def divergence_metrics(student: Tensor, teacher: Tensor | None) -> dict[str, Tensor]:
    """Metrics of every token from log-probabilities [token, vocab]; `teacher` may be None."""
    metrics = {"entropy": entropy(student)}
    if teacher is not None:
        same = student.argmax(-1) == teacher.argmax(-1)
        metrics |= {
            "reverse_kl": reverse_kl(student, teacher),
            "teacher_agreement": same.float(),
        }
    return metrics


@torch.no_grad()
def rollout_mismatch(
    student: Tensor, ids: Tensor, sampler_logprobs: Tensor, suppressed_ids: Sequence[int]
) -> Tensor:
    """|Δ log p| of every sampled token between the trainer and the sampler.

    The sampler gives `suppressed_ids` no probability; the trainer does. More than rounding means
    old weights, another prompt or another arithmetic.
    """
    suppressed = student[:, list(suppressed_ids)].logsumexp(-1)
    return (of_tokens(student, ids) - torch.log1p(-suppressed.exp()) - sampler_logprobs).abs()


def means(metrics: dict[str, Tensor]) -> dict[str, float]:
    """Mean of each metric over its tokens, in one transfer from the device; none without tokens."""
    metrics = {name: each for name, each in metrics.items() if each.numel()}
    if not metrics:
        return {}
    values = torch.stack([each.mean() for each in metrics.values()])
    return dict(zip(metrics, values.tolist(), strict=True))


class StreakMonitor:
    """Warns about trouble in whole steps, and stops the run after too many of them in a row."""

    def __init__(self, trouble: str, prints: bool, stop_after: int = 0, setting: str = ""):
        """`stop_after` steps in a row stop the run, 0 never; `setting` is its flag.

        Of several processes one `prints`; all stop.
        """
        self.trouble, self.prints = trouble, prints
        self.stop_after, self.setting = stop_after, setting
        self.steps = 0

    def update(self, step: int, troubled: bool) -> None:
        """Count a step; raises TrainingStopped if it is one too many.

        Lasting trouble is printed after 1, 2, 4, 8 … steps, not after each.
        """
        self.steps = self.steps + 1 if troubled else 0
        if not troubled:
            return
        often = f" ({self.steps} steps in a row)" if self.steps > 1 else ""
        warning = f"step {step}: {self.trouble}{often}"
        if self.stop_after and self.steps >= self.stop_after:
            raise TrainingStopped(f"{warning}; {self.setting} {self.stop_after} stops the run here")
        if self.prints and self.steps & (self.steps - 1) == 0:
            print(warning, file=sys.stderr)
