"""A chat-completions endpoint on this machine, scripted by the test that starts it, or none."""

from __future__ import annotations

import base64
import io
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import numpy as np
from PIL import Image


class Answer(NamedTuple):
    """What the endpoint says to one request."""

    body: Any
    status: int = 200
    headers: dict[str, str] = {}  # noqa: RUF012 - read only


def completion(text: str, prompt_tokens: int = 100, tokens: int = 7) -> Answer:
    """A chat completion."""
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": tokens}
    return Answer(
        {"choices": [{"message": {"role": "assistant", "content": text}}], "usage": usage}
    )


class Endpoint(NamedTuple):
    """A running endpoint."""

    url: str
    bodies: list[dict[str, Any]]
    """The requests so far."""
    headers: list[dict[str, str]]
    paths: list[str]


@contextmanager
def serving(
    answer: Callable[[dict[str, Any]], Answer], any_path: bool = False
) -> Iterator[Endpoint]:
    """Answer every request with a function of its body, in a thread each."""
    bodies: list[dict[str, Any]] = []
    headers: list[dict[str, str]] = []
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert any_path or self.path == "/v1/chat/completions"
            bodies.append(body)
            paths.append(self.path)
            headers.append({name.title(): value for name, value in self.headers.items()})
            said = answer(body)
            data = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
            self.send_response(said.status)
            for name, value in {**said.headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads, request_queue_size = True, 128

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # a client that hangs up is part of what is tested

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Endpoint(f"http://127.0.0.1:{server.server_port}/v1", bodies, headers, paths)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def nobody() -> Iterator[str]:
    """A base URL where nobody answers, nor can: its port is taken, and not listened on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/v1"


def shown_images(body: dict[str, Any]) -> list[np.ndarray]:
    """The pictures of a request, decoded."""
    items = [item for message in body["messages"] for item in message["content"]]
    urls = [item["image_url"]["url"] for item in items if item["type"] == "image_url"]
    data = [base64.b64decode(url.removeprefix("data:image/png;base64,")) for url in urls]
    return [np.array(Image.open(io.BytesIO(each))) for each in data]
