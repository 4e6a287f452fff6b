"""Boards as PNG files, fast along an episode: rows of cells that were packed once are not again."""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from vsp_envs.render import Look, cell_picture, check_image_size, check_theme, spans
from vsp_envs.task import Layout, get_task

_MODULUS = 65521  # of Adler-32


def board_png(
    layout: Layout, image_size: int = 256, theme: str = "classic", state: int | None = None
) -> bytes:
    """The picture that `render` returns, as a PNG file: larger than Pillow's, and sooner there."""
    look = Look(layout.task, check_theme(layout.task, theme), layout.level, image_size)
    check_image_size(image_size)
    start = layout.cells[0] if state is None else state
    codes = get_task(layout.task).appearance(layout, start)
    packed, low, high = [b"\x78\x01"], 1, 0
    for row, line in enumerate(codes.tolist()):
        band = _band(look, row, tuple(line))
        packed.append(band.packed)
        # Adler-32 of two strings in a row, from those of each.
        high = (high + band.high + band.length * (low - 1)) % _MODULUS
        low = (low + band.low - 1) % _MODULUS
    data = b"".join([*packed, b"\x03\x00", struct.pack(">HH", high, low)])
    header = struct.pack(">IIBBBBB", image_size, image_size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(*chunk) for chunk in ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    )


class _Band(NamedTuple):
    """A row of cells, deflated so that others may follow: bytes, and what Adler-32 needs."""

    packed: bytes
    low: int
    high: int
    length: int


@lru_cache(maxsize=8192)
def _band(look: Look, row: int, codes: tuple[int, ...]) -> _Band:
    lines = spans(look.level, look.image_size)
    top, bottom, rest = lines[row]
    # A zero before each line: no filter.
    pixels = np.zeros((bottom - top, 1 + 3 * look.image_size), np.uint8)
    for (left, right, col_rest), code in zip(lines, codes, strict=True):
        cell = cell_picture(*look, rest, col_rest, code)
        pixels[:, 1 + 3 * left : 1 + 3 * right] = cell.reshape(bottom - top, -1)
    data = pixels.tobytes()
    deflate = zlib.compressobj(level=1, wbits=-15)
    packed = deflate.compress(data) + deflate.flush(zlib.Z_FULL_FLUSH)
    adler = zlib.adler32(data)
    return _Band(packed, adler & 0xFFFF, adler >> 16, len(data))


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
