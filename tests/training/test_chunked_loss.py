"""The loss by chunks of tokens: equal to the loss on whole logits, in little memory."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor

from agents.vlm.encoding import Completed, complete, encode_prompts
from benchmarks.loss_memory import LIMIT, VOCABULARY, memory_row
from training.loop.chunked_loss import (
    CHUNK,
    chunked_loss,
    completion_hidden,
    completion_loss,
    completion_nll,
    cross_entropy,
    output_layer,
)
from training.model.tiny import build_tiny
from training.opcd.divergences import log_probs, reverse_kl
from vsp_envs import LayoutSpec, draw_distinct
from vsp_envs.prompts.question import text_prompt

TEACHER = log_probs(torch.randn(10, 5, generator=torch.Generator().manual_seed(1)))


def divergence(logits: Tensor, rows: slice) -> Tensor:
    return reverse_kl(log_probs(logits), TEACHER[rows]).sum() / 10


def inputs() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return (
        torch.randn(10, 4, generator=generator, requires_grad=True),
        torch.randn(5, 4, generator=generator, requires_grad=True),
    )


@pytest.mark.parametrize("chunk", [1, 3, 10, 99])
def test_any_chunk_gives_the_loss_and_gradients_of_the_whole(chunk: int) -> None:
    hidden, weight = inputs()
    whole = divergence(hidden @ weight.T, slice(None))
    (3 * whole).backward()
    expected = hidden.grad, weight.grad
    hidden, weight = inputs()
    loss = chunked_loss(hidden, weight, divergence, chunk)
    (3 * loss).backward()
    torch.testing.assert_close(loss, whole)
    torch.testing.assert_close((hidden.grad, weight.grad), expected)


def test_a_frozen_output_layer_gets_no_gradient_and_none_is_made_without_need() -> None:
    hidden, weight = inputs()
    chunked_loss(hidden, weight.requires_grad_(False), divergence, 3).backward()
    assert hidden.grad is not None and weight.grad is None
    with torch.no_grad():
        assert not chunked_loss(hidden, weight, divergence, 3).requires_grad


def test_under_autocast_products_are_narrow_and_sums_are_not() -> None:
    hidden, weight = inputs()
    seen = []

    def watched(logits: Tensor, rows: slice) -> Tensor:
        seen.append(logits.dtype)
        return divergence(logits, rows)

    with torch.autocast("cpu", torch.bfloat16):
        loss = chunked_loss(hidden, weight, watched, 5)
    loss.backward()
    assert seen == [torch.bfloat16] * 2 and loss.dtype == torch.float32
    assert hidden.grad is not None and weight.grad is not None
    exact_hidden, exact_weight = inputs()
    chunked_loss(exact_hidden, exact_weight, divergence).backward()
    torch.testing.assert_close(weight.grad, exact_weight.grad, rtol=0.1, atol=0.02)


def test_no_token_at_all_costs_nothing_and_teaches_nothing() -> None:
    _, weight = inputs()
    hidden = torch.zeros(0, 4, requires_grad=True)
    loss = chunked_loss(hidden, weight, divergence)
    loss.backward()
    assert loss.item() == 0 and weight.grad is not None and not weight.grad.any()


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    return build_tiny("S").model


@pytest.fixture(scope="module")
def completed() -> Completed:
    """Two prompts with answers of three tokens and one."""
    loaded = build_tiny("S")
    layouts = draw_distinct(LayoutSpec("frozenlake", 3), 2, seed=0)
    prompts = [text_prompt(layout, "plan", "brief") for layout in layouts]
    return complete(encode_prompts(loaded.processor, prompts), [[5, 6, 7], [8]], 0)


def test_the_models_own_logits_give_the_same_loss(
    model: torch.nn.Module, completed: Completed
) -> None:
    logits = model(**completed.inputs).logits[:, -4:-1][completed.mask]
    ids = completed.ids[completed.mask]
    torch.testing.assert_close(
        completion_nll(model, completed, 4), cross_entropy(logits, ids).mean()
    )
    hidden = completion_hidden(model, completed)
    torch.testing.assert_close(hidden @ output_layer(model).weight.T, logits)
    _, metrics = completion_loss(
        model, completed, lambda logits, rows: (logits.sum(), {"id": ids[rows].float()})
    )
    assert metrics["id"].tolist() == [5, 6, 7, 8]
    assert model(**completed.inputs).logits.shape[-1] == model.config.get_text_config().vocab_size


def test_a_loss_that_fails_leaves_the_model_as_it_was(
    model: torch.nn.Module, completed: Completed
) -> None:
    with pytest.raises(ZeroDivisionError):
        completion_loss(model, completed, lambda logits, rows: 1 / 0)
    assert model(**completed.inputs).logits.shape[-1] == model.config.get_text_config().vocab_size


@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`:UserWarning")
def test_an_output_layer_that_is_more_than_a_matrix_is_refused() -> None:
    adapted = get_peft_model(build_tiny("S").model, LoraConfig(target_modules=["lm_head"], r=2))
    with pytest.raises(TypeError, match="leave it out of LoRA's targets"):
        output_layer(adapted)


@pytest.mark.slow
def test_at_a_vocabulary_of_152_000_the_loss_takes_less_than_a_gigabyte() -> None:
    # Four chunks; the 75 of 32 × 256 tokens take no more.
    row = memory_row(4 * CHUNK // VOCABULARY)
    assert 0 < row.ours < LIMIT
