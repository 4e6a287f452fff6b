"""OPCD's loss per token: the divergence from the teacher, and the advantage of the reward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from training.loop.chunked_loss import TokenLoss, TokenMetrics
from training.opcd.diagnostics import divergence_metrics, rollout_mismatch
from training.opcd.divergences import ClipRatio, Pair, clipped, log_probs, of_tokens


class Tokens(NamedTuple):
    """The sampled tokens of a micro-batch and what belongs to them, [token] each."""

    ids: Tensor
    advantages: Tensor | None = None
    """The advantage of the answer that the token is in."""
    old_logprobs: Tensor | None = None
    """The trainer's log-probabilities at the time of sampling; None: the present ones."""
    sampler_logprobs: Tensor | None = None
    """The sampler's log-probabilities, if it returns them."""

    def at(self, rows: slice) -> Tokens:
        """Some of the tokens."""
        known = self._asdict().items()
        return Tokens(**{name: each[rows] for name, each in known if each is not None})


class TeacherOutputs(NamedTuple):
    """The factors of the teacher's logits: `hidden @ weight.T`."""

    hidden: Tensor  # [token, hidden]
    weight: Tensor  # [vocab, hidden]


@dataclass(frozen=True)
class Objective:
    """`distill_weight` × divergence + `reward_weight` × policy gradient, per token."""

    divergence: Callable[[Pair], Tensor]
    distill_weight: float
    reward_weight: float
    clip: ClipRatio
    temperature: float
    suppressed_ids: Sequence[int]
    """Tokens that are never sampled."""

    def token_loss(
        self, tokens: Tokens, outputs: TeacherOutputs | None, total: Tensor
    ) -> TokenLoss:
        """The loss as a function of the student's logits; `total` is the tokens of the step."""

        def loss_of(logits: Tensor, rows: slice) -> tuple[Tensor, TokenMetrics]:
            here = tokens.at(rows)
            student, teacher = self._log_probs(logits), None
            if outputs is not None:
                teacher = self._log_probs(outputs.hidden[rows] @ outputs.weight.T)
            loss = self._losses(here, student, teacher).sum() / total
            return loss, self._metrics(here, student.detach(), teacher)

        return loss_of

    def log_probs_of(self, tokens: Tokens) -> TokenLoss:
        """No loss, and the metric `log_p`: the tokens' log-probabilities."""
        return lambda logits, rows: (
            logits.new_zeros(()),
            {"log_p": of_tokens(self._log_probs(logits), tokens.ids[rows])},
        )

    def _log_probs(self, logits: Tensor) -> Tensor:
        # Dividing by 1 would copy all of them.
        return log_probs(logits if self.temperature == 1 else logits / self.temperature)

    def _losses(self, tokens: Tokens, student: Tensor, teacher: Tensor | None) -> Tensor:
        terms = []
        if teacher is not None:
            pair = Pair(student, teacher, tokens.ids, tokens.old_logprobs)
            terms.append(self.distill_weight * self.divergence(pair))
        if tokens.advantages is not None:
            log_p = of_tokens(student, tokens.ids)
            term = clipped(log_p, tokens.old_logprobs, tokens.advantages, self.clip)
            terms.append(self.reward_weight * term)
        return torch.stack(terms).sum(0)

    @torch.no_grad()
    def _metrics(self, tokens: Tokens, student: Tensor, teacher: Tensor | None) -> TokenMetrics:
        metrics = divergence_metrics(student, teacher)
        if tokens.sampler_logprobs is not None:
            metrics["rollout_mismatch"] = rollout_mismatch(
                student, tokens.ids, tokens.sampler_logprobs, self.suppressed_ids
            )
        if tokens.old_logprobs is not None:
            ratio = (of_tokens(student, tokens.ids) - tokens.old_logprobs).exp()
            low, high = self.clip
            metrics["ratio_out_of_clip"] = ((ratio < 1 - low) | (ratio > 1 + high)).float()
        return metrics
