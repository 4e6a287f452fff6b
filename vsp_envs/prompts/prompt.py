"""What a model is sent, and how it is shown a board."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from vsp_envs.rendering.png import LazyImage
from vsp_envs.rendering.renderer import theme_of, theme_over


@dataclass(frozen=True)
class View:
    """How an agent is shown a board, and asked about it: as it was trained."""

    style: str = "full"
    """The wording: `full` explains task, picture and format, `brief` only names the task; or a
    folder of other texts (see `vsp_envs.prompts.texts`)."""
    image_size: int = 256
    """Side of the image in pixels, unless `cell_pixels` is set."""
    cell_pixels: int = 0
    """Pixels per cell: the image grows with the level. 0: use `image_size`."""
    theme: str = "classic"
    """The theme of the image."""
    ask: str = "plan"
    """The goal of its prompts where a plan is wanted and no goal is named, one of `Ask`."""

    def theme_of(self, task: str) -> str:
        """The theme of a task; see `vsp_envs.rendering.renderer.theme_of`."""
        return theme_of(self.theme, task)

    def with_theme(self, theme: str) -> View:
        """The view in another theme; tasks that it does not name, or all for "", keep theirs."""
        return replace(self, theme=theme_over(theme, self.theme))

    def pixels(self, level: int) -> int:
        """Side of the image of a board of that level."""
        return self.cell_pixels * level or self.image_size


class Prompt(NamedTuple):
    """A chat to continue; `{"type": "image"}` items stand for `pictures`, in order."""

    messages: list[dict[str, Any]]
    pictures: tuple[np.ndarray[Any, Any] | LazyImage, ...] = ()

    @property
    def images(self) -> tuple[np.ndarray[Any, Any], ...]:
        """The pictures as pixels, uint8[height, width, 3] each; lazy images are rendered again."""
        return tuple(map(np.asarray, self.pictures))

    @property
    def text(self) -> str:
        """All text of the prompt."""
        items = [item for message in self.messages for item in message["content"]]
        return "\n".join(item["text"] for item in items if item["type"] == "text")
