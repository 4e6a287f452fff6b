"""Losses as pure functions of logits [batch, token, vocab], ids and mask [batch, token].

Row t of the logits is the distribution that token t of the completion was drawn from, for student
and teacher alike. Every loss is a sum over the tokens in `mask` divided by `total`, the number of
tokens in the whole optimizer step, so that micro-batches and ranks add up to one mean.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F


def log_probs(logits: Tensor) -> Tensor:
    """Log-probabilities in fp32, whatever the logits came in."""
    return logits.float().log_softmax(-1)


def chosen_log_probs(logits: Tensor, ids: Tensor) -> Tensor:
    """Log-probability of each token of `ids`, [batch, token]."""
    return log_probs(logits).gather(-1, ids.unsqueeze(-1)).squeeze(-1)


def cross_entropy(logits: Tensor, ids: Tensor, mask: Tensor, total: Tensor | float) -> Tensor:
    """Negative log-likelihood of the reference completion."""
    return F.cross_entropy(logits[mask].float(), ids[mask], reduction="sum") / total


def reverse_kl(
    student: Tensor, teacher: Tensor, ids: Tensor, mask: Tensor, total: Tensor | float
) -> Tensor:
    """KL(student ‖ teacher) over the full vocabulary, in nats a token.

    Its gradient is the expectation of `sampled_reverse_kl`'s over the sampled token, without the
    variance of sampling. `ids` is not read.
    """
    log_student, log_teacher = log_probs(student[mask]), log_probs(teacher[mask])
    return (log_student.exp() * (log_student - log_teacher)).sum() / total


def sampled_reverse_kl(
    student: Tensor, teacher: Tensor, ids: Tensor, mask: Tensor, total: Tensor | float
) -> Tensor:
    """The paper's estimator: sg(log p_S − log p_T) · log p_S at the sampled tokens.

    MGSD writes it as PPO with the advantage log p_T − log p_S; with one optimizer step per rollout
    the ratio is 1 and clipping is inert, so this is the same gradient. The value of the loss means
    nothing; watch the KL. Back-propagating log p_S − log p_T itself has expected gradient 0.
    """
    log_student = chosen_log_probs(student[mask], ids[mask])
    log_teacher = chosen_log_probs(teacher[mask], ids[mask])
    return ((log_student - log_teacher).detach() * log_student).sum() / total


def policy_gradient(
    logits: Tensor, advantages: Tensor, ids: Tensor, mask: Tensor, total: Tensor | float
) -> Tensor:
    """−advantage · log p of every token of an answer; `advantages` [batch].

    With one optimizer step per rollout the ratio of PPO and GRPO is 1 and clipping is inert. The
    value means nothing; watch the reward.
    """
    weights = advantages.unsqueeze(1).expand(ids.shape)[mask]
    return -(weights * chosen_log_probs(logits[mask], ids[mask])).sum() / total


Distillation = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor | float], Tensor]

DISTILLATION: dict[str, Distillation] = {
    "reverse_kl": reverse_kl,
    "sampled": sampled_reverse_kl,
}
"""Losses of OPCD by name."""


def mean_over(values: Tensor, mask: Tensor) -> float:
    """Mean of the values in `mask`, 0 if there are none."""
    return (values[mask].sum() / mask.sum().clamp(min=1)).item()


def entropy(logits: Tensor) -> Tensor:
    """Entropy of each distribution in nats, [batch, token]."""
    log = log_probs(logits)
    return -(log.exp() * log).sum(-1)
