"""Every prompt and every reference answer of the project, assembled in this one place.

SFT, OPCD and evaluation all read it. A visual prompt is made from the task alone, never from a
layout, so it cannot hold symbolic state.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, get_args

import numpy as np

from agents.agent import Prompt, Style, View
from vsp_envs import Layout, describe, format_answer, get_task, shortest_plan
from vsp_envs.core.layout import Action
from vsp_envs.core.simulator import simulate, state_cell
from vsp_envs.rendering.png import LazyImage
from vsp_envs.scoring.answer_format import action_name, format_instruction, format_plan
from vsp_envs.scoring.perception import task_questions
from vsp_envs.utils.choices import pick_name

STYLES = get_args(Style)
GOALS = ("plan", "perceive")
"""What a prompt asks for: a plan that opens with the state, or the perception answers."""
LEGENDS = {
    "vsp": "The elf is the player, the wrapped gift is the goal, blue openings in the ice are "
    "holes, everything else is safe ice.",
}
"""Public set → the legend of its pictures. VSP's are drawn with Gymnasium's old sprites."""
ROUTE = "route"
"""First word of the line between the state of the board and the answer."""


def visual_prompt(
    task: str, image: np.ndarray | LazyImage, goal: str, view: View, art: str = ""
) -> Prompt:
    """The student's prompt: the image, and words that depend on the task alone.

    `art` names the public set that drew the image, if it is not ours (see `LEGENDS`).
    """
    words = visual_words(task, goal, view.style, view.theme)
    if art:
        words = words.replace(get_task(task).theme_legend(view.theme), LEGENDS[art])
    return Prompt(_user([{"type": "image"}, {"type": "text", "text": words}]), (image,))


@lru_cache(maxsize=256)
def visual_words(task: str, goal: str, style: str, theme: str) -> str:
    """The text of a visual prompt."""
    if _brief(style):
        return _ask(task, goal, style)
    legend = get_task(task).theme_legend(theme)
    return f"{get_task(task).rules_text}\n{legend}\n{_ask(task, goal, style)}"


def text_prompt(
    layout: Layout, goal: str, style: str, plan: Sequence[Action] | None = None
) -> Prompt:
    """The board as text: the symbolic prompt of student and teacher.

    `plan` is a reference plan for the teacher; with None the prompt holds no plan.
    """
    task = get_task(layout.task)
    state, ask = task.state_text(layout), _ask(layout.task, goal, style)
    if _brief(style):
        given = "" if plan is None else f"reference {format_plan(plan, task.name)}\n"
        return Prompt(_user([{"type": "text", "text": f"{state}\n{given}{ask}"}]))
    given = ""
    if plan is not None:
        given = (
            f"A plan that solves it: {format_plan(plan, task.name)}. Do not mention this plan.\n"
        )
    text = f"{task.rules_text}\n{task.notation}\n{state}\n{given}{ask}"
    return Prompt(_user([{"type": "text", "text": text}]))


def first_turn_words(layout: Layout, view: View, chunk: int, seen: bool) -> str:
    """The text of the first turn: the task, and the request for the next `chunk` actions.

    With `seen` the board is in an image beside it; otherwise it is given as text, in its start
    state. A `chunk` of 0 asks for a whole plan, in the words of `visual_prompt` and `text_prompt`.
    """
    ask = _ask_next(layout.task, view.style, chunk)
    if seen and _brief(view.style):
        return ask
    task = get_task(layout.task)
    if seen:
        return f"{task.rules_text}\n{task.theme_legend(view.theme)}\n{ask}"
    rules = "" if _brief(view.style) else f"{task.rules_text}\n{task.notation}\n"
    return f"{rules}{task.state_text(layout)}\n{ask}"


def next_turn_words(layout: Layout, view: View, chunk: int, seen: bool) -> str:
    """The text of a later turn: the request to go on."""
    if _brief(view.style):
        return _ask_next(layout.task, view.style, chunk)
    where = "This is the board now." if seen else ""
    return f"{where} Go on with {_how_many(chunk)} in the same format.".strip()


def position_words(layout: Layout, played: Sequence[Action], state: int, feedback: str) -> str:
    """The current position on a board that is given as text, after the feedback."""
    if not played:
        return feedback
    moves, cell = format_plan(played, layout.task), state_cell(layout, state)
    thing = get_task(layout.task).in_hand if state // layout.level**2 == 1 else ""
    carrying = f", the {thing} in hand" if thing else ""
    return f"{feedback}\nPlayed so far: {moves}. The player is now at {cell}{carrying}.".strip()


def unread_words(status: str, task: str) -> str:
    """The feedback on a reply without a readable answer."""
    return f"Your answer could not be read: it is {status}. {format_instruction(task)}"


def refusal_words(action: Action, reason: str) -> str:
    """The feedback on an action that the rules refuse."""
    why = reason.replace("_", " ")
    return f"{action_name(action)} is not possible there ({why}) and was not played."


def planning_target(layout: Layout) -> str:
    """The reference planning answer: state of the board, route, answer block."""
    plan = shortest_plan(layout) or []
    return f"{describe(layout)}\n{route_line(layout, plan)}\n{format_answer(plan, layout.task)}"


def perception_target(layout: Layout) -> str:
    """The reference perception answer: one line per question, those of the state first."""
    questions = get_task(layout.task).questions(layout)
    return "\n".join(f"{question.name} {question.answer}" for question in questions)


def route_line(layout: Layout, plan: Sequence[Action]) -> str:
    """`route (0,0) (1,0) …`: the cells of a plan, with PICK and DROP where they happen."""
    trace = simulate(layout, plan)
    words = [str(state_cell(layout, trace.states[0]))]
    for action, state in zip(trace.actions, trace.states[1:], strict=True):
        cell = str(state_cell(layout, state))
        words.append(action_name(action) if action > Action.UP else cell)
    return f"{ROUTE} {' '.join(words)}"


def _brief(style: str) -> bool:
    return pick_name("style", style, STYLES) == "brief"


@lru_cache(maxsize=64)
def _ask(task: str, goal: str, style: str) -> str:
    verb = "plan" if pick_name("goal", goal, GOALS) == "plan" else "describe"
    if _brief(style):
        return f"{verb} {get_task(task).title}"
    questions = task_questions(task)
    if goal == "plan":
        questions = [question for question in questions if question.states]
    asked = "\n".join(f"{question.name}: {question.text}" for question in questions)
    opening = (
        "Cells are (row,col), 0-based from the top left. Answer each question on a line of its "
        f"own that opens with its name; write none for an empty list.\n{asked}"
    )
    if goal == "perceive":
        return opening
    return (
        f"{opening}\nThen find a shortest plan: a line that opens with {ROUTE} and lists the cells "
        f"it passes, then the answer. {format_instruction(task)}"
    )


@lru_cache(maxsize=64)
def _ask_next(task: str, style: str, chunk: int) -> str:
    if chunk == 0 or _brief(style):
        return _ask(task, "plan", style)
    return (
        f"Give {_how_many(chunk)} on a shortest way to the end of the task; you will then see the "
        f"board again. {format_instruction(task)}"
    )


def _how_many(chunk: int) -> str:
    if chunk == 0:
        return "the rest of the plan"
    return "the next action alone" if chunk == 1 else f"the next actions, at most {chunk},"


def _user(content: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content}]
