"""An API key in the environment: it goes to the endpoint, and into no file, log or traceback."""

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from endpoint import Answer, completion, serving

from agents.backends.openai import Endpoint, OpenAIAgent
from agents.rollout import Case, play
from vsp_envs import LayoutSpec, draw_distinct

ROOT = Path(__file__).parents[2]
KEY = "sk-proj-Zq81/very+secret=0123456789"
ECHOES = [
    lambda: completion("size 3 <answer>RRDD</answer>"),
    lambda: Answer({"error": {"message": f"wrong key {KEY}", "got": f"Bearer {KEY}"}}, 400),
    lambda: Answer(f"<html>Authorization: Bearer {KEY}</html>".encode(), 500),
    lambda: Answer(f'{{"choices": [{{"Authorization": "bearer {KEY[:20]}'.encode()),
    lambda: Answer(completion("L").body | {"model": f"model-of-{KEY}"}),
    lambda: completion(f"../../I was sent {KEY} <answer>{KEY}</answer>"),
    lambda: Answer({}, 429, {"Retry-After": KEY, KEY[:7]: KEY}),
]
# Writes down every file that is opened for writing, made, moved or removed.
WATCH = """
import os, runpy, sys
log = open(os.environ.pop("WRITES"), "a")
def seen(event, args):
    if event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        print(args[0], file=log, flush=True)
    elif event in ("os.mkdir", "os.rename", "os.remove", "os.symlink", "os.truncate"):
        print(*args[: 2 if event == "os.rename" else 1], sep="\\n", file=log, flush=True)
sys.addaudithook(seen)
sys.argv[0] = "evaluation"
runpy.run_module(os.environ.pop("MODULE"), run_name="__main__", alter_sys=True)
"""


def evaluate(folder: Path, *options: str, key: str = KEY) -> subprocess.CompletedProcess[str]:
    """The real command, as a user starts it."""
    environment = {"OPENAI_API_KEY": key, "PYTHONPATH": str(ROOT), "COLUMNS": "300"} | {
        "MODULE": "evaluation.planning", "WRITES": str(folder / "writes"),
        "HOME": str(folder), "MPLCONFIGDIR": str(folder / "plots"),
    }  # fmt: skip
    command = [sys.executable, "-B", "-c", WATCH, "--agent", "openai", "--model", "m", "--tasks",
               "frozenlake:3", "--out", str(folder / "run"), *options]  # fmt: skip
    everything = os.environ | environment
    return subprocess.run(command, env=everything, capture_output=True, text=True, timeout=120)


def leaks(folder: Path, done: subprocess.CompletedProcess[str]) -> list[str]:
    """Where the key, or half of it, is to be found."""
    places = {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    places |= {"stdout": done.stdout.encode(), "stderr": done.stderr.encode()}
    return [name for name, data in places.items() if KEY[:14].encode() in data]


@pytest.mark.slow
def test_a_run_keeps_no_key_and_writes_into_its_folder_alone(long, tmp_path, record_property):
    """The key sent back by an endpoint in errors, cut JSON, model names, replies and headers."""
    asked = iter(range(10**9))
    episodes = 100 if long else 16
    with serving(lambda body: ECHOES[next(asked) % len(ECHOES)]()) as endpoint:
        done = evaluate(
            tmp_path, "--base-urls", endpoint.url, "--episodes", str(episodes), "--retries", "0",
            "--concurrency", "1", "--max-failed", "1", key=f" {KEY}\n",
        )  # fmt: skip
        assert all(each["Authorization"] == f"Bearer {KEY}" for each in endpoint.headers)
    assert done.returncode == 0, done.stderr
    assert leaks(tmp_path, done) == []
    said = (tmp_path / "run/replies.jsonl").read_text()
    assert "wrong key [key]" in said and "I was sent [key]" in said and "bearer [key]" in said
    record_property("requests", len(endpoint.headers))
    record_property("files with the key", 0)
    written = {Path(line).resolve() for line in (tmp_path / "writes").read_text().splitlines()}
    own = (tmp_path / "run", tmp_path / "plots", Path("/dev"))
    assert tmp_path / "run/replies.jsonl" in written
    assert [each for each in written if not any(each.is_relative_to(one) for one in own)] == []
    record_property("files written outside the run folder", 0)


@pytest.mark.faults
def test_a_run_that_is_refused_says_so_without_the_key(tmp_path):
    refusal = Answer({"error": f"Incorrect API key provided: {KEY}. Header: Bearer {KEY}"}, 401)
    with serving(lambda body: refusal) as endpoint:
        done = evaluate(tmp_path, "--base-urls", endpoint.url, "--episodes", "3")
    assert done.returncode == 2 and "Incorrect API key provided: [key]" in done.stderr
    assert "Traceback" not in done.stderr and leaks(tmp_path, done) == []


@pytest.mark.faults
def test_a_run_that_breaks_in_the_middle_has_no_key_in_its_traceback(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/report.html.part").mkdir()  # where nothing can be written
    with serving(lambda body: completion(KEY)) as endpoint:
        done = evaluate(tmp_path, "--base-urls", endpoint.url, "--episodes", "3")
    assert done.returncode != 0 and "report.html.part" in done.stderr
    assert leaks(tmp_path, done) == []


@pytest.mark.parametrize("url", ["http://user:{}@127.0.0.1:9/v1", "http://{}@127.0.0.1:9/v1",
                                 "http://127.0.0.1:9/v1?key={}", "http://127.0.0.1:9/v1#{}",
                                 "user:{}@127.0.0.1", "http://a:{}@ho\u2100st/v1"])  # fmt: skip
def test_a_url_that_holds_a_key_is_refused_and_not_shown(url):
    with pytest.raises(ValueError, match="keys come from the environment alone") as told:
        OpenAIAgent("m", Endpoint(base_urls=(url.format(KEY),)))
    assert KEY[:14] not in str(told.value)


@pytest.mark.faults
def test_a_command_with_such_a_url_leaves_no_trace_of_it(tmp_path):
    done = evaluate(tmp_path, "--base-urls", f"http://user:{KEY}@127.0.0.1:9/v1", key="")
    assert done.returncode != 0 and "keys come from the environment alone" in done.stderr
    assert leaks(tmp_path, done) == []


@pytest.mark.parametrize("key", [f"{KEY}\r\nHost: evil", f"{KEY}…", f"{KEY}\x00"[:-1] + "\x7f"])
def test_a_key_that_no_header_may_hold_is_refused_and_not_shown(key, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(
        ValueError, match="OPENAI_API_KEY holds a character that no key has"
    ) as told:
        OpenAIAgent("m")
    assert KEY[:14] not in str(told.value)


def test_a_server_that_repeats_the_key_in_its_first_line_is_told_of_without_it(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    cases = [Case(each) for each in draw_distinct(LayoutSpec("frozenlake", 3), 1, seed=0)]
    with socket.create_server(("127.0.0.1", 0)) as server:

        def once():
            connection, _ = server.accept()
            with connection, connection.makefile("rb") as request:
                head = dict(
                    line.split(b": ") for line in iter(request.readline, b"\r\n") if b": " in line
                )
                request.read(int(head[b"Content-Length"]))  # closed unread, it would be reset
                connection.sendall(f"Bearer {KEY} is no status\r\n\r\n".encode())

        answering = threading.Thread(target=once)
        answering.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        [episode] = play(OpenAIAgent("m", Endpoint(base_urls=(url,), retries=0)), cases)
        answering.join()
    assert episode.error.startswith("RemoteProtocolError: ")
    assert KEY[:14] not in json.dumps(vars(episode))
