"""What an agent is: it answers prompts about boards, many at a time."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from vsp_envs.core.layout import Layout
from vsp_envs.prompts.prompt import Prompt, View
from vsp_envs.utils.files import storable


class Request(NamedTuple):
    """One question to an agent. `layout` is privileged: only scripted agents may read it."""

    prompt: Prompt
    layout: Layout
    played: int = 0
    """Actions of the agent so far, played or refused, in an episode of several turns."""
    sample: int = 0
    """Which of several answers to the board is asked for."""
    state: int | None = None
    """The state that is asked about, privileged like `layout`; None: the start."""
    turn: int = 0
    """Turns before this one; the prompt may hold fewer."""
    game: int = 0
    """Number of the episode among those that are played side by side."""

    def seed(self, run_seed: int) -> int:
        """The seed to sample from: the same in any order and batch, another for each board, sample
        and turn."""
        seen = f"{run_seed} {self.layout.layout_id} {len(self.prompt.messages)}"
        seen += f" {self.sample}" if self.sample else ""
        if len(self.prompt.messages) != 2 * self.turn + 1:  # else they tell the turns apart
            seen += f" turn {self.turn}"
        return zlib.crc32(seen.encode()) >> 1


@dataclass(frozen=True)
class Reply:
    """An agent's answer, or the reason why there is none."""

    text: str = ""
    tokens: int = 0
    """Tokens generated; 0 for agents without a tokenizer."""
    error: str = ""
    """Why no answer came. Counted as a failure, never left out of a rate."""
    prompt_tokens: int = 0
    """Tokens of the prompt, images included."""
    cost: float = 0.0
    """Dollars that the endpoint charges, at the prices given for it."""
    ids: tuple[int, ...] = ()
    """The sampled tokens, the end token included, from backends that run in this process."""
    logprobs: tuple[float, ...] = ()
    """The log-probability of each of `ids`, at the sampling temperature."""
    finish_reason: str = ""
    """Why the model stopped, in the words of its endpoint: `stop`, `length`, `content_filter` …"""
    refusal: str = ""
    """What it says in place of an answer that it refuses to give."""
    reasoning: str = ""
    """What it thought, where that is told apart from what it said."""
    request_id: str = ""
    """What the endpoint calls the request, to be asked about it."""
    latency: float = 0.0
    """Seconds from the request that was answered to its answer; 0 for agents of this process."""

    def __post_init__(self) -> None:
        # An agent may return any text; what is stored must be text that a file can hold.
        for name in ("text", "error", "finish_reason", "refusal", "reasoning", "request_id"):
            object.__setattr__(self, name, storable(getattr(self, name)))

    def told(self) -> dict[str, Any]:
        """What an endpoint tells beside the text; what it leaves out is not there."""
        names = ("finish_reason", "refusal", "reasoning", "request_id", "latency")
        return {name: value for name in names if (value := getattr(self, name))}


class Agent(Protocol):
    """Answers requests in the order given; never raises for a single bad one.

    An agent with a method `submit`, which takes a request and returns a `Future` of its reply, gets
    twice `concurrency` requests at once; any other gets its requests in batches. `settings()`, if
    there is one, returns what its replies depend on; `close()` is called at the end. An agent with
    a true `plans_only` answers no questions about the board.
    """

    name: str
    view: View

    def reply(self, requests: Sequence[Request]) -> list[Reply]:
        """One reply per request."""
        ...
