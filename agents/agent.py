"""What an agent is: it answers prompts about boards, many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from vsp_envs.core.layout import Layout
from vsp_envs.rendering.png import LazyImage
from vsp_envs.utils.files import storable

Style = Literal["full", "brief"]


@dataclass(frozen=True)
class View:
    """How an agent is shown a board: the wording it was trained on and the size of its images."""

    style: Style = "full"
    """`full` explains task, picture and format; `brief` only names the task."""
    image_size: int = 256
    """Side of the image in pixels, unless `cell_pixels` is set."""
    cell_pixels: int = 0
    """Pixels per cell: the image grows with the level. 0: use `image_size`."""
    theme: str = "classic"
    """The theme of the image."""

    def pixels(self, level: int) -> int:
        """Side of the image of a board of that level."""
        return self.cell_pixels * level or self.image_size


class Prompt(NamedTuple):
    """A chat to continue; `{"type": "image"}` items stand for `pictures`, in order."""

    messages: list[dict[str, Any]]
    pictures: tuple[np.ndarray | LazyImage, ...] = ()

    @property
    def images(self) -> tuple[np.ndarray, ...]:
        """The pictures as pixels, uint8[height, width, 3] each; lazy images are rendered again."""
        return tuple(map(np.asarray, self.pictures))

    @property
    def text(self) -> str:
        """All text of the prompt."""
        items = [item for message in self.messages for item in message["content"]]
        return "\n".join(item["text"] for item in items if item["type"] == "text")


class Request(NamedTuple):
    """One question to an agent. `layout` is privileged: only scripted agents may read it."""

    prompt: Prompt
    layout: Layout
    played: int = 0
    """Actions played so far, in an episode of several turns."""


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

    def __post_init__(self) -> None:
        # An agent may return any text; what is stored must be text that a file can hold.
        object.__setattr__(self, "text", storable(self.text))
        object.__setattr__(self, "error", storable(self.error))


class Agent(Protocol):
    """Answers requests in the order given; never raises for a single bad one.

    An agent with an attribute `concurrency` is asked from that many threads, one request each; any
    other gets its requests in batches. `settings()`, if there is one, returns what its replies
    depend on; `close()` is called at the end. An agent with a true `plans_only` answers no
    questions about the board.
    """

    name: str
    view: View

    def reply(self, requests: Sequence[Request]) -> list[Reply]:
        """One reply per request."""
        ...
