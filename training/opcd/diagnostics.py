"""What tells a healthy run from one that drifts, measured where the loss is, and a loud warning."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import torch
from torch import Tensor

from training.loop.checkpoints import TrainingStopped
from training.opcd.divergences import entropy, of_tokens, reverse_kl


@torch.no_grad()
def divergence_figures(student: Tensor, teacher: Tensor | None) -> dict[str, Tensor]:
    """Figures of every token from log-probabilities [token, vocab]; without a teacher, its own."""
    figures = {"entropy": entropy(student)}
    if teacher is not None:
        same = student.argmax(-1) == teacher.argmax(-1)
        figures |= {
            "reverse_kl": reverse_kl(student, teacher),
            "teacher_agreement": same.float(),
        }
    return figures


@torch.no_grad()
def rollout_mismatch(student: Tensor, ids: Tensor, drawn: Tensor, never: Sequence[int]) -> Tensor:
    """|Δ log p| of every sampled token between the trainer and the sampler that drew it.

    `drawn` are the sampler's log-probabilities, in which tokens that are `never` drawn have no
    share. More than rounding means stale weights, another prompt or another arithmetic.
    """
    unseen = student[:, list(never)].logsumexp(-1)
    return (of_tokens(student, ids) - torch.log1p(-unseen.exp()) - drawn).abs()


def means(figures: dict[str, Tensor]) -> dict[str, float]:
    """Mean of each figure over its tokens, in one transfer from the device; none of no tokens."""
    figures = {name: each for name, each in figures.items() if each.numel()}
    if not figures:
        return {}
    values = torch.stack([each.mean() for each in figures.values()])
    return dict(zip(figures, values.tolist(), strict=True))


class StreakMonitor:
    """Says when something has gone wrong for whole steps, and stops the run if that was asked."""

    def __init__(self, trouble: str, tells: bool, stop_after: int = 0, setting: str = ""):
        """`stop_after` steps in a row stop the run, 0 never; `setting` says so to whoever set it.

        Of several processes one `tells`; all stop.
        """
        self.trouble, self.tells = trouble, tells
        self.stop_after, self.setting = stop_after, setting
        self.steps = 0

    def see(self, step: int, troubled: bool) -> None:
        """Take note of a step; raises TrainingStopped when it was one too many.

        A lasting trouble is told after 1, 2, 4, 8 … steps of it, not at each.
        """
        self.steps = self.steps + 1 if troubled else 0
        if not troubled:
            return
        often = f" ({self.steps} steps in a row)" if self.steps > 1 else ""
        told = f"step {step}: {self.trouble}{often}"
        if self.stop_after and self.steps >= self.stop_after:
            raise TrainingStopped(f"{told}; {self.setting} {self.stop_after} stops the run here")
        if self.tells and self.steps & (self.steps - 1) == 0:
            print(told, file=sys.stderr)
