"""The reward of an answer, and its advantage over other answers to the same board."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from agents.agent import Request
from vsp_envs.core.solver import solve_layout
from vsp_envs.scoring.answer_format import ParseStatus
from vsp_envs.scoring.episode import Episode
from vsp_envs.scoring.score import Score

UNREAD = tuple(status for status in ParseStatus if status is not ParseStatus.OK)


def reward_of(score: Score | Episode, optimal_reward: float) -> float:
    """1 for a plan that succeeds, and `optimal_reward` more if it is a shortest one; else 0."""
    return float(score.success) + optimal_reward * float(score.optimal)


def score_metrics(scores: Sequence[Episode], optimal_reward: float) -> dict[str, float]:
    """The logged metrics of a batch of episodes: means, and of their replies the share of each
    parse status."""
    rewards, statuses = (
        [reward_of(score, optimal_reward) for score in scores],
        reply_statuses(scores),
    )
    return {
        "rollout_success": share(score.success for score in scores),
        "rollout_optimal": share(score.optimal for score in scores),
        "rollout_answered": share(status == "ok" for status in statuses),
        **{f"status/{each}": share(status == each for status in statuses) for each in UNREAD},
        "reward": sum(rewards) / len(rewards),
    }


def reply_statuses(episodes: Sequence[Episode]) -> list[str]:
    """How each reply of the episodes was read, that of each turn."""
    return [turn["status"] for each in episodes for turn in each.turns or [{"status": each.status}]]


def share(marks: Iterable[bool]) -> float:
    """The share of marks that are True."""
    marks = list(marks)
    return sum(marks) / len(marks)


def group_advantages(rewards: Tensor, rollouts: int, scaled: bool) -> Tensor:
    """Reward above the mean of the answers to the same board; `rollouts` in a row share a board.

    `scaled` divides by the group's standard deviation, as GRPO (arXiv 2402.03300, section 4.1)
    does; without it, hard and easy boards weigh alike (arXiv 2503.20783). If all answers of a group
    earn the same, none has an advantage, and the group teaches nothing.
    """
    groups = rewards.view(-1, rollouts)
    advantages = groups - groups.mean(1, keepdim=True)
    if scaled:
        advantages = advantages / (groups.std(1, keepdim=True) + 1e-4)
    return advantages.flatten()


def share_without_advantage(
    rewards: Tensor, rollouts: int, progress: Tensor | None = None, boards: Sequence[int] = ()
) -> float:
    """The share of boards whose answers all earn the same.

    `progress` is what each turn earns besides, above the mean of its board in `boards`.
    """
    groups = rewards.view(-1, rollouts)
    equal = groups.max(1).values == groups.min(1).values
    if progress is not None:
        equal &= torch.zeros(len(groups)).index_add(0, torch.tensor(boards), progress.abs()) == 0
    return equal.float().mean().item()


def turn_progress(requests: Sequence[Request], episodes: Sequence[Episode]) -> list[float]:
    """How many actions each turn has brought the agent nearer to the end, below 0 if away from it.

    The turns of an episode, `request.game`, come in their order. One that loses the board counts as
    a shortest plan lost.
    """
    progress, after = list[float](), dict[int, float]()
    for request in reversed(requests):
        solved, episode = solve_layout(request.layout), episodes[request.game]
        here = solved.distance[solved.start if request.state is None else request.state]
        if request.game not in after:
            last = episode.states[-1] if episode.states else solved.start
            lost = here + solved.distance[solved.start]
            after[request.game] = (
                0 if episode.outcome == "success"
                else lost if episode.outcome == "failure"
                else solved.distance[last]
            )  # fmt: skip
        progress.append(here - after[request.game])
        after[request.game] = here
    return progress[::-1]


def above_mean(values: Sequence[float], groups: Sequence[int]) -> Tensor:
    """Each value above the mean of its group."""
    each, group = torch.tensor(values, dtype=torch.float32), torch.tensor(groups)
    sums = torch.zeros(int(group.max()) + 1).index_add(0, group, each)
    return each - (sums / group.bincount().clamp(min=1))[group]
