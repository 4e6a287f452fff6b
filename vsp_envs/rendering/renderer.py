"""Pictures of boards, composed of cached pictures of cells."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
from numbers import Integral
from pkgutil import resolve_name
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vsp_envs.core.grid import items
from vsp_envs.core.layout import Layout, UInt8
from vsp_envs.core.registry import TASKS
from vsp_envs.core.task import get_task
from vsp_envs.rendering.canvas import Painter, paint_cell
from vsp_envs.utils.choices import pick_name

MIN_IMAGE_SIZE, MAX_IMAGE_SIZE = 64, 1024


def render(
    layout: Layout, image_size: int = 256, theme: str = "classic", state: int | None = None
) -> UInt8:
    """The board in a state (None: the start) as a fresh uint8[image_size, image_size, 3].

    Raises ValueError for an unknown theme and for an `image_size` outside 64 to 1024 px.
    """
    image = np.empty((check_image_size(image_size), image_size, 3), np.uint8)
    return BoardRenderer(image, layout, theme, layout.cells[0] if state is None else state).image


class Look(NamedTuple):
    """What all cells of a picture share."""

    task: str
    theme: str
    level: int
    image_size: int


class BoardRenderer:
    """A picture of a board that follows the play: `show` redraws what a new state changes."""

    def __init__(self, image: UInt8, layout: Layout, theme: str, state: int) -> None:
        """Draw the board into `image`, uint8[side, side, 3]; only the renderer writes there."""
        self.image, self.layout, self.state = image, layout, state
        self._task = get_task(layout.task)
        self._look = Look(layout.task, check_theme(layout.task, theme), layout.level, len(image))
        self._spans = spans(layout.level, len(image))
        lines = image.reshape(len(image), -1)
        self._columns = [items(lines[:, 3 * span.first : 3 * span.end]) for span in self._spans]
        self._cells = layout.level**2
        self._codes = [-1] * self._cells  # what is drawn in each cell
        self._draw()

    def __reduce__(self) -> tuple[type[BoardRenderer], tuple[Any, ...]]:
        # A copy draws into its own image.
        return BoardRenderer, (self.image, self.layout, self._look.theme, self.state)

    def can_become(self, layout: Layout, theme: str) -> bool:
        """Whether `change` can turn the picture into one of that board, drawn so."""
        return (layout.task, theme, layout.level) == self._look[:3]

    def change(self, layout: Layout, state: int) -> None:
        """Turn the picture into one of another board of the same level."""
        self.layout, self.state = layout, state
        self._draw()

    def show(self, state: int) -> None:
        """Turn the picture into one of `state`."""
        cells, old = self._cells, self.state
        phase, agents = state // cells, self._task.agent_codes
        self.state = state
        if phase != old // cells or phase >= len(agents):
            self._draw()
        elif state != old:
            # Within a phase the agent's two cells are all that changes.
            agent = agents[phase]
            self._paint(old % cells, self._codes[old % cells] - agent)
            self._paint(state % cells, self._codes[state % cells] + agent)

    def _draw(self) -> None:
        codes = self._task.appearance(self.layout, self.state).ravel().tolist()
        for cell, (code, drawn) in enumerate(zip(codes, self._codes, strict=True)):
            if code != drawn:
                self._paint(cell, code)

    def _paint(self, cell: int, code: int) -> None:
        row, col = divmod(cell, self._look.level)
        top, bottom, row_rest = self._spans[row]
        col_rest = self._spans[col].rest
        self._columns[col][top:bottom] = _cell_lines(*self._look, row_rest, col_rest, code)
        self._codes[cell] = code


def check_image_size(image_size: int) -> int:
    """`image_size` itself. Raises ValueError with the range if images cannot have that side."""
    if not isinstance(image_size, Integral):
        raise ValueError(f"image_size is the side of a square picture in px; got {image_size!r}")
    if not MIN_IMAGE_SIZE <= image_size <= MAX_IMAGE_SIZE:
        raise ValueError(
            f"image_size {image_size} is out of range: pictures have a side of "
            f"{MIN_IMAGE_SIZE} to {MAX_IMAGE_SIZE} px"
        )
    return image_size


_PER_TASK = re.compile(r"(?:^|\s+)(\w+)=")


def theme_of(theme: str, task: str) -> str:
    """The theme of one task: `theme` itself, or its part in `frozenlake=gymnasium maze=thin`.

    A task that is not named there is drawn as `classic`. Raises ValueError for an unknown task and
    for one that is named twice.
    """
    named = _named(theme)
    return theme if named is None else named.get(task, "classic")


def first_theme(theme: str) -> str:
    """`theme` with the first one alone where it names several, as in `classic,gymnasium`."""
    named = _named(theme)
    if named is None:
        return theme.partition(",")[0]
    return " ".join(f"{task}={each.partition(',')[0]}" for task, each in named.items())


def theme_over(theme: str, base: str) -> str:
    """`theme` in place of `base`; tasks that it does not name keep the theme that `base` has for
    them. Raises ValueError as `theme_of` does."""
    named = _named(theme)
    if named is None:
        return theme or base
    kept = {task: theme_of(base, task) for task in TASKS if task not in named}
    own = (f"{task}={each}" for task, each in kept.items() if _is_own(task, each))
    return " ".join([theme, *own])


def _is_own(task: str, theme: str) -> bool:
    """Whether a task has that theme, and would not be drawn in it anyway."""
    themes, folders = get_task(task).themes, get_task(task).folder_themes
    return theme != "classic" and (theme in themes or theme.partition(":")[0] in folders)


def _named(theme: str) -> dict[str, str] | None:
    """Task → theme, of a text that names one by task; None for a plain theme."""
    head, *parts = _PER_TASK.split(theme)
    if head or not parts:
        return None
    named = dict(zip(parts[::2], parts[1::2], strict=True))
    for name in named:
        get_task(name)
    if twice := [name for name in named if parts[::2].count(name) > 1]:
        raise ValueError(f"{theme!r} names themes of {twice[0]} twice; name one")
    return named


def check_theme(task: str, theme: str) -> str:
    """`theme` itself. Raises ValueError with the themes if the task has no such theme."""
    _painter(task, theme)
    return theme


@lru_cache(maxsize=64)
def _painter(task: str, theme: str) -> Painter:
    themes, folders = get_task(task).themes, get_task(task).folder_themes
    kind, _, folder = str(theme).partition(":")
    if folder and kind in folders:
        painter: Painter = folders[kind](folder)
    elif theme in (missing := get_task(task).missing_themes):
        raise ValueError(
            f"{task} theme {theme!r} {missing[theme]}, or choose another: {', '.join(themes)}"
        )
    else:
        known = [*themes, *(f"{each}:FOLDER" for each in folders)]
        painter = themes[pick_name(f"{task} theme", theme, known)]
    return resolve_name(painter) if isinstance(painter, str) else painter


class Span(NamedTuple):
    """A row or column of cells: its first pixel, the one after its last, see `paint_cell`."""

    first: int
    end: int
    rest: int


@lru_cache(maxsize=64)
def spans(level: int, image_size: int) -> tuple[Span, ...]:
    """The rows of a picture, and its columns likewise."""
    starts = [divmod(i * image_size, level) for i in range(level + 1)]
    return tuple(Span(first, end, rest) for (first, rest), (end, _) in pairwise(starts))


# A cell looks the same wherever its remainders are the same: a board with cells of whole pixels
# needs one picture per code, one of 256 px and level 5 needs 25.
@lru_cache(maxsize=4096)
def cell_picture(
    task: str, theme: str, level: int, image_size: int, row_rest: int, col_rest: int, code: int
) -> UInt8:
    """The picture of one cell; see `paint_cell`. Read-only."""
    pixels = paint_cell(_painter(task, theme), level, image_size, row_rest, col_rest, code)
    pixels.flags.writeable = False
    return pixels


@lru_cache(maxsize=4096)
def _cell_lines(*look_rests_and_code: Any) -> NDArray[np.void]:
    """A view of `cell_picture`, each row of its pixels as one item."""
    pixels = cell_picture(*look_rests_and_code)
    return items(pixels.reshape(len(pixels), -1))
