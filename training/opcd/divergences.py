"""Losses as pure functions of log-probabilities, one value per token, in nats.

`student` and `teacher` are log-probabilities [token, vocab], in fp32: row t is the distribution
that token t of a completion was drawn from. `log_p`, `log_q` and `old` are those of the sampled
tokens alone, [token]: the student's, the teacher's, and the student's when it sampled them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
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
    """KL(teacher ‖ student): the student is to cover all that the teacher would say."""
    return reverse_kl(teacher, student)


def jsd(student: Tensor, teacher: Tensor, beta: float) -> Tensor:
    """β·KL(teacher ‖ M) + (1 − β)·KL(student ‖ M) with M = β·teacher + (1 − β)·student.

    The generalised Jensen-Shannon divergence of GKD (arXiv 2306.13649, equation 1). Divided by β
    it tends to the forward KL as β → 0, divided by 1 − β to the reverse KL as β → 1.
    """
    middle = torch.logaddexp(teacher + log(beta), student + log(1 - beta))
    return beta * reverse_kl(teacher, middle) + (1 - beta) * reverse_kl(student, middle)


def top_k_kl(student: Tensor, teacher: Tensor, k: int) -> Tensor:
    """Reverse KL over the student's `k` likeliest tokens, and all others as one more outcome.

    Without that outcome the student could lower the loss by moving its mass out of sight. It is
    never more than the full KL, and the same with `k` the size of the vocabulary.
    """
    top = student.topk(min(k, student.shape[-1]), -1).indices
    seen = student.gather(-1, top), teacher.gather(-1, top)
    tails = [_rest(each) for each in seen]
    return reverse_kl(*(torch.cat(each, -1) for each in zip(seen, tails, strict=True)))


def _rest(seen: Tensor) -> Tensor:
    # 1 − Σp is no finer than fp32; a smaller rest counts as that.
    least = torch.finfo(seen.dtype).eps
    return (1 - seen.exp().sum(-1, keepdim=True)).clamp(min=least).log()


def clipped(log_p: Tensor, old: Tensor | None, advantages: Tensor, clip: ClipRatio) -> Tensor:
    """PPO's objective, to be minimised: −min(r·A, clamp(r, 1 − low, 1 + high)·A), r = p / p_old.

    `old` None means that the tokens were drawn from the present weights: the ratio is 1, clipping
    is inert and the gradient is −A·∇log p.
    """
    ratio = (log_p - (log_p.detach() if old is None else old)).exp()
    low, high = clip
    return -torch.minimum(ratio * advantages, ratio.clamp(1 - low, 1 + high) * advantages)


def sampled(log_p: Tensor, log_q: Tensor, old: Tensor | None, clip: ClipRatio) -> Tensor:
    """The paper's estimator of the reverse KL: PPO with the advantage log p_T − log p_S.

    With one step per rollout its value is log p_S − log p_T and its gradient
    sg(log p_S − log p_T)·∇log p_S. Back-propagating log p_S − log p_T itself has expected
    gradient 0.
    """
    return clipped(log_p, old, log_q - (log_p.detach() if old is None else old), clip)


def capped(divergence: Tensor, most: float | None) -> Tensor:
    """No token counts for more than `most`: its value and its gradient are scaled down to that.

    Tokens of style can diverge ten times as much as those that matter. Cutting their gradient off
    would keep them from ever being learned.
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
    old: Tensor | None = None


DIVERGENCES = ("reverse_kl", "sampled", "topk", "forward_kl", "jsd")
"""Losses of OPCD by name."""


def divergence_named(
    name: str, beta: float, top_k: int, cap: float | None, clip: ClipRatio
) -> Callable[[Pair], Tensor]:
    """The loss of that name as a function of both sides. Raises ValueError for bad settings."""
    if pick_name("loss", name, DIVERGENCES) == "jsd" and not 0 < beta < 1:
        raise ValueError(
            f"--beta must be between 0 and 1, got {beta}; the limits are --loss forward_kl and "
            "--loss reverse_kl"
        )
    if name == "topk" and top_k < 1:
        raise ValueError(f"--top-k must be at least 1, got {top_k}")
    if cap is not None and cap <= 0:
        raise ValueError(f"--divergence-cap must be above 0 nats, got {cap}; None: no cap")
    if name == "sampled":
        return partial(_sampled, cap=cap, clip=clip)
    full: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "reverse_kl": reverse_kl,
        "forward_kl": forward_kl,
        "jsd": partial(jsd, beta=beta),
        "topk": partial(top_k_kl, k=top_k),
    }
    divergence = full[name]
    return lambda pair: capped(divergence(pair.student, pair.teacher), cap)


def _sampled(pair: Pair, cap: float | None, clip: ClipRatio) -> Tensor:
    log_p, log_q = of_tokens(pair.student, pair.ids), of_tokens(pair.teacher, pair.ids)
    if cap is not None:
        old = log_p.detach() if pair.old is None else pair.old
        log_q = old + (log_q - old).clamp(-cap, cap)
    return sampled(log_p, log_q, pair.old, clip)
