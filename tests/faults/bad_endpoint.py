"""A chat-completions endpoint that goes wrong in a share of its answers; it keeps no request.

Run as a program it prints its port; `GET /` says what it did. It is a process of its own, so that
the memory of whoever asks it is theirs.
"""

from __future__ import annotations

import gzip
import json
import random
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

STALE = "<answer>L</answer>"
"""What nobody asked for."""
ANSWER = "size 4\n<answer>RRDDDR</answer>"
COUNTS: Counter[str] = Counter()
LOCK = threading.Lock()


def completion(text: Any = ANSWER, **more: Any) -> bytes:
    choice = {"message": {"role": "assistant", "content": text}}
    usage = {"prompt_tokens": 100, "completion_tokens": 7}
    return json.dumps({"model": "m", "choices": [choice], "usage": usage, **more}).encode()


class Handler(BaseHTTPRequestHandler):
    """Each method named after a damage does it."""

    protocol_version = "HTTP/1.1"
    share = 0.0
    draw = random.Random(0)

    def do_POST(self) -> None:
        if self.path.startswith("/calm/"):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.left = True
            return self.none()
        with LOCK:
            COUNTS["requests"] += 1
            COUNTS["under way"] += 1
            COUNTS["most at once"] = max(COUNTS["most at once"], COUNTS["under way"])
            damage = self.draw.choice(DAMAGES) if self.draw.random() < self.share else "none"
            COUNTS[damage] += 1
        self.left = False
        try:
            self.rfile.read(int(self.headers["Content-Length"]))
            getattr(self, damage)()
        finally:
            self.leave()

    def leave(self) -> None:
        """No longer under way: counted before the answer goes out, or as the client hangs up."""
        with LOCK:
            COUNTS["under way"] -= not self.left
        self.left = True

    def do_GET(self) -> None:
        with LOCK:
            body = json.dumps(COUNTS).encode()
        self.say(body)

    def say(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command == "POST":
            self.leave()
        self.wfile.write(body)

    def none(self) -> None:
        self.say(completion())

    def limit(self) -> None:
        self.say(b"{}", 429, Retry_After="0.01")

    def error(self) -> None:
        self.say(b"<html>oops</html>", 500)

    def hang(self) -> None:
        self.leave()
        self.rfile.read(1)  # until the client goes
        self.close_connection = True

    def drip(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.close_connection = True
        self.leave()
        for _ in range(999):  # the client goes before the end
            time.sleep(0.1)
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
        second = completion(STALE)
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(second)
        # At once: one that comes when the next request is out cannot be told from its answer.
        self.say(completion() + head + second, Content_Length=str(len(completion())))

    def other_model(self) -> None:
        self.say(completion(model="n-large"))

    def no_model(self) -> None:
        self.say(b'{"error": "no such model"}', 404)

    def error_in_200(self) -> None:
        self.say(b'{"error": {"message": "upstream is gone", "code": 502}}')

    def ends_in_error(self) -> None:
        choice = {"message": {"content": "half"}, "finish_reason": "error"}
        self.say(completion(choices=[choice]))

    def packed(self) -> None:
        self.say(gzip.compress(completion()), Content_Encoding="gzip")

    def badly_packed(self) -> None:
        self.say(b"no gzip", Content_Encoding="gzip")

    def in_parts(self) -> None:
        thinking = {"type": "thinking", "thinking": "hm"}
        parts = [thinking, *({"type": "text", "text": each} for each in (ANSWER[:9], ANSWER[9:]))]
        self.say(completion(parts))

    def streamed(self) -> None:
        self.events(ANSWER[:9], ANSWER[9:], end="stop")

    def streamed_in_part(self) -> None:
        self.events(ANSWER[:9])

    def events(self, *pieces: str, end: str | None = None) -> None:
        choices = [{"delta": {"content": each}, "finish_reason": None} for each in pieces]
        choices += [{"delta": {}, "finish_reason": end}] if end else []
        lines = [json.dumps({"model": "m", "choices": [each]}) for each in choices]
        body = "".join(f"data: {line}\n\n" for line in lines).encode()
        self.say(body, Content_Type="text/event-stream")

    def redirect(self) -> None:
        self.say(b"", 307, Location="http://127.0.0.1:9/elsewhere")

    def unwanted(self) -> None:
        self.say(b'{"error": {"message": "content policy"}}', 400)

    def log_message(self, format: str, *args: Any) -> None:
        pass


DAMAGES = (
    "limit", "error", "hang", "drip", "drop", "cut", "cut_short", "no_choice", "flood",
    "flood_without_end", "twice", "other_model", "no_model", "error_in_200", "ends_in_error",
    "packed", "badly_packed", "in_parts", "streamed", "streamed_in_part", "redirect", "unwanted",
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
