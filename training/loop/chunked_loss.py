"""The output layer and its loss, a few tokens at a time: a batch never has [token, vocab] logits.

At a vocabulary of 152 000, 32 answers of 256 tokens have 5 GB of logits, and a loss holds several
copies. Here the logits, loss and gradient of a chunk are computed and dropped before the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from agents.vlm.encoding import Completed

CHUNK = 2**24
"""Logits at a time: 64 MiB in fp32. Smaller vocabularies fit whole batches into one chunk."""

TokenMetrics = dict[str, Tensor]
TokenLoss = Callable[[Tensor, slice], tuple[Tensor, TokenMetrics]]
"""Logits [token, vocab] and the rows they are of → their part of the loss, and metrics [token]."""


def completion_loss(
    model: Any, completed: Completed, token_loss: TokenLoss
) -> tuple[Tensor, TokenMetrics]:
    """`token_loss` over all completion tokens, and the metrics of each token.

    Tokens are in the order of `completed.mask`. The loss replaces the output layer inside the
    model's forward: sharded weights are gathered there.
    """
    metrics: list[TokenMetrics] = []

    def collected(logits: Tensor, rows: slice) -> Tensor:
        loss, each = token_loss(logits, rows)
        metrics.append({name: values.detach() for name, values in each.items()})
        return loss

    head = output_layer(model)
    loss = _forward(
        model, head, completed, lambda hidden: chunked_loss(hidden, head.weight, collected)
    )
    return loss, {name: torch.cat([each[name] for each in metrics]) for name in metrics[0]}


def completion_hidden(model: Any, completed: Completed) -> Tensor:
    """The input of the output layer at each completion token: [token, hidden]."""
    return _forward(model, output_layer(model), completed, lambda hidden: hidden)


def cross_entropy(logits: Tensor, ids: Tensor) -> Tensor:
    """Negative log-likelihood of each token, from logits [token, vocab]."""
    return F.cross_entropy(logits.float(), ids, reduction="none")


def completion_nll(model: Any, completed: Completed, total: Tensor | float) -> Tensor:
    """Cross-entropy of the completions: the sum over their tokens divided by `total`."""
    ids = completed.ids[completed.mask]
    return completion_loss(
        model, completed, lambda logits, rows: (cross_entropy(logits, ids[rows]).sum() / total, {})
    )[0]


def chunked_loss(
    hidden: Tensor,
    weight: Tensor,
    loss: Callable[[Tensor, slice], Tensor],
    chunk: int | None = None,
) -> Tensor:
    """Σ loss(hidden[rows] @ weight.T, rows) over chunks of rows; hidden [token, hidden].

    `chunk` is a number of tokens. The forward computes the gradient too, so backward runs once.
    """
    rows = max(1, CHUNK // len(weight)) if chunk is None else chunk
    return _Chunked.apply(hidden, weight, loss, rows, torch.is_grad_enabled())


def output_layer(model: Any) -> nn.Linear:
    """The layer that computes logits. Raises TypeError if it is more than a matrix."""
    head = getattr(model, "module", model).get_output_embeddings()
    if not isinstance(head, nn.Linear) or head.bias is not None:
        raise TypeError(
            f"the loss needs an output layer that is one matrix, not {type(head).__name__}; "
            "leave it out of LoRA's targets"
        )
    return head


def to_autocast_dtype(values: Tensor) -> Tensor:
    """Values in the precision that autocast multiplies in; unchanged without autocast."""
    kind = values.device.type
    return values.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else values


def _forward(
    model: Any, head: nn.Linear, completed: Completed, replace: Callable[[Tensor], Tensor]
) -> Tensor:
    # Row t predicts token t + 1, so the rows begin one token before the completion.
    width = completed.ids.shape[1]
    with _replaced(head, lambda hidden: replace(hidden[:, :-1][completed.mask])):
        return model(**completed.inputs, logits_to_keep=width + 1, use_cache=False).logits


@contextmanager
def _replaced(module: nn.Module, forward: Callable[[Tensor], Tensor]) -> Iterator[None]:
    own = vars(module).get("forward")  # accelerate's hooks sit there
    module.forward = forward
    try:
        yield
    finally:
        del module.forward
        if own is not None:
            module.forward = own


class _Chunked(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, loss: Any, chunk: int, learning: bool
    ) -> Tensor:
        needs = [learning and needed for needed in ctx.needs_input_grad[:2]]
        hidden_slope = torch.zeros_like(hidden) if needs[0] else None
        weight_slope = torch.zeros_like(weight) if needs[1] else None
        total = hidden.new_zeros((), dtype=torch.float32)
        inputs, matrix = to_autocast_dtype(hidden), to_autocast_dtype(weight)
        with torch.autocast(hidden.device.type, enabled=False):
            for first in range(0, max(1, len(hidden)), chunk):
                rows = slice(first, min(first + chunk, len(hidden)))
                part, slope = _loss_and_slope(inputs[rows] @ matrix.T, rows, loss, any(needs))
                total += part
                if hidden_slope is not None:
                    hidden_slope[rows] = slope @ matrix
                if weight_slope is not None:
                    _add_product(weight_slope, slope, inputs[rows])
                del slope  # or two of them exist while the next is computed
        ctx.slopes = hidden_slope, weight_slope
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        slopes, ctx.slopes = ctx.slopes, None  # scaled in place: good for one pass
        return *(None if each is None else each.mul_(grad) for each in slopes), None, None, None


def _loss_and_slope(
    logits: Tensor, rows: slice, loss: Callable[[Tensor, slice], Tensor], learning: bool
) -> tuple[Tensor, Tensor]:
    with torch.set_grad_enabled(learning):
        logits.requires_grad_(learning)
        part = loss(logits, rows)
        slope = torch.autograd.grad(part, logits)[0] if learning else logits
    return part.detach(), slope


def _add_product(into: Tensor, slope: Tensor, inputs: Tensor) -> None:
    if into.dtype == inputs.dtype:
        into.addmm_(slope.T, inputs)
        return
    # Sum in the weight's own precision, in parts: each part copies the low-precision product.
    for first in range(0, len(into), 2**15):
        part = slice(first, first + 2**15)
        into[part] += slope[:, part].T @ inputs
