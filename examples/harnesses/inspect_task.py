"""Planning as tasks of Inspect: the boards, prompts and scores of `evaluation.planning`.

`vsp` asks for whole plans; `vsp_turns` shows a fresh picture after each action, as `--act step`:

inspect eval examples/harnesses/inspect_task.py@vsp --model openai/NAME -T tasks=maze:3-6
inspect eval examples/harnesses/inspect_task.py@vsp_turns --model openai/NAME -T chunk=3
"""

from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.model import ChatMessageUser, ContentImage, ContentText, get_model
from inspect_ai.scorer import Score, Scorer, Target, accuracy, scorer, stderr
from inspect_ai.solver import Generate, Solver, TaskState, generate, solver

from vsp_envs import (
    ClosedLoop,
    Layout,
    LayoutSpec,
    Prompt,
    draw_distinct,
    layout_id,
    load_layout,
    question,
)
from vsp_envs.core.task_level import select_task_levels
from vsp_envs.rendering.png import data_url

ALL = "frozenlake:3-8 maze:3-6 minibehaviour:5-6"


@task
def vsp(tasks: str = ALL, count: int = 200, split: str = "test", seed: int = 0) -> Task:
    """`count` boards of each level, one reply each."""
    samples = boards(tasks, count, split, seed)
    return Task(samples, solver=generate(), scorer=[success(), optimal()])


@task
def vsp_turns(tasks: str = ALL, count: int = 200, split: str = "test", seed: int = 0,
              chunk: int = 1, history: int = 8) -> Task:  # fmt: skip
    """`count` boards of each level, a picture after every `chunk` actions.

    The model sees the last `history` turns; the log keeps all.
    """
    samples = boards(tasks, count, split, seed, chunk)
    return Task(samples, solver=in_turns(history), scorer=[success(), optimal()])


def boards(tasks: str, count: int, split: str, seed: int, chunk: int = 0) -> list[Sample]:
    """The first prompt of each board; the board itself is for solver and scorers alone.

    A `chunk` of 0 asks for the whole plan.
    """
    return [
        Sample(
            [message(opening(layout, chunk))],
            id=layout_id(layout),
            metadata={"task": layout.task, "layout": layout.to_data(), "chunk": chunk},
        )
        for each in select_task_levels(tasks.split())
        for layout in draw_distinct(LayoutSpec(*each, split), count, seed)
    ]


def opening(layout: Layout, chunk: int) -> Prompt:
    """The prompt that explains the task."""
    return question(layout, goal="act" if chunk else "plan", chunk=chunk)


def message(prompt: Prompt) -> ChatMessageUser:
    """The last message of a prompt, its picture before its words."""
    content = [ContentImage(image=data_url(prompt.images[0])), ContentText(text=prompt.text)]
    return ChatMessageUser(content=content)


def new_game(state: TaskState) -> ClosedLoop:
    """The board of a sample before the first reply."""
    layout = load_layout(state.metadata["task"], state.metadata["layout"])
    return ClosedLoop(layout, chunk=state.metadata["chunk"])


@solver
def in_turns(history: int) -> Solver:
    """Show the board, play the reply, and so on until the board is over."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        game, state.messages = new_game(state), []
        explained = ContentText(text=opening(game.layout, game.chunk).text)
        while not game.over:
            state.messages.append(message(game.prompt()))
            first, *later = state.messages[-2 * history - 1 :]
            first = ChatMessageUser(content=[first.content[0], explained])
            state.output = await get_model().generate([first, *later])
            state.messages.append(state.output.message)
            game.take(state.output.completion)
        return state

    return solve


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
        game = new_game(state)
        for each in state.messages:
            if each.role == "assistant" and not game.over:
                game.take(each.text)
        found = game.score()
        return Score(value=float(getattr(found, what)), explanation=found.reason or found.status)

    return score
