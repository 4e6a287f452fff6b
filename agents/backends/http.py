"""JSON over kept-alive HTTP connections, from many threads: what the `openai` backend talks with.

The standard library's connections, and answers parsed by httptools: with 32 threads and pictures of
15 kB, `http.client` throughout took 0.12 ms of CPU a request, httpx 0.5 ms and the openai SDK 1.6
ms; `benchmarks/evaluation.py` compares whole clients.
"""

from __future__ import annotations

import http.client
import os
import random
import select
import socket
import ssl
import time
from collections import deque
from email.utils import parsedate_to_datetime
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

from agents.backends.answer import Response, read_answer


class Server:
    """One base URL. Safe to use from many threads; each request takes a connection of its own."""

    def __init__(self, base_url: str, timeout: float) -> None:
        """`timeout` is for a whole answer, in seconds. Raises ValueError for what is no URL."""
        self._idle: deque[http.client.HTTPConnection] = deque()
        self.url = read_url(base_url)
        self._host = self.url.netloc.encode("idna").decode()
        self.timeout = timeout

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> Response:
        """Send a JSON body. Raises OSError or HTTPException if no answer comes."""
        while self._idle:
            connection = self._take()
            if connection is None:
                break
            try:
                return self._ask(connection, path, body, headers)
            except (ConnectionError, http.client.BadStatusLine):
                continue  # closed by the server while it lay idle: nothing was answered
        return self._ask(self._connect(), path, body, headers)

    def close(self) -> None:
        """Close what is idle. The server can be used again afterwards."""
        while connection := self._take():
            connection.close()

    def __del__(self) -> None:
        self.close()

    def _take(self) -> http.client.HTTPConnection | None:
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if not _is_readable(connection.sock):
                return connection
            connection.close()  # it was closed, or holds what nobody asked for

    def _ask(
        self,
        connection: http.client.HTTPConnection,
        path: str,
        body: bytes,
        headers: dict[str, str],
    ) -> Response:
        try:
            if connection.sock is None:
                connection.connect()
            if connection.sock.gettimeout() != self.timeout:
                connection.sock.settimeout(self.timeout)
            # `connection.request` would send head and body apart: two calls of the system.
            connection.sock.sendall(self._head(path, len(body), headers) + body)
            response = read_answer(connection.sock, self.timeout)
        except BaseException:
            connection.close()
            raise
        if response.stays_open:
            self._idle.append(connection)
        else:
            connection.close()
        return response

    def _head(self, path: str, length: int, headers: dict[str, str]) -> bytes:
        lines = [f"POST {self.url.path.rstrip('/')}{path} HTTP/1.1", f"Host: {self._host}"]
        lines += [f"{name}: {value.strip()}" for name, value in headers.items()]
        lines += ["Accept-Encoding: identity", f"Content-Length: {length}", "", ""]
        return "\r\n".join(lines).encode("latin-1")

    def _connect(self) -> http.client.HTTPConnection:
        secure = self.url.scheme == "https"
        host, port = self.url.hostname or "", self.url.port
        proxy = getproxies().get(self.url.scheme)
        if not proxy or proxy_bypass(host):
            return _open(host, port, secure, self.timeout)
        through = urlsplit(proxy if "//" in proxy else f"//{proxy}")
        connection = _open(through.hostname or "", through.port, secure, self.timeout)
        connection.set_tunnel(host, port or (443 if secure else 80))
        return connection


def _is_readable(sock: socket.socket) -> bool:
    try:
        return bool(select.select([sock], [], [], 0)[0])
    except ValueError:  # closed, or more files than select can watch
        return True


def read_url(url: str) -> SplitResult:
    """A base URL. Raises ValueError for another scheme, and for a key or password inside it."""
    if "@" in url or "?" in url or "#" in url:
        raise ValueError(
            "a base URL may hold no user, password, query or fragment, which would be written into "
            "the run's config; keys come from the environment alone"
        )
    try:
        parts = urlsplit(url)
        (parts.hostname or "").encode("idna")  # raises, like reading a port that is none
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        # What a line of HTTP can hold. urlsplit drops the ends of lines.
        known = known and url.isprintable() and " " not in url and parts.path.isascii()
    except ValueError:
        known = None
    if not known:
        raise ValueError(f"{url!r} is no base URL; one looks like http://127.0.0.1:8000/v1")
    return parts


def _open(host: str, port: int | None, secure: bool, timeout: float) -> http.client.HTTPConnection:
    if not secure:
        return http.client.HTTPConnection(host, port, timeout=timeout)
    trusted = ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE"))
    return http.client.HTTPSConnection(host, port, timeout=timeout, context=trusted)


def asked_wait(response: Response) -> float | None:
    """Seconds that a server asks to be left alone, from `Retry-After` in either of its forms."""
    asked = response.headers.get("retry-after")
    if asked is None:
        return None
    try:
        return max(0.0, float(asked))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(asked).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def backoff(attempt: int) -> float:
    """Seconds before asking again: 0.5 doubled each time up to 64, scattered so none go in step."""
    return 0.5 * 2 ** min(attempt, 7) * random.uniform(0.5, 1.0)
