"""Play a batch of boards: cases in, episodes with replies and scores out."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from queue import SimpleQueue

import numpy as np
from PIL import Image

from agents.agent import Agent, Prompt, Reply, Request, View
from agents.multi_turn import TurnPolicy, play_turns
from agents.prompts import text_prompt, visual_prompt
from vsp_envs import Layout
from vsp_envs.core.solver import solve_layouts
from vsp_envs.envs.vector_env import PlanningVectorEnv
from vsp_envs.rendering.png import LazyImage
from vsp_envs.scoring.episode import Episode, score_episode
from vsp_envs.utils.choices import pick_name

INPUTS = ("image", "text")
Game = Generator[Request, Reply, Episode]


@dataclass(frozen=True)
class Case:
    """A board to be played, and how it is shown."""

    layout: Layout
    input: str = "image"
    """`image` or `text`."""
    goal: str = "plan"
    """`plan` or `perceive`."""
    name: str = ""
    """The file of a public test set that it is from."""
    picture: str = ""
    """A PNG file to show in place of our own drawing."""
    art: str = ""
    """Whose drawing `picture` is; see `agents.prompts.LEGENDS`."""


MOST_PIXELS = 4096
"""Longest side of a picture from a file."""


@lru_cache(maxsize=64)
def live_envs(
    task: str,
    level: int,
    view: View,
    split: str | None,
    count: int,
    exclude: frozenset[str] = frozenset(),
) -> PlanningVectorEnv:
    """`count` environments in one that show boards as `view` wants them. Shared: reset them before
    use.

    `exclude` are the canonical hashes of layouts that are never drawn.
    """
    return PlanningVectorEnv(
        count, task, infos=False, level=level, image_size=view.pixels(level), theme=view.theme,
        split=split, observation="image", exclude=exclude,
    )  # fmt: skip


def prompt_of(case: Case, view: View) -> Prompt:
    """The prompt of a case, in the wording and drawing of `view`."""
    if pick_name("input", case.input, INPUTS) == "text":
        return text_prompt(case.layout, case.goal, view.style)
    layout = case.layout
    drawing = LazyImage(layout, view.pixels(layout.level), view.theme)
    shown = read_picture(case.picture) if case.picture else drawing
    return visual_prompt(layout.task, shown, case.goal, view, case.art)


def read_picture(path: str) -> np.ndarray:
    """A picture file as uint8[height, width, 3]. Raises ValueError that names one that is none."""
    try:
        with Image.open(path) as picture:
            if max(picture.size) > MOST_PIXELS:
                raise ValueError(f"its sides are {picture.size}, more than {MOST_PIXELS} px")
            return np.array(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} is no picture to show: {error}") from None


def play(
    agent: Agent,
    cases: Sequence[Case],
    rules: str = "env",
    batch_size: int = 64,
    acting: TurnPolicy | None = None,
) -> Iterator[Episode]:
    """Have the agent act on every board and score it; episodes come in the order of the cases."""
    waiting: dict[int, Episode] = {}
    place = 0
    for number, finished in play_unordered(agent, cases, rules, batch_size, acting):
        waiting[number] = finished
        while place in waiting:
            yield waiting.pop(place)
            place += 1


def play_unordered(
    agent: Agent,
    cases: Sequence[Case],
    rules: str = "env",
    batch_size: int = 64,
    acting: TurnPolicy | None = None,
) -> Iterator[tuple[int, Episode]]:
    """Like `play`, each episode with the number of its case and as soon as it is finished."""
    how = (acting or TurnPolicy()).check()
    games = (
        (number, start(case, agent.view, how, rules))
        for number, case in enumerate(_solved_ahead(cases))
    )
    threads = getattr(agent, "concurrency", 0)
    try:
        yield from (
            _in_threads(agent, games, threads) if threads else _in_batches(agent, games, batch_size)
        )
    finally:
        getattr(agent, "close", lambda: None)()


def _solved_ahead(cases: Sequence[Case]) -> Iterator[Case]:
    """The cases; boards that are solved many at a time take a fraction of the time."""
    for first in range(0, len(cases), 256):
        some = cases[first : first + 256]
        solve_layouts([case.layout for case in some])
        yield from some


def start(case: Case, view: View, acting: TurnPolicy, rules: str) -> Game:
    """The game of a case: yields requests, is sent replies, returns the episode."""
    if case.goal == "plan" and not acting.one_reply:
        if case.picture:
            raise ValueError("a picture from a file shows the start alone; use --act plan")
        return play_turns(case.layout, case.input, view, acting, rules, case.name)
    return _one_reply(case, view, rules)


def _one_reply(case: Case, view: View, rules: str) -> Game:
    prompt = prompt_of(case, view)
    reply = yield Request(prompt, case.layout)
    return episode(case, prompt, reply, view, rules)


def _in_batches(
    agent: Agent, games: Iterator[tuple[int, Game]], batch_size: int
) -> Iterator[tuple[int, Episode]]:
    """A batch of games side by side; a game that ends makes room for the next."""
    table: list[tuple[int, Game, Request]] = []
    while True:
        table += [
            (number, each, next(each)) for number, each in islice(games, batch_size - len(table))
        ]
        if not table:
            return
        replies = agent.reply([request for _, _, request in table])
        going = []
        for (number, each, _), reply in zip(table, replies, strict=True):
            try:
                going.append((number, each, each.send(reply)))
            except StopIteration as end:
                yield number, end.value
        table = going


def _in_threads(
    agent: Agent, games: Iterator[tuple[int, Game]], threads: int
) -> Iterator[tuple[int, Episode]]:
    """A request to a thread, so that none waits for another; the games are played in this one."""
    pool, answered = ThreadPoolExecutor(threads), SimpleQueue[Future[list[Reply]]]()
    under_way: dict[Future[list[Reply]], tuple[int, Game]] = {}

    def ask(number: int, played: Game, request: Request) -> None:
        future = pool.submit(agent.reply, [request])
        under_way[future] = number, played
        future.add_done_callback(answered.put)

    try:
        while True:
            for number, each in islice(games, 2 * threads - len(under_way)):
                ask(number, each, next(each))
            if not under_way:
                return
            future = answered.get()
            number, each = under_way.pop(future)
            [reply] = future.result()
            try:
                ask(number, each, each.send(reply))
            except StopIteration as end:
                yield number, end.value
    finally:
        pool.shutdown(cancel_futures=True)


def episode(case: Case, prompt: Prompt, reply: Reply, view: View, rules: str) -> Episode:
    """Score a reply and keep all that is needed to look at it again."""
    return score_episode(
        case.layout,
        reply.text,
        rules,
        input=case.input,
        image={"theme": view.theme, "pixels": view.pixels(case.layout.level)},
        prompt=prompt.text,
        tokens=reply.tokens,
        error=reply.error,
        prompt_tokens=reply.prompt_tokens,
        cost=reply.cost,
        case=case.name,
    )
