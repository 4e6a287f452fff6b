"""The reference answers: what a model learns to say."""

from __future__ import annotations

from collections.abc import Sequence

from vsp_envs.core.layout import Action, Layout
from vsp_envs.core.simulator import simulate, state_cell
from vsp_envs.core.solver import shortest_plan
from vsp_envs.core.task import get_task
from vsp_envs.prompts.search import search_lines
from vsp_envs.scoring.answer_format import action_name, format_answer
from vsp_envs.scoring.describe import describe

ROUTE = "route"
"""First word of the line between the state of the board and the answer."""


def planning_target(
    layout: Layout, state: int | None = None, plan: Sequence[Action] | None = None
) -> str:
    """The reference planning answer in a state: the board as it is then, route, answer block.

    The state None is the start, the plan None a shortest one from there.
    """
    return _worked_out(layout, state, plan, [])


def search_target(
    layout: Layout, state: int | None = None, plan: Sequence[Action] | None = None
) -> str:
    """As `planning_target`, with the search on paper before the route."""
    return _worked_out(layout, state, plan, search_lines(layout, state))


def answer_target(
    layout: Layout, state: int | None = None, plan: Sequence[Action] | None = None
) -> str:
    """The answer block alone, of a plan as in `planning_target`."""
    plan = shortest_plan(layout, state) or [] if plan is None else plan
    return format_answer(plan, layout.task)


def perception_target(layout: Layout) -> str:
    """The reference perception answer: one line per question, those of the state first."""
    questions = get_task(layout.task).questions(layout)
    return "\n".join(f"{question.name} {question.answer}" for question in questions)


def route_line(layout: Layout, plan: Sequence[Action], state: int | None = None) -> str:
    """`route (0,0) (1,0) …`: the cells of a plan, with PICK and DROP where they happen."""
    trace = simulate(layout, plan, start=state)
    words = [str(state_cell(layout, trace.states[0]))]
    for action, state in zip(trace.actions, trace.states[1:], strict=True):
        cell = str(state_cell(layout, state))
        words.append(action_name(action) if action > Action.UP else cell)
    return f"{ROUTE} {' '.join(words)}"


def _worked_out(
    layout: Layout, state: int | None, plan: Sequence[Action] | None, search: Sequence[str]
) -> str:
    plan = shortest_plan(layout, state) or [] if plan is None else plan
    route, answer = route_line(layout, plan, state), format_answer(plan, layout.task)
    return "\n".join([describe(layout, state), *search, route, answer])
