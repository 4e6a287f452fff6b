"""Pictures from files of others, as a viewer of pictures would show them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from vsp_envs.core.layout import UInt8

MOST_PIXELS = 4096
"""Longest side of a picture from a file, in pixels."""


def read_picture(path: str | Path, most: int = MOST_PIXELS) -> Image.Image:
    """A picture file in mode RGBA, the right way up.

    Raises ValueError that names the file, also for one with a side of more than `most` pixels.
    """
    try:
        with Image.open(path) as picture:
            if max(picture.size) > most:
                raise ValueError(f"its sides are {picture.size}, more than {most} px")
            return ImageOps.exif_transpose(_in_bytes(picture)).convert("RGBA")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} is no picture to show: {error}") from None


def picture_pixels(path: str | Path, size: int = 0, most: int = MOST_PIXELS) -> UInt8:
    """A picture file as uint8[height, width, 3], on white where it is transparent.

    It is resized to a side of `size` pixels unless that is 0. Raises ValueError as `read_picture`.
    """
    picture = read_picture(path, most)
    white = Image.new("RGBA", picture.size, "white")
    colours = Image.alpha_composite(white, picture).convert("RGB")
    if size:
        colours = colours.resize((size, size), Image.Resampling.LANCZOS)
    return np.array(colours)


def _in_bytes(picture: Image.Image) -> Image.Image:
    """The picture with 8 bits a channel; Pillow would cut 16 bits of grey to white."""
    if picture.mode[0] not in "IF":
        return picture
    if picture.format != "PNG":
        raise ValueError(f"its pixels are of mode {picture.mode}, which has no known white")
    grey = Image.fromarray((np.asarray(picture).astype(np.uint32) // 257).astype(np.uint8))
    if (clear := picture.info.get("transparency")) is not None:
        grey.putalpha(Image.fromarray((np.asarray(picture) != clear).astype(np.uint8) * 255))
    return grey
