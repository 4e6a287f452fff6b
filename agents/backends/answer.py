"""One HTTP answer off a socket, no longer than a time and a number of bytes.

Parsed by httptools: `http.client` reads headers with the parser for e-mail, which took half the
time of a request to an endpoint that answers at once.
"""

from __future__ import annotations

import socket
import time
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from typing import NamedTuple

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

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
    answer, end, left = _Answer(), time.monotonic() + seconds, MOST_BYTES
    if sock.gettimeout() != seconds:  # to set it is a call of the system
        sock.settimeout(seconds)
    while not answer.complete:
        wait = end - time.monotonic()
        if wait <= 0:
            raise TimeoutError("timed out")
        if left < MOST_BYTES:
            sock.settimeout(wait)
        piece = sock.recv(2**16)
        left -= len(piece)
        if left < 0:
            raise OSError(f"the answer is longer than {MOST_BYTES} bytes")
        if not piece:
            if left == MOST_BYTES:
                raise RemoteDisconnected("the server closed the connection without an answer")
            if not answer.ends_by_closing:
                raise IncompleteRead(bytes(answer.body))
            break
        answer.feed(piece)
    return answer.response()


class _Answer:
    """What the parser calls while it is fed."""

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self._status = 0
        self._headers: dict[str, str] = {}
        self.body = bytearray()
        self.complete = self.ends_by_closing = self._stays_open = self._in_head = False

    def feed(self, piece: bytes) -> None:
        try:
            self._parser.feed_data(piece)
        except (HttpParserError, HttpParserUpgrade) as error:
            if not self.complete:
                raise HTTPException(f"no answer in HTTP: {error!r}") from None
            self._stays_open = False

    def response(self) -> Response:
        return Response(self._status, self._headers, bytes(self.body), self._stays_open)

    def on_message_begin(self) -> None:
        # Beyond the answer: it would be taken for that to the next request.
        self._stays_open = False
        self._in_head = not self.complete
        if self._in_head:
            self._headers.clear()  # of one with status 100 to 199, before the answer proper

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # trailers come after it
            self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._in_head = False
        if not self.complete:
            self._status = self._parser.get_status_code()
            self._stays_open = self._parser.should_keep_alive()
            coding = self._headers.get("transfer-encoding", "").lower()
            framed = "content-length" in self._headers or coding.endswith("chunked")
            self.ends_by_closing = self._status >= 200 and not framed

    def on_body(self, piece: bytes) -> None:
        if not self.complete:
            self.body += piece

    def on_message_complete(self) -> None:
        self.complete = self._status >= 200
