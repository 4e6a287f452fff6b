"""Losses as pure functions of log-probabilities, one value per token, in nats.

`student` and `teacher` are log-probabilities [token, vocab], in fp32: row t is the distribution
of token t of a completion. `log_p`, `log_q` and `old_logprobs` are those of the sampled tokens
alone, [token]: the student's, the teacher's, and the student's at the time of sampling.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from vsp_envs.utils.choices import pick_name

ClipRatio = tuple[float, float]


def log_probs(logits: Tensor) -> Tensor:
    """Log-probabilities in fp32, whatever the logits came in."""
    return logits.float().log_softmax(-1)


def of_tokens(log_probs: Tensor, ids: Tensor) -> Tensor:
    """Log-probability of each token of `ids`: [token, vocab], [token] → [token]."""
    return log_probs.gather(-1, ids.unsqueeze(-1)).squeeze(-1)


def entropy(student: Tensor) -> Tensor:
    """Entropy of each distribution."""
    return -(student.exp() * student).sum(-1)


def reverse_kl(student: Tensor, teacher: Tensor) -> Tensor:
    """KL(student ‖ teacher) over the full vocabulary.

    On the student's own tokens its gradient is the expectation of `sampled`'s, without the
    variance of sampling.
    """
    return F.kl_div(teacher, student, reduction="none", log_target=True).sum(-1)


def forward_kl(student: Tensor, teacher: Tensor) -> Tensor:
    """KL(teacher ‖ student): the student has to cover all that the teacher would say."""
    return reverse_kl(teacher, student)


def jsd(student: Tensor, teacher: Tensor, beta: float) -> Tensor:
    """β·KL(teacher ‖ M) + (1 − β)·KL(student ‖ M) with M = β·teacher + (1 − β)·student.

    The generalised Jensen-Shannon divergence of GKD (arXiv 2306.13649, equation 1). Divided by β
    it tends to the forward KL as β → 0, divided by 1 − β to the reverse KL as β → 1.
    """
    middle = torch.logaddexp(teacher + log(beta), student + log(1 - beta))
    return beta * reverse_kl(teacher, middle) + (1 - beta) * reverse_kl(student, middle)


def top_k_kl(student: Tensor, teacher: Tensor, k: int) -> Tensor:
    """Reverse KL over the student's `k` most probable tokens, and all others as one outcome.

    Without that outcome the student could lower the loss by moving its mass to the other tokens.
    The value is at most the full KL, and equal to it if `k` is the size of the vocabulary.
    """
    top = student.topk(min(k, student.shape[-1]), -1).indices
    seen = student.gather(-1, top), teacher.gather(-1, top)
    tails = [_rest(each) for each in seen]
    return reverse_kl(*(torch.cat(each, -1) for each in zip(seen, tails, strict=True)))


def _rest(seen: Tensor) -> Tensor:
    # 1 − Σp is only as exact as fp32, so a smaller rest is raised to eps.
    least = torch.finfo(seen.dtype).eps
    return (1 - seen.exp().sum(-1, keepdim=True)).clamp(min=least).log()


def clipped(
    log_p: Tensor, old_logprobs: Tensor | None, advantages: Tensor, clip: ClipRatio
) -> Tensor:
    """PPO's objective, to be minimised: −min(r·A, clamp(r, 1 − low, 1 + high)·A), r = p / p_old.

    `old_logprobs` None means that the present weights sampled the tokens: the ratio is 1, nothing
    is clipped and the gradient is −A·∇log p.
    """
    ratio = (log_p - (log_p.detach() if old_logprobs is None else old_logprobs)).exp()
    low, high = clip
    return -torch.minimum(ratio * advantages, ratio.clamp(1 - low, 1 + high) * advantages)


def sampled(log_p: Tensor, log_q: Tensor, old_logprobs: Tensor | None, clip: ClipRatio) -> Tensor:
    """The paper's estimator of the reverse KL: PPO with the advantage log p_T − log p_S.

    With one step per rollout its value is log p_S − log p_T and its gradient
    sg(log p_S − log p_T)·∇log p_S. Back-propagating log p_S − log p_T itself has expected
    gradient 0.
    """
    before = log_p.detach() if old_logprobs is None else old_logprobs
    return clipped(log_p, old_logprobs, log_q - before, clip)


def capped(divergence: Tensor, most: float | None) -> Tensor:
    """No token counts for more than `most`: larger values are scaled down, gradients with them.

    Tokens of style can diverge ten times as much as those that matter. Without any gradient they
    would never be learned.
    """
    if most is None:
        return divergence
    return divergence * (most / divergence.detach().clamp(min=most))


class Pair(NamedTuple):
    """Student and teacher at the same tokens."""

    student: Tensor
    teacher: Tensor
    ids: Tensor
    """The sampled tokens, int64[token]."""
    old_logprobs: Tensor | None = None


class LossSettings(NamedTuple):
    """The settings of all losses; each reads its own."""

    beta: float
    top_k: int
    cap: float | None
    clip: ClipRatio


Divergence = Callable[[Pair, LossSettings], Tensor]


def _sampled(pair: Pair, settings: LossSettings) -> Tensor:
    log_p, log_q = of_tokens(pair.student, pair.ids), of_tokens(pair.teacher, pair.ids)
    cap = settings.cap
    if cap is not None:
        before = log_p.detach() if pair.old_logprobs is None else pair.old_logprobs
        log_q = before + (log_q - before).clamp(-cap, cap)
    return sampled(log_p, log_q, pair.old_logprobs, settings.clip)


def _full(divergence: Callable[[Tensor, Tensor, LossSettings], Tensor]) -> Divergence:
    """A divergence of whole distributions, with its cap."""
    return lambda pair, settings: capped(
        divergence(pair.student, pair.teacher, settings), settings.cap
    )


DIVERGENCES: dict[str, Divergence] = {
    "reverse_kl": _full(lambda student, teacher, _: reverse_kl(student, teacher)),
    "sampled": _sampled,
    "topk": _full(lambda student, teacher, settings: top_k_kl(student, teacher, settings.top_k)),
    "forward_kl": _full(lambda student, teacher, _: forward_kl(student, teacher)),
    "jsd": _full(lambda student, teacher, settings: jsd(student, teacher, settings.beta)),
}
"""The losses of OPCD by name: the same names as `Loss`."""


def divergence_named(
    name: str, beta: float, top_k: int, cap: float | None, clip: ClipRatio
) -> Callable[[Pair], Tensor]:
    """The loss of that name. Raises ValueError for bad settings."""
    if pick_name("loss", name, DIVERGENCES) == "jsd" and not 0 < beta < 1:
        raise ValueError(
            f"--beta must be between 0 and 1, got {beta}; the limits are --loss forward_kl and "
            "--loss reverse_kl"
        )
    if name == "topk" and top_k < 1:
        raise ValueError(f"--top-k must be at least 1, got {top_k}")
    if cap is not None and cap <= 0:
        raise ValueError(f"--divergence-cap must be above 0 nats, got {cap}; None: no cap")
    settings = LossSettings(beta, top_k, cap, clip)
    return lambda pair: DIVERGENCES[name](pair, settings)
