"""FrozenLake from sprites: those of the installed Gymnasium, or a folder of tiles of your own."""

from __future__ import annotations

from functools import lru_cache
from os.path import expanduser
from pathlib import Path

from gymnasium.envs import toy_text
from PIL import Image

from vsp_envs.rendering.canvas import Canvas, Painter
from vsp_envs.rendering.picture_file import read_picture
from vsp_envs.tasks.frozenlake.rules import GOAL, HOLE, START

AGENT = 8
"""Added to the code of the cell in which the agent stands."""
TILES = ("ice", "hole", "start", "goal", "player")
"""Pictures in a folder of tiles, `ice.png` and so on, square; all but ice may be transparent."""
_SIDE = 64  # of Gymnasium's tiles
_GYMNASIUM = Path(toy_text.__file__).parent / "img"
_SPRITES = ("tile_ice", "tile_hole", "letter_s", "goal_flag", "agent")
MISSING_THEMES = (
    {}
    if all((_GYMNASIUM / f"{name}.png").is_file() for name in _SPRITES)
    else {"gymnasium": "needs pictures that Gymnasium has from 1.4 on; upgrade Gymnasium"}
)
"""`gymnasium`, if the installed Gymnasium lacks one of its pictures."""
_BESIDE = 0.3
"""How far player and goal step aside for each other, as a share of the cell."""


def gymnasium(canvas: Canvas, code: int) -> None:
    """Gymnasium's drawing, but that a player in a hole or at the goal shows and G is left out."""
    ice, hole, letter, flag, agent = map(_sprite, _SPRITES)
    tile = (hole if code % AGENT == HOLE else ice).copy()
    if code % AGENT == START:
        tile.alpha_composite(letter, (4, 4))
    aside = round(_BESIDE * _SIDE / 2) if code == GOAL + AGENT else 0
    if code % AGENT == GOAL:
        tile.alpha_composite(flag, ((_SIDE - flag.width) // 2 + aside, (_SIDE - flag.height) // 2))
    if code >= AGENT:
        left, top = (_SIDE - agent.width) // 2, (_SIDE - agent.height) // 2
        if code % AGENT == HOLE:  # up to the waist in the water
            agent = agent.crop((0, 0, agent.width, agent.height // 2))
            top += agent.height // 2
        tile.alpha_composite(agent, (left - aside, top))
    canvas.paste(_fit(tile, canvas.image.size))


@lru_cache(maxsize=8)
def _sprite(name: str) -> Image.Image:
    return Image.open(_GYMNASIUM / f"{name}.png").convert("RGBA")


def tiles(folder: str) -> Painter:
    """A theme from a folder with the pictures `TILES`; the player stands on what is there."""
    files = {name: Path(expanduser(folder)) / f"{name}.png" for name in TILES}
    missing = [file.name for file in files.values() if not file.exists()]
    if missing:
        raise ValueError(f"{folder!r} is no folder of tiles: {missing[0]} is missing")
    art = {name: read_picture(file) for name, file in files.items()}
    names = {HOLE: "hole", START: "start", GOAL: "goal"}

    def paint(canvas: Canvas, code: int) -> None:
        side = max(canvas.image.size)
        tile, thing = _fit(art["ice"], (side, side)), code % AGENT
        aside = round(_BESIDE * side) if code == GOAL + AGENT else 0
        small = side - aside
        if thing in names:
            tile.alpha_composite(_fit(art[names[thing]], (small, small)), (aside, 0))
        if code >= AGENT:
            low = side // 4 if thing == HOLE else 0
            player = _fit(art["player"], (small, small)).crop((0, 0, small, small - low))
            tile.alpha_composite(player, (0, aside + low))
        canvas.paste(_fit(tile, canvas.image.size))

    return paint


def _fit(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Pixel art stays sharp when it grows and is averaged when it shrinks."""
    if picture.width >= size[0] and picture.height >= size[1]:
        return picture.resize(size, Image.Resampling.BOX)
    grown = [-(-new // old) * old for new, old in zip(size, picture.size, strict=True)]
    return picture.resize((grown[0], grown[1]), Image.Resampling.NEAREST).resize(
        size, Image.Resampling.BOX
    )
