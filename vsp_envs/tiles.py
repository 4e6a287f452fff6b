"""The five tiles of VSP's drawing, cut out of its own pictures: `python -m vsp_envs.tiles`.

`python -m vsp_envs.tiles vsp:ROOT --out TILES` writes them to a folder, and `theme="tiles:TILES"`
draws FrozenLake with them, so that one can train on the drawing that is tested.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vsp_envs.core.layout import UInt8
from vsp_envs.public_sets import PublicBoard, read_boards
from vsp_envs.rendering.picture_file import picture_pixels
from vsp_envs.rendering.renderer import check_image_size, render
from vsp_envs.tasks.frozenlake.rules import FROZEN, GOAL, HOLE, START
from vsp_envs.utils.terminal import printing
from vsp_envs.utils.words import counted

MOST_CELLS = 400
"""Cells of a kind of which the median is taken: more change nothing and take memory."""
MOST_PIXELS = 1024
"""Longest side of a picture that is read."""


class Tile(NamedTuple):
    """A tile as it is cut."""

    pixels: UInt8  # [side, side, 4]
    cells: int
    """Cells that it is the median of."""


def cut_tiles(boards: Sequence[PublicBoard]) -> dict[str, Tile]:
    """Name → tile, from the FrozenLake boards that have a picture.

    A tile is the median over cells of its kind; ice is left transparent in the others. VSP's
    player always stands on its start, so nothing is known of an empty start: it is drawn as ice.
    Raises ValueError if there is no picture, or one that is not made of whole cells of one size.
    """
    cells: dict[int, list[UInt8]] = {FROZEN: [], HOLE: [], GOAL: [], START: []}
    for board in boards:
        if board.picture is not None and board.layout.task == "frozenlake":
            found = picture_cells(board)
            for code, cell in zip(board.layout.grid, found, strict=True):
                if len(cells[code]) < MOST_CELLS:
                    cells[code].append(cell)
    sides = {cell.shape for each in cells.values() for cell in each}
    if len(sides) != 1 or not all(cells.values()):
        raise ValueError(
            f"the pictures have cells of {counted(len(sides), 'size')} and "
            f"{sum(map(bool, cells.values()))} of 4 kinds; give a set with pictures in img/ beside "
            "its tables, such as vsp:ROOT"
        )
    middle = {code: np.median(np.stack(each), axis=0) for code, each in cells.items()}
    ice = middle[FROZEN]
    number = {code: len(each) for code, each in cells.items()}
    return {
        "ice": Tile(_over(ice, None), number[FROZEN]),
        "hole": Tile(_over(middle[HOLE], ice), number[HOLE]),
        "goal": Tile(_over(middle[GOAL], ice), number[GOAL]),
        "player": Tile(_over(middle[START], ice), number[START]),
        "start": Tile(_over(ice, ice), number[START]),
    }


def picture_cells(board: PublicBoard) -> list[UInt8]:
    """The cells of a board's picture, row by row, uint8[side, side, 3] each."""
    level, pixels = board.layout.level, picture_pixels(board.picture or "", most=MOST_PIXELS)
    side = len(pixels) // level
    if pixels.shape != (side * level, side * level, 3):
        raise ValueError(f"{board.picture} has no {level} × {level} cells of whole pixels")
    check_image_size(len(pixels))  # or it could not be drawn again
    rows = pixels.reshape(level, side, level, side, 3).swapaxes(1, 2)
    return list(rows.reshape(level**2, side, side, 3))


def _over(tile: NDArray[Any], ice: NDArray[Any] | None) -> UInt8:
    """A tile with what equals the ice made transparent."""
    colour = np.rint(tile).astype(np.uint8)
    shown = np.ones(tile.shape[:2], bool) if ice is None else (tile != ice).any(axis=2)
    return np.dstack([colour, np.where(shown, 255, 0).astype(np.uint8)])


def redraw_error(boards: Sequence[PublicBoard], theme: str) -> float:
    """Grey levels by which a theme's pictures differ from the boards' own, at their size: the mean
    over pixels and colours, then over boards."""
    errors = []
    for board in boards:
        own = picture_pixels(board.picture or "", most=MOST_PIXELS).astype(np.int64)
        errors.append(float(np.abs(render(board.layout, len(own), theme) - own).mean()))
    return float(np.mean(errors))


def pictured_boards(public_set: str) -> list[PublicBoard]:
    """The boards with pictures of a public set, such as `vsp:ROOT`."""
    name, _, root = public_set.partition(":")
    return [board for board in read_boards(Path(root), name) if board.picture]


def write_tiles(boards: Sequence[PublicBoard], out: Path) -> dict[str, Tile]:
    """Write the tiles that `cut_tiles` cuts as PNGs into a folder."""
    tiles = cut_tiles(boards)
    out.mkdir(parents=True, exist_ok=True)
    for title, tile in tiles.items():
        Image.fromarray(tile.pixels).save(out / f"{title}.png")
    return tiles


@printing()
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser("python -m vsp_envs.tiles", description=__doc__)
    parser.add_argument("set", help="a public set with pictures, such as vsp:ROOT")
    parser.add_argument("--out", type=Path, required=True, help="folder for the five PNGs")
    given = parser.parse_args(arguments)
    try:
        boards = pictured_boards(given.set)
        tiles = write_tiles(boards, given.out)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    theme = f"tiles:{given.out}"
    side = len(tiles["ice"].pixels)
    print(f"five tiles of {side} px from {counted(len(boards), 'picture')}")
    print(f"drawn with them, these differ by {redraw_error(boards, theme):.2f} grey levels a pixel")
    print(f"use them: --theme frozenlake={theme}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
