"""OPCD's loss at some of a batch's tokens: divergence from the teacher, advantage of the reward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from agents.vlm.encoding import Completed
from training.loop.chunked_loss import TokenLoss, TokenMetrics
from training.opcd.diagnostics import divergence_figures, rollout_mismatch
from training.opcd.divergences import ClipRatio, Pair, clipped, log_probs, of_tokens
from training.opcd.teachers import Teacher


class Tokens(NamedTuple):
    """What is known of the sampled tokens of a micro-batch, [token] each."""

    ids: Tensor
    advantages: Tensor | None = None
    """Of the answer that the token is in."""
    old: Tensor | None = None
    """The trainer's log-probabilities when they were sampled; None: those of now."""
    drawn: Tensor | None = None
    """The sampler's log-probabilities, if it said them."""

    def at(self, rows: slice) -> Tokens:
        """Some of the tokens."""
        known = self._asdict().items()
        return Tokens(**{name: each[rows] for name, each in known if each is not None})


class TeacherOutputs(NamedTuple):
    """What the teacher's logits at those tokens are made of."""

    hidden: Tensor  # [token, hidden]
    weight: Tensor  # [vocab, hidden]


def teacher_outputs(teacher: Teacher, completed: Completed) -> TeacherOutputs:
    """Have a teacher read the completions."""
    return TeacherOutputs(teacher.hidden(completed), teacher.weight)


@dataclass(frozen=True)
class Objective:
    """`distill_weight` × divergence + `reward_weight` × policy gradient, per token."""

    divergence: Callable[[Pair], Tensor]
    distill_weight: float
    reward_weight: float
    clip: ClipRatio
    temperature: float
    never: Sequence[int]
    """Tokens that are never drawn."""

    def score(self, tokens: Tokens, judgement: TeacherOutputs | None, total: Tensor) -> TokenLoss:
        """The loss as a function of the student's logits; `total` is the tokens of the step."""

        def scored(logits: Tensor, rows: slice) -> tuple[Tensor, TokenMetrics]:
            here = tokens.at(rows)
            student, teacher = self._log_probs(logits), None
            if judgement is not None:
                teacher = self._log_probs(judgement.hidden[rows] @ judgement.weight.T)
            loss = self._losses(here, student, teacher).sum() / total
            return loss, self._figures(here, student.detach(), teacher)

        return scored

    def log_probs_of(self, tokens: Tokens) -> TokenLoss:
        """No loss, and the figure `log_p`: the tokens' log-probabilities."""
        return lambda logits, rows: (
            logits.new_zeros(()),
            {"log_p": of_tokens(self._log_probs(logits), tokens.ids[rows])},
        )

    def _log_probs(self, logits: Tensor) -> Tensor:
        # Dividing by one would be a copy of all of them.
        return log_probs(logits if self.temperature == 1 else logits / self.temperature)

    def _losses(self, tokens: Tokens, student: Tensor, teacher: Tensor | None) -> Tensor:
        terms = []
        if teacher is not None:
            pair = Pair(student, teacher, tokens.ids, tokens.old)
            terms.append(self.distill_weight * self.divergence(pair))
        if tokens.advantages is not None:
            log_p = of_tokens(student, tokens.ids)
            term = clipped(log_p, tokens.old, tokens.advantages, self.clip)
            terms.append(self.reward_weight * term)
        return torch.stack(terms).sum(0)

    @torch.no_grad()
    def _figures(self, tokens: Tokens, student: Tensor, teacher: Tensor | None) -> TokenMetrics:
        figures = divergence_figures(student, teacher)
        if tokens.drawn is not None:
            figures["rollout_mismatch"] = rollout_mismatch(
                student, tokens.ids, tokens.drawn, self.never
            )
        if tokens.old is not None:
            ratio = (of_tokens(student, tokens.ids) - tokens.old).exp()
            low, high = self.clip
            figures["ratio_out_of_clip"] = ((ratio < 1 - low) | (ratio > 1 + high)).float()
        return figures
