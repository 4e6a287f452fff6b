"""The losses against cases worked by hand, and both forms of the KL against each other."""

import math

import pytest
import torch

from training.losses import (
    chosen_log_probs,
    cross_entropy,
    entropy,
    mean_over,
    reverse_kl,
    sampled_reverse_kl,
)

# Three tokens of a vocabulary of two: log-odds are chosen so that probabilities are round.
LOG3 = math.log(3.0)
STUDENT = torch.tensor([[[0.0, 0.0], [LOG3, 0.0], [0.0, LOG3]]])  # p = (½,½), (¾,¼), (¼,¾)
TEACHER = torch.tensor([[[LOG3, 0.0], [LOG3, 0.0], [LOG3, 0.0]]])  # p = (¾,¼) at each
IDS = torch.tensor([[0, 0, 1]])
ALL = torch.ones(1, 3, dtype=torch.bool)
KL = [
    0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25),
    0.0,
    0.25 * math.log(0.25 / 0.75) + 0.75 * math.log(0.75 / 0.25),
]


def test_log_probabilities_of_the_sampled_tokens_are_read_off_row_by_row() -> None:
    expected = torch.tensor([[math.log(0.5), math.log(0.75), math.log(0.75)]])
    torch.testing.assert_close(chosen_log_probs(STUDENT, IDS), expected)


def test_cross_entropy_is_the_mean_surprise_at_the_reference() -> None:
    expected = -(math.log(0.5) + 2 * math.log(0.75)) / 3
    assert cross_entropy(STUDENT, IDS, ALL, 3).item() == pytest.approx(expected)


def test_reverse_kl_is_the_sum_over_the_vocabulary_weighted_by_the_student() -> None:
    assert reverse_kl(STUDENT, TEACHER, IDS, ALL, 3).item() == pytest.approx(sum(KL) / 3)


def test_masked_tokens_count_in_no_loss() -> None:
    mask = torch.tensor([[True, True, False]])
    assert reverse_kl(STUDENT, TEACHER, IDS, mask, 2).item() == pytest.approx(sum(KL[:2]) / 2)
    torch.testing.assert_close(
        cross_entropy(STUDENT, IDS, mask, 2),
        cross_entropy(STUDENT[:, :2], IDS[:, :2], ALL[:, :2], 2),
    )


def test_micro_batches_add_up_to_the_loss_of_the_whole_step() -> None:
    first, rest = torch.tensor([[True, False, False]]), torch.tensor([[False, True, True]])
    parts = sum(reverse_kl(STUDENT, TEACHER, IDS, mask, 3) for mask in (first, rest))
    torch.testing.assert_close(parts, reverse_kl(STUDENT, TEACHER, IDS, ALL, 3))


def test_sampled_loss_has_the_papers_gradient_at_a_hand_worked_token() -> None:
    # d/dz of log p_S(0) at p = (½,½) is (½, −½); the weight is log(½ / ¾).
    student = STUDENT[:, :1].clone().requires_grad_()
    sampled_reverse_kl(student, TEACHER[:, :1], IDS[:, :1], ALL[:, :1], 1).backward()
    weight = math.log(0.5 / 0.75)
    torch.testing.assert_close(student.grad, torch.tensor([[[0.5 * weight, -0.5 * weight]]]))


def test_both_forms_of_the_reverse_kl_have_the_same_expected_gradient() -> None:
    generator = torch.Generator().manual_seed(0)
    student = torch.randn(1, 1, 7, generator=generator, dtype=torch.float64)
    teacher = torch.randn(1, 1, 7, generator=generator, dtype=torch.float64)
    one = torch.ones(1, 1, dtype=torch.bool)

    def gradient(loss: object, token: int) -> torch.Tensor:
        logits = student.clone().requires_grad_()
        loss(logits, teacher, torch.tensor([[token]]), one, 1).backward()  # type: ignore[operator]
        assert logits.grad is not None
        return logits.grad

    chances = student.softmax(-1)[0, 0]
    expected = sum(chances[token] * gradient(sampled_reverse_kl, token) for token in range(7))
    torch.testing.assert_close(expected, gradient(reverse_kl, 0).double(), rtol=1e-5, atol=1e-7)


def test_entropy_and_masked_means() -> None:
    torch.testing.assert_close(entropy(STUDENT)[0, 0], torch.tensor(math.log(2.0)))
    assert mean_over(torch.tensor([[1.0, 2.0, 9.0]]), torch.tensor([[True, True, False]])) == 1.5
    assert mean_over(torch.tensor([[1.0]]), torch.tensor([[False]])) == 0.0
