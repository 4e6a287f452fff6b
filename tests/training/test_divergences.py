"""The losses against cases worked by hand, and against what must hold of any of them."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from training.loop.chunked_loss import cross_entropy
from training.opcd.divergences import (
    DIVERGENCES,
    Pair,
    capped,
    clipped,
    divergence_named,
    entropy,
    forward_kl,
    jsd,
    log_probs,
    of_tokens,
    reverse_kl,
    sampled,
    top_k_kl,
)

# Three tokens of a vocabulary of two: log-odds are chosen so that probabilities are round.
LOG3 = math.log(3.0)
LOGITS = torch.tensor([[0.0, 0.0], [LOG3, 0.0], [0.0, LOG3]])
STUDENT = log_probs(LOGITS)  # p = (½,½), (¾,¼), (¼,¾)
TEACHER = log_probs(torch.tensor([[LOG3, 0.0]] * 3))  # p = (¾,¼) at each
IDS = torch.tensor([0, 0, 1])
REVERSE = [
    0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25),
    0.0,
    0.25 * math.log(0.25 / 0.75) + 0.75 * math.log(0.75 / 0.25),
]
FORWARD = [
    0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5),
    0.0,
    0.75 * math.log(0.75 / 0.25) + 0.25 * math.log(0.25 / 0.75),
]
# M at β = ½ is (⅝,⅜), (¾,¼), (½,½).
MIDWAY = [
    0.5 * (0.75 * math.log(0.75 / 0.625) + 0.25 * math.log(0.25 / 0.375))
    + 0.5 * (0.5 * math.log(0.5 / 0.625) + 0.5 * math.log(0.5 / 0.375)),
    0.0,
    0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5),
]


def two_sides(seed: int, vocab: int = 7, spread: float = 2.0) -> tuple[Tensor, Tensor]:
    """Two rows of random log-probabilities, in fp64."""
    generator = torch.Generator().manual_seed(seed)
    logits = spread * torch.randn(2, 1, vocab, generator=generator, dtype=torch.float64)
    return logits[0].log_softmax(-1), logits[1].log_softmax(-1)


def slope(loss: Callable[[Tensor], Tensor], student: Tensor) -> Tensor:
    """Gradient of a loss of log-probabilities with respect to the logits behind them."""
    logits = student.clone().requires_grad_()
    loss(logits.log_softmax(-1)).sum().backward()
    assert logits.grad is not None
    return logits.grad


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (reverse_kl, REVERSE),
        (forward_kl, FORWARD),
        (lambda student, teacher: jsd(student, teacher, 0.5), MIDWAY),
        (lambda student, teacher: top_k_kl(student, teacher, 1), REVERSE),  # one token and the rest
    ],
    ids=["reverse", "forward", "jsd", "top-1"],
)
def test_divergences_at_three_tokens_worked_by_hand(
    loss: Callable[[Tensor, Tensor], Tensor], expected: list[float]
) -> None:
    torch.testing.assert_close(loss(STUDENT, TEACHER), torch.tensor(expected))


def test_what_is_read_off_the_sampled_tokens() -> None:
    surprise = -torch.tensor([0.5, 0.75, 0.75]).log()
    torch.testing.assert_close(of_tokens(STUDENT, IDS), -surprise)
    torch.testing.assert_close(cross_entropy(LOGITS, IDS), surprise)
    torch.testing.assert_close(entropy(STUDENT)[0], torch.tensor(math.log(2.0)))


def test_top_k_lumps_all_other_tokens_into_one_outcome() -> None:
    student = torch.tensor([[0.5, 0.25, 0.125, 0.125]]).log()
    teacher = torch.tensor([[0.25, 0.25, 0.25, 0.25]]).log()
    expected = 0.5 * math.log(2) + 0.25 * math.log(1) + 0.25 * math.log(0.25 / 0.5)
    torch.testing.assert_close(top_k_kl(student, teacher, 2), torch.tensor([expected]))


def test_the_sampled_loss_has_the_papers_gradient_at_a_token_worked_by_hand() -> None:
    # d/dz of log p_S(0) at p = (½,½) is (½, −½); the weight is log(½ / ¾).
    weight = math.log(0.5 / 0.75)
    found = slope(
        lambda student: sampled(
            of_tokens(student, IDS[:1]), of_tokens(TEACHER[:1], IDS[:1]), None, (0.2, 0.3)
        ),
        STUDENT[:1],
    )
    torch.testing.assert_close(found, torch.tensor([[0.5 * weight, -0.5 * weight]]))


def test_clipping_lets_no_gradient_push_a_ratio_further_than_its_bounds() -> None:
    log_p = torch.tensor([0.5, 0.7, 1.4, 0.5, 1.4]).log().requires_grad_()
    advantages = torch.tensor([1.0, -1.0, 1.0, -1.0, -1.0])
    loss = clipped(log_p, torch.zeros(5), advantages, (0.2, 0.3))
    torch.testing.assert_close(loss, torch.tensor([-0.5, 0.8, -1.3, 0.8, 1.4]))
    loss.sum().backward()
    # Too small with a negative advantage and too large with a positive one have been clipped.
    torch.testing.assert_close(log_p.grad, torch.tensor([-0.5, 0.0, 0.0, 0.0, 1.4]))


def test_a_cap_scales_value_and_gradient_of_a_token_down_to_it() -> None:
    divergence = torch.tensor([0.5, 8.0], requires_grad=True)
    value = capped(divergence, 2.0)
    torch.testing.assert_close(value, torch.tensor([0.5, 2.0]))
    value.sum().backward()
    torch.testing.assert_close(divergence.grad, torch.tensor([1.0, 0.25]))
    assert capped(divergence, None) is divergence


def test_the_sampled_loss_is_capped_on_both_sides() -> None:
    pair = Pair(STUDENT, TEACHER, IDS)
    free, tight = (divergence_named("sampled", 0.5, 1, cap, (0.2, 0.3)) for cap in (None, 0.1))
    torch.testing.assert_close(free(pair), torch.tensor([math.log(2 / 3), 0.0, LOG3]))
    torch.testing.assert_close(tight(pair), torch.tensor([-0.1, 0.0, 0.1]))


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_both_forms_of_the_reverse_kl_have_the_same_expected_gradient(seed: int) -> None:
    student, teacher = two_sides(seed)

    def of_token(token: int) -> Callable[[Tensor], Tensor]:
        ids = torch.tensor([token])
        log_q = of_tokens(teacher, ids)
        return lambda each: sampled(of_tokens(each, ids), log_q, None, (0.2, 0.3))

    chances = student.exp()[0]
    expected = sum(chances[token] * slope(of_token(token), student) for token in range(7))
    exact = slope(lambda each: reverse_kl(each, teacher), student)
    torch.testing.assert_close(expected, exact, rtol=1e-9, atol=1e-12)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 7))
def test_what_holds_of_any_two_distributions(seed: int, k: int) -> None:
    student, teacher = two_sides(seed, spread=1.0)
    reverse, forward = reverse_kl(student, teacher), forward_kl(student, teacher)
    assert 0 <= top_k_kl(student, teacher, k).item() <= reverse.item() + 1e-12
    torch.testing.assert_close(top_k_kl(student, teacher, 7), reverse, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(jsd(student, teacher, 1e-8) / 1e-8, forward, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        jsd(student, teacher, 1 - 1e-8) / 1e-8, reverse, rtol=1e-4, atol=1e-5
    )
    middle = jsd(student, teacher, 0.5)
    torch.testing.assert_close(middle, jsd(teacher, student, 0.5))
    assert 0 <= middle.item() <= math.log(2)
    for loss in (reverse_kl, forward_kl, lambda a, b: jsd(a, b, 0.3)):
        torch.testing.assert_close(loss(student, student), torch.zeros(1, dtype=torch.float64))


@pytest.mark.parametrize("name", DIVERGENCES)
def test_every_loss_moves_the_student_towards_the_teacher(name: str) -> None:
    student, teacher = two_sides(3)
    loss, logits = divergence_named(name, 0.5, 3, 5.0, (0.2, 0.3)), student.clone()
    for step in range(400):
        ids = logits.softmax(-1).multinomial(1, generator=torch.Generator().manual_seed(step))[0]
        logits -= 0.3 * slope(lambda each, ids=ids: loss(Pair(each, teacher, ids)), logits)
    assert reverse_kl(logits.log_softmax(-1), teacher) < 0.3 * reverse_kl(student, teacher)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "kl"}, "reverse_kl"),
        ({"name": "jsd", "beta": 1.0}, "--loss reverse_kl"),
        ({"name": "topk", "top_k": 0}, "--top-k must be at least 1"),
        ({"cap": 0.0}, "--divergence-cap must be above 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change: dict[str, float], message: str) -> None:
    good = {"name": "reverse_kl", "beta": 0.5, "top_k": 8, "cap": None, "clip": (0.2, 0.3)}
    with pytest.raises(ValueError, match=message):
        divergence_named(**{**good, **change})  # type: ignore[arg-type]
