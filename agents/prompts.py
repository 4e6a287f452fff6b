"""Every prompt and every reference answer of the project, assembled in this one place.

SFT, OPCD and evaluation all read it. A visual prompt is made from the task alone, never from a
layout, so it cannot hold symbolic state.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from agents.agent import Prompt, View
from vsp_envs import Layout, describe, format_answer, get_task, shortest_plan
from vsp_envs.facts import fact_names, normal, read_facts, sample_questions, state_names
from vsp_envs.plan import action_name, format_instruction
from vsp_envs.simulate import simulate, state_cell
from vsp_envs.task import Action, pick_name

__all__ = [
    "GOALS", "ROUTE", "STYLES", "fact_names", "normal", "perception_target", "planning_target",
    "read_facts", "route_line", "state_names", "text_prompt", "visual_prompt", "visual_words",
]  # fmt: skip

STYLES = ("full", "brief")
GOALS = ("plan", "perceive")
"""What a prompt asks for: a plan that opens with the state, or the perception facts."""
ROUTE = "route"
"""First word of the line between the state of the board and the answer."""


def visual_prompt(task: str, image: np.ndarray, goal: str, view: View) -> Prompt:
    """The student's prompt: the image, and words that depend on the task alone."""
    words = visual_words(task, goal, view.style, view.theme)
    return Prompt(_user([{"type": "image"}, {"type": "text", "text": words}]), (image,))


@lru_cache(maxsize=256)
def visual_words(task: str, goal: str, style: str, theme: str) -> str:
    """What a visual prompt says beside its image."""
    if _brief(style):
        return _ask(task, goal, style)
    legend = get_task(task).theme_legend(theme)
    return f"{get_task(task).rules_text}\n{legend}\n{_ask(task, goal, style)}"


def text_prompt(
    layout: Layout, goal: str, style: str, plan: Sequence[Action] | None = None
) -> Prompt:
    """The board as text: the student's symbolic prompt and the teacher's alike.

    With `plan` the teacher is also given a reference plan; without, none is in the prompt.
    """
    task = get_task(layout.task)
    state, ask = task.state_text(layout), _ask(layout.task, goal, style)
    if _brief(style):
        given = "" if plan is None else f"reference {_moves(layout, plan)}\n"
        return Prompt(_user([{"type": "text", "text": f"{state}\n{given}{ask}"}]))
    given = ""
    if plan is not None:
        given = f"A plan that solves it: {_moves(layout, plan)}. Do not mention this plan.\n"
    text = f"{task.rules_text}\n{task.notation}\n{state}\n{given}{ask}"
    return Prompt(_user([{"type": "text", "text": text}]))


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
    questions = sample_questions(task)
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


def _moves(layout: Layout, plan: Sequence[Action]) -> str:
    return format_answer(plan, layout.task).removeprefix("<answer>").removesuffix("</answer>")


def _user(content: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content}]
