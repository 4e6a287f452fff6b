"""An HTTP proxy on this machine: tunnels and absolute requests, with Basic auth or none."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple


class Proxy(NamedTuple):
    """A running proxy."""

    port: int
    asked: list[str]
    """First lines of the requests so far, those that were turned away included."""


@contextmanager
def proxying(user: str = "", password: str = "") -> Iterator[Proxy]:
    """A proxy in a thread. With a user it turns away whoever does not give user and password."""
    wanted = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode() if user else ""
    asked: list[str] = []
    ports: list[int] = []

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65536):
            writer.write(piece)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines)}
        asked.append(first)
        method, target, _ = first.split()
        if wanted and headers.get("proxy-authorization") != wanted:
            said = b"HTTP/1.1 407 Proxy Authentication Required\r\n"
            writer.write(said + b"Connection: close\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            return
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
            there, to = await asyncio.open_connection(host.strip("[]"), int(port))
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        else:  # one request a connection
            host, _, rest = target.removeprefix("http://").partition("/")
            name, _, port = host.rpartition(":")
            there, to = await asyncio.open_connection(name.strip("[]"), int(port))
            kept = [line for line in lines if not line.lower().startswith(("proxy-", "connection"))]
            head = f"{method} /{rest} HTTP/1.1\r\nConnection: close\r\n" + "\r\n".join(kept)
            to.write(head.encode("latin-1"))
        await asyncio.gather(pipe(reader, to), pipe(there, writer), return_exceptions=True)

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        ports.append(server.sockets[0].getsockname()[1])
        loops.append(asyncio.get_running_loop())
        started.set()
        await ended.wait()
        server.close()

    loops: list[asyncio.AbstractEventLoop] = []
    started, ended = threading.Event(), asyncio.Event()
    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    started.wait(10)
    try:
        yield Proxy(ports[0], asked)
    finally:
        loops[0].call_soon_threadsafe(ended.set)
        thread.join(5)
