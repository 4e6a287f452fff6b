"""Measures success and perception on validation boards during training.

`training.validate` is another thing: it checks the settings of a run.
"""

from __future__ import annotations

import itertools
from functools import lru_cache

from accelerate import PartialState
from accelerate.utils import gather_object

from agents.agent import Agent
from agents.rollout import Case, play
from evaluation.perceived import perceived
from training.config import TrainingConfig
from vsp_envs import Layout, LayoutSpec, draw_distinct
from vsp_envs.core.task_level import TaskLevel
from vsp_envs.scoring.answer_readers import ReaderName
from vsp_envs.scoring.episode import Episode

MIXED = 512
"""Boards that are answered at once if kinds share batches."""


@lru_cache(maxsize=64)
def validation_layouts(kind: TaskLevel, count: int) -> tuple[Layout, ...]:
    """The same distinct validation boards in every run."""
    return tuple(draw_distinct(LayoutSpec(kind.task, kind.level, "val"), count, seed=0))


def validate(
    agent: Agent, config: TrainingConfig, input: str, goal: str, reader: ReaderName = "strict"
) -> dict[str, float]:
    """Measure `success`, or `perception` for the goal `perceive`: greedy replies, mean over kinds.

    `success_cut` or `perception_cut` is the share of replies that were cut off. The processes share
    the boards. A plan from the image is played as the run's turn policy says.
    """
    policy = config.turn_policy if (input, goal) == ("image", "plan") else None
    boards = [validation_layouts(kind, config.eval_episodes) for kind in config.kinds()]
    # All kinds together if they are mixed; otherwise each by itself, without padding.
    together = [tuple(itertools.chain(*boards))] if config.mix_kinds else boards
    is_right = _succeeded if goal != "perceive" else _perceived
    marks: list[bool] = []
    cut: list[bool] = []
    for layouts in together:
        indices = list(range(len(layouts)))
        # Padded by repeating one board: under ZeRO-3 all processes must generate equally often.
        with PartialState().split_between_processes(indices, apply_padding=True) as mine:
            cases = [Case(layouts[index], input, goal) for index in mine]
            episodes = play(
                agent, cases, batch_size=batch_size(config), reader=reader, turn_policy=policy
            )
            found = [(is_right(each), each.finish_reason == "length") for each in episodes]
        gathered = dict(gather_object([*zip(mine, found, strict=True)]))
        marks += [gathered[index][0] for index in indices]
        cut += [gathered[index][1] for index in indices]
    marks_left = iter(marks)
    rates = [sum(itertools.islice(marks_left, len(layouts))) / len(layouts) for layouts in boards]
    name = "success" if goal != "perceive" else "perception"
    by_kind = {f"{name}/{kind}": rate for kind, rate in zip(config.kinds(), rates, strict=True)}
    measured = {name: sum(rates) / len(rates), f"{name}_cut": sum(cut) / len(cut)}
    return measured | (by_kind if len(rates) > 1 else {})


def batch_size(config: TrainingConfig) -> int:
    """Boards that are answered at once: many if kinds share batches and memory is no concern."""
    return MIXED if config.mix_kinds and not config.micro_batch_tokens else 64


def _succeeded(episode: Episode) -> bool:
    return episode.success


def _perceived(episode: Episode) -> bool:
    return all(perceived(episode.record()).values())
