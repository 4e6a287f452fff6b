"""Ways to act: a whole plan from one picture, a fresh picture after each action, or after every k.

`game` plays one board as a generator that yields requests and is sent replies, so that the same
few lines serve an agent that answers in batches and one that is asked from many threads.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from agents.agent import Prompt, Reply, Request, View
from agents.prompts import acting_turn, acting_words, position_words, refusal_words, unread_words
from vsp_envs import Layout, get_task, parse_plan
from vsp_envs.core.layout import Action, Outcome
from vsp_envs.core.simulator import rule_set
from vsp_envs.core.solver import solve_layout
from vsp_envs.rendering.png import LazyImage
from vsp_envs.scoring.answer_format import Parsed, ParseStatus
from vsp_envs.scoring.episode import Episode, score_episode
from vsp_envs.utils.choices import pick_name

WAYS = {"plan": 0, "step": 1, "chunk:3": 3}
"""Ways to act, and how many actions of a reply they play; 0 for all. Any `chunk:k` will do."""
MALFORMED = ("fail", "retry", "skip")
ILLEGAL = ("rules", "fail", "retry", "skip")


@dataclass(frozen=True, kw_only=True)
class TurnPolicy:
    """How an agent acts, and what becomes of replies that cannot be read or obeyed."""

    act: str = "plan"
    """`plan` (one reply is the whole plan), `step` (a fresh image after each action) or `chunk:k`
    (after every k actions)."""
    malformed: str = "fail"
    """A reply without a readable answer: `fail` ends the episode, `retry` asks again and says why,
    `skip` shows the board again and says nothing."""
    illegal: str = "rules"
    """An action that the rules refuse: `rules` plays it as the rule set says, `fail` ends the
    episode, `retry` leaves it out and asks again with the reason, `skip` leaves it out and goes
    on."""
    ask_again: int = 2
    """How often an episode is asked again under `retry`, after which it has failed."""
    history: int = 8
    """Earlier turns, with their images, that stay in the prompt."""
    max_turns: int = 50
    """Replies per episode at most."""

    def check(self) -> TurnPolicy:
        """Itself; a ValueError for what cannot be.

        Not at its making: the command line would report it in its own form, and not in ours.
        """
        pick_name("policy on malformed replies", self.malformed, MALFORMED)
        pick_name("policy on illegal actions", self.illegal, ILLEGAL)
        read_way(self.act)
        if min(self.ask_again, self.history) < 0 or self.max_turns < 1:
            raise ValueError(
                "ask_again and history are at least 0 and max_turns at least 1, got "
                f"{self.ask_again}, {self.history} and {self.max_turns}"
            )
        return self

    @property
    def chunk(self) -> int:
        """Actions that are played of each reply; 0 for all."""
        return read_way(self.act)

    @property
    def one_reply(self) -> bool:
        """Whether an episode is one prompt and one reply, scored as it stands."""
        return self.act == "plan" and self.malformed != "retry" and self.illegal == "rules"


def read_way(act: str) -> int:
    """Actions that a way to act plays of each reply; 0 for all. Raises ValueError for no way."""
    kind, _, size = act.partition(":")
    if kind == "chunk" and size.isdecimal() and int(size) > 0:
        return int(size)
    return WAYS[pick_name("way to act", act, WAYS)]


class Turn(NamedTuple):
    """What was shown, and what came of it."""

    image: LazyImage | None
    words: str
    reply: str


@dataclass
class GameState:
    """A board in play."""

    layout: Layout
    acting: TurnPolicy
    rules: str
    state: int
    played: list[Action] = field(default_factory=list)
    refused: int = 0
    """Illegal actions that were left out."""
    reason: str = ""
    """Why the last of them was refused."""
    over: bool = False

    def take(self, plan: Sequence[Action]) -> str:
        """Play what the acting allows of a plan; returns what to tell the agent, if anything."""
        solved, task = solve_layout(self.layout), get_task(self.layout.task)
        for action in plan[: self.acting.chunk or None]:
            outcome = Outcome(solved.outcome[self.state][action])
            if outcome is Outcome.ILLEGAL and self.acting.illegal in ("retry", "skip"):
                self.refused += 1
                self.reason = task.reasons[solved.reason[self.state, action]]
                if self.acting.illegal == "retry":
                    return refusal_words(action, self.reason)
                continue
            self.played.append(action)
            self.state = solved.next_state[self.state][action]
            if self._ends(outcome):
                self.over = True
                return ""
        return ""

    def _ends(self, outcome: Outcome) -> bool:
        if outcome is Outcome.ILLEGAL:
            return self.acting.illegal == "fail" or rule_set(self.rules).ends(self.layout.task)
        return outcome is not Outcome.RUNNING


def play_turns(
    layout: Layout, input: str, view: View, acting: TurnPolicy, rules: str, name: str = ""
) -> Generator[Request, Reply, Episode]:
    """One board in several turns: yields requests, is sent replies, returns the episode.

    `name` is the case's, for the record.
    """
    play = GameState(layout, acting, rules, solve_layout(layout).start)
    turns: list[Turn] = []
    replies: list[tuple[Reply, Parsed, int]] = []
    feedback, asked_again = "", 0
    while not play.over and len(turns) < acting.max_turns:
        image = None
        if input == "image":
            image = LazyImage(layout, view.pixels(layout.level), view.theme, play.state)
        words = (
            feedback
            if image is not None
            else position_words(layout, play.played, play.state, feedback)
        )
        prompt = chat(layout, view, acting, turns, Turn(image, words, ""))
        reply = yield Request(prompt, layout, len(play.played))
        parsed, before = parse_plan(reply.text, layout.task), len(play.played)
        turns.append(Turn(image, words, reply.text))
        feedback = "" if reply.error else _take(play, parsed)
        replies.append((reply, parsed, len(play.played) - before))
        retried = feedback or (parsed.status is not ParseStatus.OK and acting.malformed == "retry")
        asked_again += bool(retried)
        if reply.error or asked_again > acting.ask_again:
            break
        if acting.act == "plan" and not retried:
            break
    return replace(_episode(play, input, view, acting, replies), case=name)


def _take(play: GameState, parsed: Parsed) -> str:
    if parsed.status is ParseStatus.OK:
        return play.take(parsed.plan)
    play.over = play.acting.malformed == "fail"
    return unread_words(parsed.status, play.layout.task) if play.acting.malformed == "retry" else ""


def chat(
    layout: Layout, view: View, acting: TurnPolicy, turns: Sequence[Turn], now: Turn
) -> Prompt:
    """The prompt of a turn: the task, the turns that stay in it, and what is to be seen now."""
    kept = [*turns[len(turns) - min(len(turns), acting.history) :], now]
    messages: list[dict[str, Any]] = []
    for place, turn in enumerate(kept):
        shown = [{"type": "image"}] if turn.image is not None else []
        ask = (acting_turn if place else acting_words)(layout, view, acting.chunk, bool(shown))
        words = "\n".join(filter(None, [ask, turn.words] if place == 0 else [turn.words, ask]))
        messages.append({"role": "user", "content": [*shown, {"type": "text", "text": words}]})
        if turn is not now:  # some endpoints refuse an empty message
            answer = {"type": "text", "text": turn.reply or "(no answer)"}
            messages.append({"role": "assistant", "content": [answer]})
    return Prompt(messages, tuple(turn.image for turn in kept if turn.image is not None))


def _episode(
    play: GameState,
    input: str,
    view: View,
    acting: TurnPolicy,
    replies: Sequence[tuple[Reply, Parsed, int]],
) -> Episode:
    layout, last = play.layout, replies[-1][1]
    return score_episode(
        layout,
        "\n\n".join(reply.text for reply, _, _ in replies),
        play.rules,
        parsed=Parsed(last.status, play.played, last.answer),
        input=input,
        image={"theme": view.theme, "pixels": view.pixels(layout.level)},
        prompt=acting_words(layout, view, acting.chunk, input == "image"),
        error=replies[-1][0].error,
        tokens=sum(reply.tokens for reply, _, _ in replies),
        prompt_tokens=sum(reply.prompt_tokens for reply, _, _ in replies),
        cost=sum(reply.cost for reply, _, _ in replies),
        turns=[
            {"reply": reply.text, "status": str(parsed.status), "played": played}
            for reply, parsed, played in replies
        ],
        refused=play.refused,
    )
