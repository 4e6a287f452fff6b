"""Pictures of boards, composed of cached pictures of cells."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from vsp_envs.drawing import paint_cell
from vsp_envs.task import Int, Layout, UInt8, get_task, pick_name

MIN_IMAGE_SIZE, MAX_IMAGE_SIZE = 64, 1024


def render(
    layout: Layout, image_size: int = 256, theme: str = "classic", state: int | None = None
) -> UInt8:
    """The board in a state (None: the start) as a fresh uint8[image_size, image_size, 3].

    Raises ValueError for an unknown theme and for an `image_size` outside 64 to 1024 px.
    """
    image = np.empty((check_image_size(image_size), image_size, 3), np.uint8)
    codes = _codes(layout, layout.cells[0] if state is None else state)
    everywhere = ((row, col, code) for row, line in enumerate(codes.tolist())
                  for col, code in enumerate(line))  # fmt: skip
    _paint(image, layout, theme, everywhere)
    return image


def redraw(
    image: UInt8, layout: Layout, old_state: int, new_state: int, theme: str = "classic"
) -> None:
    """Turn a picture of `old_state` into one of `new_state` in place, where they differ.

    `image` is what `render` returned for the same layout and theme, or a copy of it.
    """
    codes = _codes(layout, new_state)
    changed = np.argwhere(codes != _codes(layout, old_state)).tolist()
    _paint(image, layout, theme, ((row, col, int(codes[row, col])) for row, col in changed))


def check_image_size(image_size: int) -> int:
    """`image_size` if pictures can have that side; otherwise a ValueError with the range."""
    if not MIN_IMAGE_SIZE <= image_size <= MAX_IMAGE_SIZE:
        raise ValueError(
            f"image_size {image_size} is out of range: pictures have a side of "
            f"{MIN_IMAGE_SIZE} to {MAX_IMAGE_SIZE} px"
        )
    return image_size


def _codes(layout: Layout, state: int) -> Int:
    return get_task(layout.task).appearance(layout, state)


def _paint(image: UInt8, layout: Layout, theme: str, cells: Iterable[tuple[int, int, int]]) -> None:
    """Paste the pictures of cells, given as row, column and appearance code."""
    task, level, size = layout.task, layout.level, len(image)
    spans = _spans(level, size)
    for row, col, code in cells:
        top, bottom, row_rest = spans[row]
        left, right, col_rest = spans[col]
        image[top:bottom, left:right] = _cell(task, theme, level, size, row_rest, col_rest, code)


class _Span(NamedTuple):
    """A row or column of cells: its first pixel, the one after its last, see `paint_cell`."""

    first: int
    end: int
    rest: int


@lru_cache(maxsize=64)
def _spans(level: int, image_size: int) -> tuple[_Span, ...]:
    starts = [divmod(i * image_size, level) for i in range(level + 1)]
    return tuple(_Span(first, end, rest) for (first, rest), (end, _) in pairwise(starts))


# A cell looks the same wherever its remainders are the same: a board with cells of whole pixels
# needs one picture per code, one of 256 px and level 5 needs 25.
@lru_cache(maxsize=4096)
def _cell(
    task: str, theme: str, level: int, image_size: int, row_rest: int, col_rest: int, code: int
) -> UInt8:
    themes = get_task(task).themes
    painter = themes[pick_name("theme", theme, themes)]
    pixels = paint_cell(painter, level, image_size, row_rest, col_rest, code)
    pixels.flags.writeable = False
    return pixels
