"""Boards as PNG data URLs, ten times faster than a general encoder: rows of cells repeat.

A band of pixel rows is deflated once and kept, and a picture is put together from its bands: each
ends at a full flush of the compressor, so that deflated bands may follow one another in any order.
"""

from __future__ import annotations

import base64
import struct
import zlib
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

_ADLER = 65521
_HEAD, _END = b"\x78\x01", b"\x03\x00"  # zlib's header, and its last block, which is empty


class _Band(NamedTuple):
    deflated: bytes
    adler: int
    """Checksum of the band's own bytes."""
    length: int


def data_url(image: np.ndarray, bands: int = 8) -> str:
    """`data:image/png;base64,…` of uint8[height, width, 3]; see `png_bytes`."""
    return "data:image/png;base64," + base64.b64encode(png_bytes(image, bands)).decode()


def png_bytes(image: np.ndarray, bands: int = 8) -> bytes:
    """A lossless PNG of uint8[height, width, 3].

    `bands` is how many rows of cells the picture has: any number is right, the board's own level
    is fast. Level 3 to 8 at 256 px takes 0.05 ms when all bands are known and 0.5 ms when none is;
    Pillow's default takes 1 to 3 ms.
    """
    height, width, _ = image.shape
    edges = [i * height // bands for i in range(bands + 1)]
    found = [
        _deflate(image[top:end].tobytes(), 3 * width) for top, end in pairwise(edges) if end > top
    ]
    adler = 1
    for band in found:
        adler = _joined(adler, band)
    body = b"".join([_HEAD, *(band.deflated for band in found), _END, struct.pack(">I", adler)])
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits, RGB
    chunks = _chunk(b"IHDR", head) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


@lru_cache(maxsize=1024)  # of some 25 kB each
def _deflate(pixels: bytes, row_length: int) -> _Band:
    rows = np.frombuffer(pixels, np.uint8).reshape(-1, row_length)
    raw = np.zeros((len(rows), 1 + row_length), np.uint8)  # the 0 before each row: no filter
    raw[:, 1:] = rows
    squeezer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    deflated = squeezer.compress(raw.data) + squeezer.flush(zlib.Z_FULL_FLUSH)
    return _Band(deflated, zlib.adler32(raw.data), raw.size)


def _joined(adler: int, band: _Band) -> int:
    """Adler-32 of bytes with checksum `adler` followed by a band's (zlib's adler32_combine)."""
    low, high = adler & 0xFFFF, adler >> 16
    band_low, band_high = band.adler & 0xFFFF, band.adler >> 16
    high = (high + band_high + band.length * (low - 1)) % _ADLER
    return high << 16 | (low + band_low - 1) % _ADLER


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(data, zlib.crc32(kind))
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)
