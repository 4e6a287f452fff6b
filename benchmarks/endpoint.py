"""A chat-completions endpoint: `python -m benchmarks.endpoint [SECONDS BODY]` says its port.

It answers at once, or every chat after so many seconds with that body. It reads only the length of
a request, so that the client alone is measured.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

INSTANT = json.dumps(
    {
        "id": "0",
        "object": "chat.completion",
        "created": 0,
        "model": "instant",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "<answer>RRDD</answer>"},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 300, "completion_tokens": 8, "total_tokens": 308},
    }
)


async def answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float, body: str
) -> None:
    """Answer all requests of one connection."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    said = f"{head}\r\n\r\n{body}".encode()
    try:
        while True:
            asked = await reader.readuntil(b"\r\n\r\n")
            _, _, rest = asked.lower().partition(b"content-length:")
            await reader.readexactly(int(rest.split(b"\r\n", 1)[0]))
            if b"/chat/" in asked:
                await asyncio.sleep(seconds)
            writer.write(said)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


@contextmanager
def running(*arguments: str) -> Iterator[str]:
    """The URL of this endpoint in a process of its own, with the arguments of its command."""
    command = [sys.executable, "-m", "benchmarks.endpoint", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


async def answer_all(seconds: float = 0.0, body: str = INSTANT) -> None:
    """Print the port, then answer until the process is ended."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answer(reader, writer, seconds, body)

    server = await asyncio.start_server(one, "127.0.0.1", 0, limit=1 << 20, backlog=256)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(answer_all(float(sys.argv[1]), sys.argv[2]) if sys.argv[1:] else answer_all())
