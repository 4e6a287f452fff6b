"""A model behind an endpoint of which 30 % of the calls go wrong, in every way at once."""

import json
import re
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from bad_endpoint import ANSWER, DAMAGES

from agents.agent import View
from agents.backends import openai as backend
from agents.backends.openai import Endpoint, OpenAIAgent
from agents.rollout import Case, play_unordered
from evaluation import planning
from evaluation.run_folder import read_run
from vsp_envs import LayoutSpec, draw_distinct
from vsp_envs.core.task_level import TaskLevel

SHARE, THREADS = 0.3, 16
REASONS = (
    "HTTP 429", "HTTP 500: <html>oops", "HTTP 404: .*no such model", "TimeoutError",
    "RemoteProtocolError|ReadError|WriteError", "no chat completion: {", "DecodingError",
    "ReadError: the answer is longer than", "the answer is of another model, n-la",
    "error: .*upstream is gone", "finish_reason error", "the stream ended", "HTTP 307: .*elsewhere",
    "HTTP 400: .*content policy",
)  # fmt: skip


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    """Back-off counts as in life, fifty times faster."""
    real = backend.backoff
    monkeypatch.setattr(backend, "backoff", lambda attempt: real(attempt) / 50)


@contextmanager
def bad_endpoint(share=SHARE):
    """The base URL of an endpoint in a process of its own, and what it says that it did."""
    command = [sys.executable, Path(__file__).with_name("bad_endpoint.py"), str(share)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        url = f"http://127.0.0.1:{int(process.stdout.readline())}"

        def counts():
            with urllib.request.urlopen(url) as answer:
                return json.load(answer)

        try:
            yield f"{url}/v1", counts
        finally:
            process.terminate()


def patience(url):
    """Seconds to wait for an answer: five times what `THREADS` of them take here and now."""
    cases = [Case(each) for each in draw_distinct(LayoutSpec("frozenlake", 8), THREADS, seed=1)]
    calm = agent(url.replace("/v1", "/calm/v1"), timeout=300)
    began = time.monotonic()
    assert not any(episode.error for _, episode in play_unordered(calm, cases))
    return max(1.0, 5 * (time.monotonic() - began))


def agent(url, **settings):
    settings = {"retries": 2, "concurrency": THREADS} | settings
    if "timeout" not in settings:
        settings["timeout"] = patience(url)
    return OpenAIAgent("m", Endpoint(base_urls=(url,), **settings), view=View(image_size=64))


def mebibytes():
    """Memory of this process that is not on the disk."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"RssAnon:\s*(\d+) kB", status)[1]) / 1024


def test_every_case_is_answered_or_has_failed_with_its_reason(long, tmp_path, record_property):
    """30 % of the calls of an evaluation answered with 429, 500, 404, 400, a redirect, a hang, a
    drip, a dropped connection, cut JSON, a cut body, no choice, 10 MB, a body without end,
    two answers for one, another model, an error under status 200, bad gzip, a stream that ends
    early; or rightly, but packed, in parts or as a stream."""
    # Which cases meet which damage is for the threads to decide: of 200 with one retry, 15 fail.
    episodes, retries = (10_000, 2) if long else (200, 1)
    with bad_endpoint() as (url, counts):
        one = agent(url, retries=retries)
        results = planning.evaluate(
            one, [TaskLevel("frozenlake", 8)], None, episodes, out=tmp_path / "run"
        )
        did = counts()
    records = read_run(tmp_path / "run").records
    assert len({each["layout_id"] for each in records}) == len(records) == episodes
    assert results["macro"]["success"]["n"] == episodes
    failed = [each["error"] for each in records if each["error"]]
    assert all(re.match("|".join(REASONS), reason) for reason in failed), failed
    assert {each["reply"] for each in records if not each["error"]} == {ANSWER}
    assert 0 < len(failed) < 0.2 * episodes and all(did[damage] for damage in DAMAGES)
    assert 1 < did["most at once"] <= THREADS
    record_property("cases", episodes)
    record_property("requests", did["requests"])
    record_property("went wrong", sum(did[damage] for damage in DAMAGES))
    record_property("answered", episodes - len(failed))
    record_property("failed with a reason", len(failed))
    record_property("most at once", f"{did['most at once']} of {THREADS}")


@pytest.mark.faults  # in a short form what allocators keep hides what a leak would hold
def test_memory_stays_flat(record_property):
    """The memory of the client while it asks the same endpoint; the caches of 4 096 boards fill up
    first."""
    requests, first = 10_000, 2_000
    cases = [Case(each) for each in draw_distinct(LayoutSpec("frozenlake", 8), requests, seed=0)]
    held = []
    with bad_endpoint() as (url, _):
        for done, _ in enumerate(play_unordered(agent(url), cases), start=1):
            if done % first == 0:
                held.append(mebibytes())
    assert held[-1] - held[-2] < 16, held
    record_property("requests", requests)
    record_property("MiB after each fifth", ", ".join(f"{each:.0f}" for each in held))


def test_no_thread_and_no_connection_is_left():
    with bad_endpoint() as (url, _):
        one = agent(url, concurrency=8)
        cases = [Case(each) for each in draw_distinct(LayoutSpec("frozenlake", 4), 40, seed=0)]
        before = set(threading.enumerate())
        assert len(list(play_unordered(one, cases))) == 40
        end = time.monotonic() + 20
        while left := set(threading.enumerate()) - before:  # those that looked up names
            assert time.monotonic() < end, left
            time.sleep(0.05)
