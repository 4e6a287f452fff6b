"""One HTTP answer off a socket: a quarter of the time of `http.client`, and no more than is safe.

The standard library reads headers with the parser for e-mail, which took half the time of a request
to an endpoint that answers at once.
"""

from __future__ import annotations

import socket
import time
from http.client import BadStatusLine, HTTPException, IncompleteRead, RemoteDisconnected
from typing import NamedTuple

MOST_BYTES = 2**22
"""Longest answer that is read. A completion of 100 000 tokens has a tenth of that."""


class Response(NamedTuple):
    """An answer of the server, whatever its status."""

    status: int
    headers: dict[str, str]
    """By their names in small letters."""
    body: bytes
    stays_open: bool = False
    """The connection can take another request."""


def read_answer(sock: socket.socket, seconds: float) -> Response:
    """The answer to the request that was sent. Raises OSError or HTTPException if none comes.

    `seconds` are for all of it: the timeout of a socket alone is for each piece that arrives, and a
    server may drip, or never end.
    """
    incoming = _Incoming(sock, seconds)
    try:
        return _read(incoming)
    except ValueError as error:
        raise HTTPException(f"no answer in HTTP: {error}") from None


def _read(incoming: _Incoming) -> Response:
    status = 100
    while 100 <= status < 200:  # the answer proper is still to come
        first, *lines = incoming.up_to(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, _, rest = first.partition(" ")
        if version not in ("HTTP/1.0", "HTTP/1.1"):
            raise BadStatusLine(first)
        status = int(rest[:3])
    fields = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in fields}
    stays_open = version == "HTTP/1.1" and "close" not in headers.get("connection", "").lower()
    if status in (204, 304):
        body = b""
    elif headers.get("transfer-encoding", "").lower() == "chunked":
        body = _chunks(incoming)
    elif "content-length" in headers:
        body = incoming.take(_count(headers["content-length"], 10))
    else:
        body, stays_open = incoming.rest(), False
    # What came beyond the answer would be taken for that to the next request.
    return Response(status, headers, body, stays_open and not incoming.held)


def _chunks(incoming: _Incoming) -> bytes:
    body = bytearray()
    while size := _count(incoming.up_to(b"\r\n").partition(b";")[0].strip().decode("latin-1"), 16):
        body += incoming.take(size)
        if incoming.take(2) != b"\r\n":
            raise ValueError("a chunk of another length than it says")
    while incoming.up_to(b"\r\n"):  # trailers
        pass
    return bytes(body)


def _count(digits: str, base: int) -> int:
    if not digits.isalnum():  # int() takes signs, spaces and underscores too
        raise ValueError(f"{digits[:50]!r} is no length")
    return int(digits, base)


class _Incoming:
    """What arrives on a socket, no longer than a time and MOST_BYTES."""

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        self._socket, self._end, self._left = sock, time.monotonic() + seconds, MOST_BYTES
        self.held = bytearray()
        """What arrived and was not asked for yet."""

    def up_to(self, end: bytes) -> bytes:
        """All before `end`, which is taken too."""
        while (place := self.held.find(end)) < 0:
            self._need()
        return self.take(place + len(end))[:place]

    def take(self, count: int) -> bytes:
        """That many bytes."""
        while len(self.held) < count:
            self._need()
        taken = bytes(self.held[:count])
        del self.held[:count]
        return taken

    def rest(self) -> bytes:
        """All until the server closes the connection."""
        while self._receive():
            pass
        return self.take(len(self.held))

    def _need(self) -> None:
        if not self._receive():
            if self._left == MOST_BYTES:
                raise RemoteDisconnected("the server closed the connection without an answer")
            raise IncompleteRead(bytes(self.held))

    def _receive(self) -> int:
        seconds = self._end - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("timed out")
        self._socket.settimeout(seconds)
        piece = self._socket.recv(2**16)
        self.held += piece
        self._left -= len(piece)
        if self._left < 0:
            raise OSError(f"the answer is longer than {MOST_BYTES} bytes")
        return len(piece)
