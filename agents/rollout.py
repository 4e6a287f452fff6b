"""Play a batch of boards: cases in, episodes with replies and scores out."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from queue import SimpleQueue
from typing import Any

from agents.agent import Agent, Prompt, Reply, Request, View
from agents.multi_turn import ONE_REPLY, Picture, TurnPolicy, play_turns
from agents.own import replies_of
from vsp_envs import Layout
from vsp_envs.core.solver import solve_layouts
from vsp_envs.envs.vector_env import PlanningVectorEnv
from vsp_envs.prompts.question import ROLES_OF, question
from vsp_envs.rendering.picture_file import picture_pixels
from vsp_envs.scoring.episode import Episode, score_episode

LAST_SECONDS = 10.0
"""How long a run that ends with an error waits for the replies that are under way."""

Turns = Generator[Request, Reply, Episode]
"""An episode in play: yields requests, is sent replies, returns the episode."""


@dataclass(frozen=True)
class Case:
    """A board to play, and how it is shown."""

    layout: Layout
    input: str = "image"
    """`image` or `text`."""
    goal: str = "plan"
    """What is asked, one of `GOALS`."""
    name: str = ""
    """The file of a public test set that the board is from."""
    picture: str = ""
    """A PNG file to show in place of our own drawing."""
    picture_size: int = 0
    """Side to which `picture` is resized, in pixels; 0: as it is."""
    art: str = ""
    """The public set that drew `picture`; see `vsp_envs.prompts.question.LEGENDS`."""
    sample: int = 0
    """Which of several answers to the board this is, from 0."""
    show: Callable[[int], Picture] | None = None
    """What draws a state of the board, in place of our own drawing as the view has it."""


@lru_cache(maxsize=64)
def live_envs(
    task: str,
    level: int,
    view: View,
    split: str | None,
    count: int,
    exclude: frozenset[str] = frozenset(),
    **wanted: Any,
) -> PlanningVectorEnv:
    """A vector environment of `count` boards, shown as `view` asks. Cached: reset it before use.

    `exclude` holds canonical hashes of layouts that are never sampled; `wanted` are other arguments
    of the environments, such as `min_plan`.
    """
    return PlanningVectorEnv(
        count, task, infos=False, level=level, image_size=view.pixels(level),
        theme=view.theme_of(task), split=split, observation="image", exclude=exclude,
        **wanted,
    )  # fmt: skip


def prompt_of(case: Case, view: View) -> Prompt:
    """The prompt of a case, in the style and theme of `view`.

    For a view with pixels per cell a picture from a file is scaled to that.
    """
    picture: Picture | None = None
    if case.input == "image" and case.picture:
        size = view.pixels(case.layout.level) if view.cell_pixels else case.picture_size
        picture = picture_pixels(case.picture, size)
    elif case.input == "image" and case.show:
        picture = case.show(case.layout.cells[0])
    return question(case.layout, case.input, case.goal, view=view, picture=picture, art=case.art)


def play(
    agent: Agent,
    cases: Sequence[Case],
    rules: str = "env",
    batch_size: int = 64,
    turn_policy: TurnPolicy | None = None,
    reader: str = "strict",
) -> Iterator[Episode]:
    """Let the agent act on every board and score it. Episodes come in the order of the cases."""
    waiting: dict[int, Episode] = {}
    following = 0
    for number, finished in play_unordered(agent, cases, rules, batch_size, turn_policy, reader):
        waiting[number] = finished
        while following in waiting:
            yield waiting.pop(following)
            following += 1


def play_unordered(
    agent: Agent,
    cases: Sequence[Case],
    rules: str = "env",
    batch_size: int = 64,
    turn_policy: TurnPolicy | None = None,
    reader: str = "strict",
) -> Iterator[tuple[int, Episode]]:
    """Like `play`, but each episode comes once it is finished, with the number of its case."""
    policy = (turn_policy or TurnPolicy()).check()
    waiting = (
        (number, start_turns(case, agent.view, policy, rules, reader))
        for number, case in enumerate(_solved_ahead(cases))
    )
    ahead = 2 * getattr(agent, "concurrency", 0) if hasattr(agent, "submit") else 0
    try:
        yield from (
            _as_answered(agent, waiting, ahead)
            if ahead
            else play_together(partial(replies_of, agent), waiting, batch_size)
        )
    finally:
        getattr(agent, "close", lambda: None)()


def _solved_ahead(cases: Sequence[Case]) -> Iterator[Case]:
    """The cases. Boards solved many at a time take a fraction of the time."""
    for first in range(0, len(cases), 256):
        some = cases[first : first + 256]
        solve_layouts([case.layout for case in some])
        yield from some


def start_turns(
    case: Case, view: View, turn_policy: TurnPolicy, rules: str, reader: str = "strict"
) -> Turns:
    """The turns of a case, one or several."""
    check_case(case, turn_policy)
    if case.goal == "plan" and not turn_policy.one_reply:
        return play_turns(
            case.layout, case.input, view, turn_policy, rules, case.name, reader, case.sample,
            case.show,
        )  # fmt: skip
    return _one_reply(case, view, rules, reader)


def check_case(case: Case, turn_policy: TurnPolicy) -> None:
    """Raise ValueError for a case that cannot be played in turns, under a policy that asks so."""
    check_asked(case.goal, turn_policy)
    if case.goal != "plan" or turn_policy.one_reply:
        return
    if case.picture and case.input == "image":
        raise ValueError(
            f"{case.name}: a picture from a file shows only the start; take --pictures rendered, "
            f"or {ONE_REPLY}"
        )


def asked_of(view: View, turn_policy: TurnPolicy) -> str:
    """The goal of a plan for an agent with this view, where nothing else is said."""
    return view.ask if turn_policy.one_reply else "plan"


def check_asked(goal: str, turn_policy: TurnPolicy) -> None:
    """Raise ValueError for a goal that is not asked for in several turns."""
    if goal not in ("plan", "perceive") and not turn_policy.one_reply:
        raise ValueError(f"--ask {goal} asks once for a whole plan; take {ONE_REPLY}")


def roles_of(case: Case, turn_policy: TurnPolicy | None = None) -> list[str]:
    """The roles of the prompts that a case needs; see `vsp_envs.prompts.texts`."""
    return turn_roles(case.input, case.goal, turn_policy or TurnPolicy())


def turn_roles(input: str, goal: str, policy: TurnPolicy) -> list[str]:
    """The roles of the prompts of such cases, under a policy."""
    seen = input == "image"
    roles = [ROLES_OF[goal][0 if seen else 1]]
    if goal == "plan" and not policy.one_reply:
        later = "go_on" if seen else "go_on_text"
        first = "next_action" if seen else "next_action_text"
        roles = [first if policy.chunk else roles[0], later]
    return roles


def _one_reply(case: Case, view: View, rules: str, reader: str) -> Turns:
    prompt = prompt_of(case, view)
    reply = yield Request(prompt, case.layout, sample=case.sample)
    return score_case(case, prompt, reply, view, rules, reader)


def play_together(
    answer: Callable[[Sequence[Request]], Sequence[Reply]],
    waiting: Iterator[tuple[int, Turns]],
    at_once: int,
) -> Iterator[tuple[int, Episode]]:
    """Play numbered episodes side by side: one call of `answer` for a turn of all of them.

    At most `at_once` are in play; one that ends makes room for the next. Each comes with its number
    once it is finished. Evaluation and training play by this.
    """
    running: list[tuple[int, Turns, Request]] = []
    while True:
        running += [
            (number, turns, next(turns)._replace(game=number))
            for number, turns in islice(waiting, at_once - len(running))
        ]
        if not running:
            return
        replies = answer([request for _, _, request in running])
        going = []
        for (number, turns, _), reply in zip(running, replies, strict=True):
            try:
                going.append((number, turns, turns.send(reply)._replace(game=number)))
            except StopIteration as end:
                yield number, end.value
        running = going


def _as_answered(
    agent: Any, waiting: Iterator[tuple[int, Turns]], ahead: int
) -> Iterator[tuple[int, Episode]]:
    """Up to `ahead` requests under way, so that none waits for another's reply.

    If an error or Ctrl-C ends it, the replies that have come are played first. An error waits for
    those that are under way, which are paid for.
    """
    answered = SimpleQueue[Future[Reply]]()
    pending: dict[Future[Reply], tuple[int, Turns]] = {}

    def ask(number: int, turns: Turns, request: Request) -> None:
        future = agent.submit(request)
        pending[future] = number, turns
        future.add_done_callback(answered.put)

    try:
        while True:
            for number, turns in islice(waiting, ahead - len(pending)):
                ask(number, turns, next(turns))
            if not pending:
                return
            future = answered.get()
            number, turns = pending[future]
            reply = future.result()
            del pending[future]
            try:
                ask(number, turns, turns.send(reply))
            except StopIteration as end:
                yield number, end.value
    except (Exception, KeyboardInterrupt) as stopped:
        with suppress(KeyboardInterrupt):
            wait(pending, 0 if isinstance(stopped, KeyboardInterrupt) else LAST_SECONDS)
        for future, (number, turns) in pending.items():
            if future.done() and not future.cancelled() and not future.exception():
                try:
                    turns.send(future.result())
                except StopIteration as end:
                    yield number, end.value
        raise


def score_case(
    case: Case, prompt: Prompt, reply: Reply, view: View, rules: str, reader: str = "strict"
) -> Episode:
    """The episode of a case with one reply."""
    return score_episode(
        case.layout,
        reply.text,
        rules,
        reader=reader,
        input=case.input,
        image={"theme": view.theme_of(case.layout.task), "pixels": view.pixels(case.layout.level)},
        prompt=prompt.text,
        tokens=reply.tokens,
        error=reply.error,
        prompt_tokens=reply.prompt_tokens,
        cost=reply.cost,
        case=case.name,
        sample=case.sample,
        **reply.told(),
    )
