"""A chat-completions endpoint that goes wrong in a share of its answers; it keeps no request.

Run as a program it prints its port; `GET /` says what it did. It is a process of its own, so that
the memory of whoever asks it is theirs.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATIENCE = 1.0
"""Seconds that whoever asks is to wait for an answer."""
ANSWER = "size 4\n<answer>RRDDDR</answer>"
STALE = json.dumps({"choices": [{"message": {"content": "an answer to another request"}}]}).encode()
COUNTS: Counter[str] = Counter()
LOCK = threading.Lock()


def completion(text: str | None = ANSWER, **more: Any) -> bytes:
    choice = {"message": {"role": "assistant", "content": text}}
    usage = {"prompt_tokens": 100, "completion_tokens": 7}
    return json.dumps({"model": "m", "choices": [choice], "usage": usage, **more}).encode()


class Handler(BaseHTTPRequestHandler):
    """Each method named after a damage does it."""

    protocol_version = "HTTP/1.1"
    share = 0.0
    draw = random.Random(0)

    def do_POST(self) -> None:
        with LOCK:
            COUNTS["requests"] += 1
            damage = self.draw.choice(DAMAGES) if self.draw.random() < self.share else "none"
            COUNTS[damage] += 1
        self.rfile.read(int(self.headers["Content-Length"]))
        getattr(self, damage)()

    def do_GET(self) -> None:
        with LOCK:
            body = json.dumps(COUNTS).encode()
        self.say(body)

    def say(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def none(self) -> None:
        self.say(completion())

    def limit(self) -> None:
        self.say(b"{}", 429, Retry_After="0.01")

    def error(self) -> None:
        self.say(b"<html>oops</html>", 500)

    def hang(self) -> None:
        time.sleep(2 * PATIENCE)
        self.close_connection = True

    def drip(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.close_connection = True
        for _ in range(20):
            time.sleep(0.1 * PATIENCE)
            self.wfile.write(b" ")

    def drop(self) -> None:
        self.close_connection = True

    def cut(self) -> None:
        self.say(completion()[:40])

    def cut_short(self) -> None:
        self.say(completion()[:40], Content_Length="4000")
        self.close_connection = True

    def no_choice(self) -> None:
        self.say(completion(choices=[]))

    def flood(self) -> None:
        self.close_connection = True
        self.say(completion("R" * 10_000_000))

    def flood_without_end(self) -> None:
        self.close_connection = True
        self.say(b"", Content_Length=str(10**15))
        self.wfile.write(b" " * 10_000_000)

    def twice(self) -> None:
        second = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(STALE) + STALE
        # At once: one that comes when the next request is out cannot be told from its answer.
        self.say(completion() + second, Content_Length=str(len(completion())))

    def other_model(self) -> None:
        self.say(completion(model="n-large"))

    def no_model(self) -> None:
        self.say(b'{"error": "no such model"}', 404)

    def log_message(self, format: str, *args: Any) -> None:
        pass


DAMAGES = (
    "limit", "error", "hang", "drip", "drop", "cut", "cut_short", "no_choice", "flood",
    "flood_without_end", "twice", "other_model", "no_model",
)  # fmt: skip


class Server(ThreadingHTTPServer):
    daemon_threads, request_queue_size = True, 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that hangs up


if __name__ == "__main__":
    Handler.share = float(sys.argv[1])
    server = Server(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()
