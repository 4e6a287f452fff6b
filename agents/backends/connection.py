"""HTTP clients as the endpoints need them, and the secrets that they carry.

httpx does the talking: proxies and certificates are those of the environment.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from email.utils import parsedate_to_datetime
from functools import lru_cache
from time import time
from typing import Any
from urllib.parse import urlsplit

import httpx2

CONNECT_SECONDS = 10.0
"""How long to wait for a connection."""
MOST_BYTES = 2**22
"""Longest answer that is read. A completion of 100 000 tokens has a tenth of that."""
SHORTEST = 8
"""Letters of a key that is one: servers without keys are given words such as `EMPTY`."""
_BEARER = re.compile(r"(?i)(bearer )\s*[^\s\"'\\]+")
_HEADER = re.compile(r"(?i)(?!(content-length|transfer-encoding)$)[!#$%&'*+.^_`|~0-9a-z-]+")
_SECRET = re.compile(r"(?i)auth|key|token|secret|password|cookie|^sig")


def read_url(url: str) -> str:
    """A base URL without what follows it. Raises ValueError for none, and for a key inside it."""
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
    return url.rstrip("/").removesuffix("/chat/completions")


def trusted_certificates(file: str) -> ssl.SSLContext:
    """Those of the system, and those of a file; read once, as it takes 40 ms.

    Raises ValueError for a file that holds none.
    """
    return _trusted_certificates(file, os.getenv("SSL_CERT_FILE"), os.getenv("SSL_CERT_DIR"))


@lru_cache(maxsize=8)
def _trusted_certificates(file: str, *system: str | None) -> ssl.SSLContext:
    trusted = httpx2.create_ssl_context()
    try:
        if file:
            trusted.load_verify_locations(file)
    except OSError as error:
        raise ValueError(f"{file} holds no certificates to trust: {error}") from None
    return trusted


def open_client(kind: type[Any], timeout: float | None, **options: Any) -> Any:
    """A client of httpx that follows no redirect and has no bound on its connections.

    `timeout` is the longest silence in seconds. Raises ValueError for a proxy that cannot be used,
    by name.
    """
    options["timeout"] = httpx2.Timeout(timeout, connect=CONNECT_SECONDS)
    try:
        return kind(limits=httpx2.Limits(), follow_redirects=False, **options)
    except (ImportError, ValueError, httpx2.InvalidURL):
        found = ", ".join(
            f"{name}={value[: value.find('//') + 2]}…"  # what follows may hold a password
            for name, value in os.environ.items()
            if value and name.upper() in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        )
        raise ValueError(
            f"{found}: SOCKS proxies cannot be used, HTTP alone; name one as http://HOST:PORT, or "
            "unset it"
        ) from None


async def refuse_leftovers(request: httpx2.Request) -> None:
    """A hook for `request`: a second answer to the one before it is not taken for its own."""
    loop, waited = asyncio.get_running_loop(), asyncio.Event()

    async def trace(event: str, _: Mapping[str, Any]) -> None:
        if event == "http11.receive_response_headers.started":
            loop.call_soon(waited.set)  # before anything can be read from the network
        elif event == "http11.receive_response_headers.complete" and not waited.is_set():
            raise httpx2.RemoteProtocolError("the server sent more than one answer to a request")

    request.extensions["trace"] = trace


async def bound_body(response: httpx2.Response) -> None:
    """A hook for `response`: reading an answer ends with an error after `MOST_BYTES`.

    Its text is UTF-8, as JSON's is: whoever sends it may name any codec of Python.
    """
    response.encoding = "utf-8"
    # What is packed may be a thousand times as long once it is unpacked.
    most = MOST_BYTES // 16 if "content-encoding" in response.headers else MOST_BYTES
    stream, body = response.stream, bytearray()
    assert isinstance(stream, httpx2.AsyncByteStream)
    async for piece in stream:
        body += piece
        if len(body) > most:
            raise httpx2.ReadError(f"the answer is longer than {most} bytes")
    await stream.aclose()
    response.stream = httpx2.ByteStream(bytes(body))


HOOKS: Any = {"request": [refuse_leftovers], "response": [bound_body]}
"""What an asynchronous client of httpx does about answers that are too many or too long."""


def asked_wait(headers: httpx2.Headers) -> float | None:
    """Seconds that a server asks to be left alone, from `Retry-After` in either of its forms."""
    asked = headers.get("retry-after", "")
    with suppress(ValueError):
        return max(0.0, float(asked))
    with suppress(ValueError, TypeError, OverflowError):
        return max(0.0, parsedate_to_datetime(asked).timestamp() - time())
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
        self._values += [each for each in (key, *key.split()) if len(each) >= SHORTEST]
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
            if flag == "header" and not (_HEADER.fullmatch(name) and value.isascii()):
                raise ValueError(f"--{flag} {name}: no request may have such a header")
            if value.startswith("$") and not self.read(value[1:]):
                raise ValueError(f"--{flag} {each}: that variable is not set")
            if _SECRET.search(name) and not value.startswith("$"):
                raise ValueError(
                    f"--{flag} {name}: its value would be written into the run's config; keys come "
                    f"from the environment alone: --{flag} '{name}{sign}$VARIABLE'"
                )
            found[name] = self.read(value[1:]) if value.startswith("$") else value
        return found

    def hide(self, text: str) -> str:
        """The text with `[key]` for each key: a server may repeat what it was sent."""
        for value in self._values:
            text = text.replace(value, "[key]")
        return text

    def line(self, text: str) -> str:
        """What a server said, as a line for an error: without any part of a key, and not long."""
        return _BEARER.sub(r"\1[key]", self.hide(" ".join(text.split())))[:300]
