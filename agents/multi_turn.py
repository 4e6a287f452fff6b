"""Ways to act: a whole plan from one image, a fresh image after each action, or after every k.

`play_turns` plays one board as a generator that yields requests and is sent replies. The same code
serves an agent that answers in batches and one that is asked from many threads.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from agents.agent import Prompt, Reply, Request, View
from vsp_envs import Layout, get_task, parse_plan
from vsp_envs.core.layout import MOVES, Action, Outcome
from vsp_envs.core.simulator import rule_set
from vsp_envs.core.solver import solve_layout
from vsp_envs.prompts.question import (
    first_turn_words,
    next_turn_words,
    position_words,
    refusal_words,
    result_words,
    unread_words,
)
from vsp_envs.rendering.png import LazyImage
from vsp_envs.scoring.answer_format import Parsed, ParseStatus
from vsp_envs.scoring.episode import Episode, score_episode
from vsp_envs.utils.choices import pick_name

WAYS = {"plan": 0, "step": 1, "chunk:3": 3}
"""Way to act → how many actions of each reply are played, 0 for all. `k` of `chunk:k` is free."""
OnMalformed = Literal["fail", "retry", "skip"]
OnIllegal = Literal["rules", "fail", "retry", "skip"]
Picture = np.ndarray[Any, Any] | LazyImage
ONE_REPLY = "--act plan, --illegal rules, no --push and no retries"
"""What `TurnPolicy.one_reply` means, for errors."""
LATER = ("feedback", "push")
"""Settings that older runs do not name."""


@dataclass(frozen=True, kw_only=True)
class TurnPolicy:
    """How an agent acts, and what happens after a reply that cannot be read or played."""

    act: str = "plan"
    """`plan` (one reply is the whole plan), `step` (a fresh image after each action) or `chunk:k`
    (after every k actions)."""
    malformed: OnMalformed = "fail"
    """A reply without a readable answer: `fail` ends the episode, `retry` asks again and says why,
    `skip` shows the board again and says nothing."""
    illegal: OnIllegal = "rules"
    """An illegal action: `rules` plays it as the rule set says, `fail` ends the episode, `retry`
    leaves it out and asks again with the reason, `skip` leaves it out and plays on."""
    ask_again: int = 2
    """Retries per episode under `retry`; after them the episode has failed."""
    history: int = 8
    """Earlier turns, with their images, that stay in the prompt."""
    max_turns: int = 50
    """Most replies per episode."""
    feedback: bool = False
    """Say in words what came of the last actions: moved, or no effect and why."""
    push: bool = False
    """Push the agent once in mid-episode: a random legal move from which the board can still be
    solved, after a random number of its own actions, fewer than a shortest plan has."""

    def check(self) -> TurnPolicy:
        """Return itself; raises ValueError for invalid values.

        Not in `__post_init__`: tyro would report the error in its own form, not in our one line.
        """
        pick_name("policy on malformed replies", self.malformed, get_args(OnMalformed))
        pick_name("policy on illegal actions", self.illegal, get_args(OnIllegal))
        read_way(self.act)
        if min(self.ask_again, self.history) < 0 or self.max_turns < 1:
            raise ValueError(
                "ask_again and history are at least 0 and max_turns at least 1, got "
                f"{self.ask_again}, {self.history} and {self.max_turns}"
            )
        if self.feedback and self.act == "plan" and self.illegal != "retry":
            raise ValueError(
                "--feedback is about the actions of the turn before, and with --act plan no turn "
                "follows one; give --act step or chunk:k, or leave out --feedback"
            )
        return self

    def flags(self) -> list[str]:
        """What gives this policy to an evaluation; nothing where one reply is all there is."""
        if self.one_reply:
            return []
        flags: list[str] = []
        for name, value in asdict(self).items():
            if value != getattr(TurnPolicy, name):
                flags += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
        return flags

    @property
    def chunk(self) -> int:
        """How many actions of each reply are played; 0 for all."""
        return read_way(self.act)

    @property
    def one_reply(self) -> bool:
        """Whether an episode is one prompt and one reply, scored as it stands."""
        return not self.asks_again and self.illegal == "rules" and not self.push

    @property
    def asks_again(self) -> bool:
        """Whether an episode may have several replies."""
        return self.act != "plan" or "retry" in (self.malformed, self.illegal)

    def settings(self) -> dict[str, Any]:
        """What a run keeps of it; a setting that older runs do not name only where it is not the
        default, so that they resume."""
        return {name: value for name, value in asdict(self).items() if name not in LATER or value}


def read_way(act: str) -> int:
    """How many actions of each reply a way to act plays; 0 for all. Raises ValueError."""
    name, _, size = act.partition(":")
    if name == "chunk" and size.isdecimal() and int(size) > 0:
        return int(size)
    return WAYS[pick_name("way to act", act, WAYS)]


class Turn(NamedTuple):
    """What the agent was shown, and its reply."""

    image: Picture | None
    words: str
    reply: str


class Push(NamedTuple):
    """A push that is to come."""

    after: int
    """Actions of the agent before it."""
    draw: float
    """Which of the moves that are possible there, from 0 to below 1."""


def push_of(layout: Layout, sample: int) -> Push | None:
    """The push of an episode, the same for every agent; None on a board with no middle."""
    solved = solve_layout(layout)
    length = solved.distance[solved.start]
    if length < 2:
        return None
    rng = np.random.default_rng([int(layout.layout_id, 16), sample])
    return Push(int(rng.integers(1, length)), float(rng.random()))


@dataclass
class GameState:
    """A board that is being played."""

    layout: Layout
    turn_policy: TurnPolicy
    rules: str
    state: int
    push: Push | None = None
    played: list[Action] = field(default_factory=list)
    """A push counts among them."""
    pushed: int = 0
    """Which of `played` was the push, from 1; 0: none."""
    refused: int = 0
    """Illegal actions that were left out."""
    results: list[tuple[Action, str]] = field(default_factory=list)
    """The agent's actions of this turn, each with the reason why it had no effect, or none."""
    over: bool = False

    @property
    def own(self) -> int:
        """How many actions of the agent were played."""
        return len(self.played) - bool(self.pushed)

    def play(self, plan: Sequence[Action]) -> str:
        """Play as much of a plan as the policy allows. Returns what a retry says, if any."""
        solved, task = solve_layout(self.layout), get_task(self.layout.task)
        self.results = []
        for action in plan[: self.turn_policy.chunk or None]:
            outcome, reason = Outcome(solved.outcome[self.state][action]), ""
            if outcome is Outcome.ILLEGAL:
                reason = task.reasons[solved.reason[self.state, action]]
            self.results.append((action, reason))
            if reason and self.turn_policy.illegal in ("retry", "skip"):
                self.refused += 1
                if self.turn_policy.illegal == "retry":
                    return refusal_words(action, reason)
                continue
            self.played.append(action)
            self.state = solved.next_state[self.state][action]
            if self._ends(outcome):
                self.over = True
                return ""
            if self.push and self.own == self.push.after:
                self._push(self.push.draw)
        return ""

    def _push(self, draw: float) -> None:
        solved = solve_layout(self.layout)
        after, outcomes = solved.next_state[self.state], solved.outcome[self.state]
        moves = [
            move
            for move in MOVES
            if outcomes[move] == Outcome.RUNNING and solved.distance[after[move]] > 0
        ]
        self.push = None
        if moves:
            self.played.append(moves[int(draw * len(moves))])
            self.pushed, self.state = len(self.played), after[self.played[-1]]

    def _ends(self, outcome: Outcome) -> bool:
        if outcome is Outcome.ILLEGAL:
            return self.turn_policy.illegal == "fail" or rule_set(self.rules).ends(self.layout.task)
        return outcome is not Outcome.RUNNING


def play_turns(
    layout: Layout,
    input: str,
    view: View,
    turn_policy: TurnPolicy,
    rules: str,
    name: str = "",
    reader: str = "strict",
    sample: int = 0,
    show: Callable[[int], Picture] | None = None,
) -> Generator[Request, Reply, Episode]:
    """One board in several turns: yields requests, is sent replies, returns the episode.

    `name` is the name of the case; it goes into the episode. `show` draws a state in place of our
    drawing.
    """
    push = push_of(layout, sample) if turn_policy.push else None
    game = GameState(layout, turn_policy, rules, solve_layout(layout).start, push)
    turns: list[Turn] = []
    replies: list[tuple[Reply, Parsed, int]] = []
    feedback, asked_again = "", 0
    while not game.over and len(turns) < turn_policy.max_turns:
        image: Picture | None = None
        if input == "image" and show:
            image = show(game.state)
        elif input == "image":
            image = LazyImage(
                layout, view.pixels(layout.level), view.theme_of(layout.task), game.state
            )
        words = (
            feedback
            if image is not None
            else position_words(layout, game.played, game.state, feedback)
        )
        prompt = chat(layout, view, turn_policy, turns, Turn(image, words, ""))
        tried = game.own + game.refused
        reply = yield Request(prompt, layout, tried, sample, game.state, len(turns))
        parsed, before = parse_plan(reply.text, layout.task, reader=reader), len(game.played)
        turns.append(Turn(image, words, reply.text))
        again = "" if reply.error else _take(game, parsed)
        replies.append((reply, parsed, len(game.played) - before))
        unread = parsed.status is not ParseStatus.OK
        retried = bool(again) or (unread and turn_policy.malformed == "retry")
        asked_again += retried
        if reply.error or asked_again > turn_policy.ask_again:
            break
        if turn_policy.act == "plan" and not retried:
            break
        came = result_words(game.results) if turn_policy.feedback and not unread else ""
        feedback = "\n".join(filter(None, [came, again]))
    return replace(_episode(game, input, view, turn_policy, replies), case=name, sample=sample)


def _take(game: GameState, parsed: Parsed) -> str:
    if parsed.status is ParseStatus.OK:
        return game.play(parsed.plan)
    game.over = game.turn_policy.malformed == "fail"
    retry = game.turn_policy.malformed == "retry"
    return unread_words(parsed.status, game.layout.task) if retry else ""


def chat(
    layout: Layout, view: View, turn_policy: TurnPolicy, turns: Sequence[Turn], now: Turn
) -> Prompt:
    """The prompt of a turn: the task, the last turns of `history`, and what is shown now."""
    kept = [*turns[len(turns) - min(len(turns), turn_policy.history) :], now]
    messages: list[dict[str, Any]] = []
    for index, turn in enumerate(kept):
        shown = [{"type": "image"}] if turn.image is not None else []
        ask_words = next_turn_words if index else first_turn_words
        ask = ask_words(layout, view, turn_policy.chunk, bool(shown))
        words = "\n".join(filter(None, [ask, turn.words] if index == 0 else [turn.words, ask]))
        messages.append({"role": "user", "content": [*shown, {"type": "text", "text": words}]})
        if turn is not now:  # "(no answer)": some endpoints refuse an empty message
            answer = {"type": "text", "text": turn.reply or "(no answer)"}
            messages.append({"role": "assistant", "content": [answer]})
    return Prompt(messages, tuple(turn.image for turn in kept if turn.image is not None))


def _episode(
    game: GameState,
    input: str,
    view: View,
    turn_policy: TurnPolicy,
    replies: Sequence[tuple[Reply, Parsed, int]],
) -> Episode:
    layout, last = game.layout, replies[-1][1]
    return score_episode(
        layout,
        "\n\n".join(reply.text for reply, _, _ in replies),
        game.rules,
        parsed=Parsed(last.status, game.played, last.answer),
        input=input,
        image={"theme": view.theme_of(layout.task), "pixels": view.pixels(layout.level)},
        prompt=first_turn_words(layout, view, turn_policy.chunk, input == "image"),
        error=replies[-1][0].error,
        tokens=sum(reply.tokens for reply, _, _ in replies),
        prompt_tokens=sum(reply.prompt_tokens for reply, _, _ in replies),
        cost=sum(reply.cost for reply, _, _ in replies),
        turns=[
            {"reply": reply.text, "status": str(parsed.status), "played": played, **reply.told()}
            for reply, parsed, played in replies
        ],
        refused=game.refused,
        pushed=game.pushed,
        **replies[-1][0].told(),
    )
