"""HTTP clients as the endpoints need them, and the secrets that they carry.

httpx does the talking: proxies and certificates are those of the environment.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import AsyncIterator, Sequence
from email.utils import parsedate_to_datetime
from time import time
from typing import Any
from urllib.parse import SplitResult, urlsplit

import httpx2

CONNECT_SECONDS = 10.0
"""How long to wait for a connection."""
MOST_BYTES = 2**22
"""Longest answer that is read. A completion of 100 000 tokens has a tenth of that."""
SHORTEST = 8
"""Letters of a key that is one: servers without keys are given words such as `EMPTY`."""
_BEARER = re.compile(r"(?i)(bearer )\s*[^\s\"'\\]+")
_SECRET = re.compile(r"(?i)auth|key|token|secret|password|cookie|^sig")


def read_url(url: str) -> SplitResult:
    """A base URL. Raises ValueError for another scheme, and for a key or password inside it."""
    if "@" in url or "?" in url or "#" in url:
        raise ValueError(
            "a base URL may hold no user, password, query or fragment, which would be written into "
            "the run's config; keys come from the environment alone"
        )
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        # urlsplit drops the ends of lines.
        known = known and url.isprintable() and " " not in url and parts.path.isascii()
        (parts.hostname or "").encode("idna")  # raises, like reading a port that is none
    except ValueError:
        known = None
    if not known:
        raise ValueError(f"{url!r} is no base URL; one looks like http://127.0.0.1:8000/v1")
    return parts


def client_options(timeout: float | None, ca_file: str = "") -> dict[str, Any]:
    """What a client of httpx is made with: no redirects, and no bound on its connections.

    `timeout` is the longest silence in seconds. Raises ValueError for a file that holds no
    certificates.
    """
    options: dict[str, Any] = {
        "timeout": httpx2.Timeout(
            timeout, connect=min(timeout or CONNECT_SECONDS, CONNECT_SECONDS)
        ),
        "limits": httpx2.Limits(max_connections=None, max_keepalive_connections=None),
        "follow_redirects": False,
    }
    if ca_file:
        context = ssl.create_default_context()
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            raise ValueError(f"{ca_file} holds no certificates to trust: {error}") from None
        options["verify"] = context
    return options


def open_client(kind: type[Any], **options: Any) -> Any:
    """A client of httpx. Raises ValueError for a proxy that it cannot use, by name."""
    try:
        return kind(**options)
    except (ImportError, ValueError, httpx2.InvalidURL):
        named = {
            name: value.partition("://")[0]  # what follows may hold a password
            for name, value in os.environ.items()
            if name.upper() in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        }
        socks = {name: kind for name, kind in named.items() if kind.lower().startswith("socks")}
        found = ", ".join(f"{name}={kind}://…" for name, kind in (socks or named).items())
        what = "SOCKS proxies cannot be used" if socks else "that is no proxy that can be used"
        raise ValueError(f"{found}: {what}; name one of http://HOST:PORT, or unset it") from None


async def bound_body(response: httpx2.Response) -> None:
    """A hook for `response`: reading an answer ends with an error after `MOST_BYTES`."""
    response.stream = _Bounded(response)


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, response: httpx2.Response) -> None:
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        self._stream = response.stream
        # What is packed may be a thousand times as long once it is unpacked.
        self._most = MOST_BYTES // 16 if "content-encoding" in response.headers else MOST_BYTES

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._most
        async for piece in self._stream:
            left -= len(piece)
            if left < 0:
                raise httpx2.ReadError(f"the answer is longer than {self._most} bytes")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


def asked_wait(headers: httpx2.Headers) -> float | None:
    """Seconds that a server asks to be left alone, from `Retry-After` in either of its forms."""
    asked = headers.get("retry-after")
    if asked is None:
        return None
    try:
        return max(0.0, float(asked))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(asked).timestamp() - time())
    except (ValueError, TypeError, OverflowError):
        return None


class Secrets:
    """Keys out of the environment, which go into requests and into nothing that is kept."""

    def __init__(self) -> None:
        self._values: list[str] = []

    def read(self, variable: str) -> str:
        """A key; empty if the variable is unset. Raises ValueError for what cannot be one."""
        key = os.environ.get(variable, "").strip()
        if not (key.isascii() and key.isprintable()):
            raise ValueError(f"{variable} holds a character that no key has: copy it anew")
        if len(key) >= SHORTEST:
            self._values.append(key)
        return key

    def fields(self, flag: str, given: Sequence[str], sign: str) -> dict[str, str]:
        """Names and values such as `X-Title: maze`; a value `$NAME` is read from the environment.

        Raises ValueError for what is none, and for a key that is written out.
        """
        found = {}
        for each in given:
            name, parted, value = (part.strip() for part in each.partition(sign))
            if not (parted and name.isascii() and name.isprintable() and value.isprintable()):
                raise ValueError(f"--{flag} takes NAME{sign}VALUE, got a value without {sign!r}")
            if value.startswith("$"):
                value = self.read(value[1:])
                if not value:
                    raise ValueError(f"--{flag} {each}: that variable is not set")
            elif _SECRET.search(name):
                raise ValueError(
                    f"--{flag} {name}: its value would be written into the run's config; keys come "
                    f"from the environment alone: --{flag} '{name}{sign}$VARIABLE'"
                )
            found[name] = value
        return found

    def hide(self, text: str) -> str:
        """The text with `[key]` for each key: a server may repeat what it was sent."""
        for value in self._values:
            text = text.replace(value, "[key]")
        return text

    def line(self, text: str) -> str:
        """What a server said, as a line for an error: without any part of a key, and not long."""
        return _BEARER.sub(r"\1[key]", self.hide(" ".join(text.split())))[:300]
