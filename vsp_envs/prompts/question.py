"""The prompts of a board: `question`, and the parts that it is made of.

SFT, OPCD and evaluation all read this. A visual prompt is made from the task alone, never from a
layout, so it cannot hold symbolic state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from vsp_envs.core.layout import Action, Layout
from vsp_envs.core.simulator import layout_in, simulate, state_cell
from vsp_envs.core.solver import optimal_actions, shortest_plan
from vsp_envs.core.task import Question, get_task
from vsp_envs.prompts.prompt import Prompt, View
from vsp_envs.prompts.texts import fill, places_of, role_text
from vsp_envs.rendering.png import LazyImage
from vsp_envs.scoring.answer_format import action_name, format_instruction, format_plan
from vsp_envs.scoring.perception import task_questions
from vsp_envs.utils.choices import pick_name

INPUTS = ("image", "text")
ROLES_OF = {
    "plan": ("student", "text", "teacher"),
    "perceive": ("perceive", "perceive_text", "perceive_teacher"),
    "search": ("search", "search_text", "search_teacher"),
    "answer": ("answer", "answer_text", "answer_teacher"),
}
"""What a prompt asks for (a plan that opens with the state, the perception answers, a plan after a
search on paper, the plan alone) → its text by image, by text, and by text with a reference plan."""
GOALS = tuple(ROLES_OF)
Ask = Literal["plan", "search", "answer"]
"""The goals that ask for a plan."""
ACT = "act"
"""The goal of a prompt for the next actions alone."""
LEGENDS = {
    "vsp": "The elf is the player, the wrapped gift is the goal, blue openings in the ice are "
    "holes, everything else is safe ice.",
}
"""Public set → the legend of its pictures. VSP's are drawn with Gymnasium's old sprites."""


def question(
    layout: Layout,
    input: str = "image",
    goal: str = "",
    *,
    view: View | None = None,
    plan: Sequence[Action] | None = None,
    played: Sequence[Action] = (),
    chunk: int = 1,
    picture: np.ndarray[Any, Any] | LazyImage | None = None,
    art: str = "",
) -> Prompt:
    """What to ask a model about a board; `score_reply` reads its answer.

    `input` is the `image` or the board as `text`. `goal` is `plan` (the state of the board, a route
    and the answer), `search` (with a search on paper before the route, see `prompts.search`),
    `perceive` (what the board shows), `answer` (the answer alone) or `act` (the next `chunk`
    actions, after those in `played`); without one it is what the view asks for. `view` has the
    wording, theme and image size.
    `plan` is a reference plan for a teacher, which goes with `text`; without it the prompt holds no
    plan. `picture` is shown in place of our drawing; `art` names the public set that drew it.
    """
    view, task = view or View(), layout.task
    goal = pick_name("goal", goal or view.ask, (*GOALS, ACT))
    by_text = pick_name("input", input, INPUTS) == "text"
    if plan is not None and (not by_text or goal == ACT):
        raise ValueError("a reference plan goes into a text prompt for a whole answer")
    if played and goal != ACT:
        raise ValueError(f"a prompt with goal {goal!r} is about the start; `played` is for 'act'")
    if goal != ACT and by_text:
        return text_prompt(layout, goal, view.style, plan)
    state = simulate(layout, played).states[-1] if played else None
    shown = LazyImage(layout, view.pixels(layout.level), view.theme_of(task), state)
    image = shown if picture is None else picture
    if goal != ACT:
        return visual_prompt(task, image, goal, view, art)
    words = first_turn_words(layout, view, chunk, not by_text)
    if by_text:
        start = layout.cells[0] if state is None else state
        return _user(f"{words}\n{position_words(layout, played, start, '')}".strip())
    return _user(words, image)


def visual_prompt(
    task: str,
    image: np.ndarray[Any, Any] | LazyImage,
    goal: str,
    view: View,
    art: str = "",
) -> Prompt:
    """The student's prompt: the image, and words that depend on the task alone.

    `art` names the public set that drew the image, if it is not ours (see `LEGENDS`).
    """
    return _user(visual_words(task, goal, view.style, view.theme_of(task), art), image)


def blind_prompt(task: str, goal: str, view: View) -> Prompt:
    """The words of a visual prompt, without its image."""
    return _user(visual_words(task, goal, view.style, view.theme_of(task)))


@lru_cache(maxsize=256)
def visual_words(task: str, goal: str, style: str, theme: str, art: str = "") -> str:
    """The text of a visual prompt."""
    role, _, _ = ROLES_OF[pick_name("goal", goal, GOALS)]
    return _words(style, task, role, goal, legend=_legend(task, theme, art))


def teacher_prompt(
    layout: Layout, state: int, chunk: int, style: str, told: bool, goal: str = "plan"
) -> Prompt:
    """What a teacher reads in a turn that asks for the next `chunk` actions: the board as text, as
    it is in that state.

    `told` adds all actions with which a shortest plan may go on; for a `chunk` of 0, a whole plan,
    which is asked for as `goal` says.
    """
    now, task = layout_in(layout, state), get_task(layout.task)
    if chunk == 0:
        return text_prompt(now, goal, style, shortest_plan(layout, state) if told else None)
    given = {"state": task.state_text(now), "next": _how_many(chunk)}
    if not told:
        return _user(_words(style, task.name, "next_action_text", "plan", **given))
    best = ", ".join(map(action_name, optimal_actions(layout, state)))
    return _user(_words(style, task.name, "next_action_teacher", "plan", optimal=best, **given))


def text_prompt(
    layout: Layout, goal: str, style: str, plan: Sequence[Action] | None = None
) -> Prompt:
    """The board as text: the symbolic prompt of student and teacher.

    `plan` is a reference plan for the teacher; with None the prompt holds no plan.
    """
    task = get_task(layout.task)
    _, role, told = ROLES_OF[pick_name("goal", goal, GOALS)]
    state = task.state_text(layout)
    if plan is None:
        return _user(_words(style, task.name, role, goal, state=state))
    given = format_plan(plan, task.name)
    return _user(_words(style, task.name, told, goal, state=state, plan=given))


def first_turn_words(layout: Layout, view: View, chunk: int, seen: bool) -> str:
    """The text of the first turn: the task, and the request for the next `chunk` actions.

    With `seen` the board is in an image beside it; otherwise it is given as text, in its start
    state. A `chunk` of 0 asks for a whole plan, in the words of `visual_prompt` and `text_prompt`.
    """
    if chunk == 0:
        if seen:
            return visual_words(layout.task, "plan", view.style, view.theme_of(layout.task))
        return text_prompt(layout, "plan", view.style).text
    if seen:
        given, role = {"legend": _legend(layout.task, view.theme_of(layout.task))}, "next_action"
    else:
        given, role = {"state": get_task(layout.task).state_text(layout)}, "next_action_text"
    return _words(view.style, layout.task, role, "plan", next=_how_many(chunk), **given)


def next_turn_words(layout: Layout, view: View, chunk: int, seen: bool) -> str:
    """The text of a later turn: the request to go on."""
    given = {"legend": _legend(layout.task, view.theme_of(layout.task))} if seen else {}
    role = "go_on" if seen else "go_on_text"
    return _words(view.style, layout.task, role, "plan", next=_how_many(chunk), **given)


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


def result_words(results: Sequence[tuple[Action, str]]) -> str:
    """What came of the last actions: each with the reason why it had no effect, or none."""
    came = []
    for action, reason in results:
        done = "moved" if action <= Action.UP else "done"
        said = f"no effect ({reason.replace('_', ' ')})" if reason else done
        came.append(f"{action_name(action)}: {said}")
    return f"What came of it: {'; '.join(came)}." if came else "Nothing was played."


def _words(style: str, task: str, role: str, goal: str, **given: str) -> str:
    """The text of a role with its places filled: those `given`, and those that the task fills."""
    text, known = role_text(style, task, role), get_task(task)
    of_task: dict[str, Callable[[], str]] = {
        "title": lambda: known.title,
        "rules": lambda: known.rules_text,
        "notation": lambda: known.notation,
        "questions": lambda: _questions(task, goal),
        "instruction": lambda: format_instruction(task),
    }
    return fill(
        text,
        {place: given[place] if place in given else of_task[place]() for place in places_of(text)},
    )


def _legend(task: str, theme: str, art: str = "") -> str:
    return LEGENDS[art] if art else get_task(task).theme_legend(theme)


@lru_cache(maxsize=64)
def _questions(task: str, goal: str) -> str:
    asked: list[Question] = task_questions(task)
    if goal != "perceive":
        asked = [question for question in asked if question.states]
    return "\n".join(f"{question.name}: {question.text}" for question in asked)


def _how_many(chunk: int) -> str:
    if chunk == 0:
        return "the rest of the plan"
    return "the next action alone" if chunk == 1 else f"the next actions, at most {chunk},"


def _user(words: str, image: np.ndarray[Any, Any] | LazyImage | None = None) -> Prompt:
    text = {"type": "text", "text": words}
    if image is None:
        return Prompt([{"role": "user", "content": [text]}])
    return Prompt([{"role": "user", "content": [{"type": "image"}, text]}], (image,))
