"""Planning as a taskset of verifiers: the boards, prompts and scores of `evaluation.planning`.

pip install ./examples/harnesses/verifiers_vsp && eval vsp --env.agent.harness.id null --model NAME
"""

from collections.abc import Iterator
from typing import Any

import verifiers.v1 as vf

from vsp_envs import (
    Layout,
    LayoutSpec,
    Prompt,
    Score,
    draw_distinct,
    load_layout,
    question,
    score_reply,
)
from vsp_envs.core.task_level import select_task_levels
from vsp_envs.rendering.png import data_url


class BoardConfig(vf.TasksetConfig):
    """Which boards."""

    tasks: tuple[str, ...] = ("frozenlake:3-8", "maze:3-6", "minibehaviour:5-6")
    count: int = 200
    split: str = "test"
    seed: int = 0


class BoardData(vf.TaskData):
    """A prompt, and the board for the reward alone."""

    board: str
    layout: dict[str, Any]


class BoardTask(vf.Task[BoardData]):
    """One reply, which is a whole plan."""

    def _score(self, trace: vf.Trace) -> Score:
        layout = load_layout(self.data.board, self.data.layout)
        said = [each for each in trace.messages if each.role == "assistant"]
        return score_reply(layout, said[-1].content if said else None, reader="tolerant")

    @vf.reward
    async def success(self, trace: vf.Trace) -> float:
        """The plan reaches the end of the task."""
        return float(self._score(trace).success)

    @vf.metric
    async def optimal(self, trace: vf.Trace) -> float:
        """It does so in as few actions as possible."""
        return float(self._score(trace).optimal)


class BoardTaskset(vf.Taskset[BoardTask, BoardConfig]):
    """`count` boards of each level."""

    def load(self) -> Iterator[BoardTask]:
        """The tasks, in the order of `evaluation.planning`."""
        config = self.config
        for each in select_task_levels(config.tasks):
            for layout in draw_distinct(LayoutSpec(*each, config.split), config.count, config.seed):
                yield BoardTask(_data(layout), config.task)


def user_message(prompt: Prompt) -> vf.UserMessage:
    """A prompt of one turn, with its picture."""
    picture = {"type": "image_url", "image_url": {"url": data_url(prompt.images[0])}}
    return vf.UserMessage(content=[picture, {"type": "text", "text": prompt.text}])


def _data(layout: Layout) -> BoardData:
    message = user_message(question(layout))
    return BoardData(prompt=[message], board=layout.task, layout=layout.to_data())


__all__ = ["BoardTaskset"]
