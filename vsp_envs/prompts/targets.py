"""The reference answers: what a model learns to say."""

from __future__ import annotations

from collections.abc import Sequence

from vsp_envs.core.layout import Action, Layout
from vsp_envs.core.simulator import simulate, state_cell
from vsp_envs.core.solver import shortest_plan
from vsp_envs.core.task import get_task
from vsp_envs.scoring.answer_format import action_name, format_answer
from vsp_envs.scoring.describe import describe

ROUTE = "route"
"""First word of the line between the state of the board and the answer."""


def planning_target(layout: Layout) -> str:
    """The reference planning answer: state of the board, route, answer block."""
    plan = shortest_plan(layout) or []
    return f"{describe(layout)}\n{route_line(layout, plan)}\n{format_answer(plan, layout.task)}"


def answer_target(layout: Layout) -> str:
    """The answer block of a shortest plan, alone."""
    return format_answer(shortest_plan(layout) or [], layout.task)


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
