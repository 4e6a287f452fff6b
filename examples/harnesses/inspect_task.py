"""Planning as a task of Inspect: the boards, prompts and scores of `evaluation.planning`.

inspect eval examples/harnesses/inspect_task.py --model openai/NAME -T tasks=maze:3-6
"""

from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.model import ChatMessageUser, ContentImage, ContentText
from inspect_ai.scorer import Score, Scorer, Target, accuracy, scorer, stderr
from inspect_ai.solver import TaskState, generate

from vsp_envs import Layout, LayoutSpec, draw_distinct, layout_id, load_layout, score_reply
from vsp_envs.core.task_level import select_task_levels
from vsp_envs.prompts.question import question
from vsp_envs.rendering.png import data_url


@task
def vsp(tasks: str = "frozenlake:3-8 maze:3-6 minibehaviour:5-6", count: int = 200,
        split: str = "test", seed: int = 0) -> Task:  # fmt: skip
    """`count` boards of each level, one reply each."""
    samples = [
        sample(layout)
        for each in select_task_levels(tasks.split())
        for layout in draw_distinct(LayoutSpec(*each, split), count, seed)
    ]
    return Task(samples, solver=generate(), scorer=[success(), optimal()])


def sample(layout: Layout) -> Sample:
    """The prompt of a board; the board itself is for the scorers alone."""
    prompt = question(layout)
    content = [ContentImage(image=data_url(prompt.images[0])), ContentText(text=prompt.text)]
    board = {"task": layout.task, "layout": layout.to_data()}
    return Sample([ChatMessageUser(content=content)], id=layout_id(layout), metadata=board)


@scorer(metrics=[accuracy(), stderr()])
def success() -> Scorer:
    """Whether the plan reaches the end of the task."""
    return _score("success")


@scorer(metrics=[accuracy(), stderr()])
def optimal() -> Scorer:
    """Whether it does so in as few actions as possible."""
    return _score("optimal")


def _score(what: str) -> Scorer:
    async def score(state: TaskState, target: Target) -> Score:
        layout = load_layout(state.metadata["task"], state.metadata["layout"])
        found = score_reply(layout, state.output.completion, reader="tolerant")
        return Score(value=float(getattr(found, what)), explanation=found.reason or found.status)

    return score
