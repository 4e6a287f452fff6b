"""Ctrl-C: a command ends within two seconds, with exit code 130, and keeps what was answered."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from endpoint import Answer, completion, nobody, serving

ROOT = Path(__file__).parents[2]
SECONDS = 2.0
ANSWERED = 5


def interrupted(
    ready: Callable[[int], Any], module: str, *arguments: str | Path, **more: str
) -> tuple[int, float, str]:
    """Start a command, press Ctrl-C once it is ready: exit code, seconds that took, and stderr.

    `ready` is asked with the number of the process.
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT), "SDL_VIDEODRIVER": "dummy"} | more
    process = subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell may ignore it
    )  # fmt: skip
    try:
        end = time.monotonic() + 400
        while not ready(process.pid):
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < end, "it was never ready"
            time.sleep(0.05)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=90)[1]
        return process.returncode, time.monotonic() - began, said
    finally:
        process.kill()
        process.communicate()


def lines(file: Path) -> int:
    return len(file.read_bytes().splitlines()) if file.is_file() else 0


LONG = pytest.mark.faults  # each takes seconds, and the others hold the kind


@pytest.mark.parametrize(
    "how",
    [
        "silent",
        "limited",
        pytest.param("dripping", marks=LONG),
        pytest.param("failing", marks=LONG),
    ],
)
def test_an_evaluation_ends_whatever_its_endpoint_does(how, tmp_path, record_property):
    """Ctrl-C while all requests of an evaluation wait for an endpoint."""
    asked, stop = iter(range(10**6)), threading.Event()

    def answer(body: dict[str, Any]) -> Answer:
        if next(asked) < ANSWERED:
            return completion("<answer>R</answer>")
        if how == "silent":
            stop.wait(60)
        if how == "limited":
            return Answer({}, 429, {"Retry-After": "300"})
        if how == "dripping":
            time.sleep(0.2)
        return Answer({}, 503)

    with serving(answer) as endpoint:
        replies = tmp_path / "run/replies.jsonl"
        code, seconds, _ = interrupted(
            lambda _: lines(replies) >= ANSWERED and len(endpoint.bodies) > ANSWERED,
            "evaluation.planning", "--agent", "openai", "--model", "m", "--base-urls", endpoint.url,
            "--tasks", "frozenlake:4", "--episodes", "60", "--out", tmp_path / "run",
            "--retries", "1000", OPENAI_API_KEY="",
        )  # fmt: skip
        stop.set()
    assert code == 130 and seconds < SECONDS
    assert lines(replies) == ANSWERED
    record_property("seconds", round(seconds, 1))


@LONG
def test_an_evaluation_ends_where_nobody_answers(tmp_path):
    with nobody() as gone:
        code, seconds, _ = interrupted(
            lambda _: (tmp_path / "run/config.json").is_file(),
            "evaluation.planning", "--agent", "openai", "--model", "m", "--base-urls", gone,
            "--tasks", "frozenlake:4", "--episodes", "60", "--out", tmp_path / "run",
        )  # fmt: skip
    assert code == 130 and seconds < SECONDS


@pytest.mark.slow
def test_a_training_keeps_its_step_and_ends(tiny_folder, tmp_path, record_property):
    """A training first finishes its step and keeps it, so it may take as long as these do."""
    out = tmp_path / "run"
    code, seconds, _ = interrupted(
        lambda _: list(out.glob("checkpoints/checkpoint-*")),
        "training.sft", "--model", tiny_folder, "--out", out, "--steps", "100000",
        "--batch-size", "2", "--save-every", "1", "--eval-every", "0",
    )  # fmt: skip
    assert code == 130 and seconds < 60
    record_property("seconds", round(seconds, 1))


@LONG
def test_a_demo_keeps_its_step_and_ends(tmp_path, record_property):
    """A demo while its first stage trains: the step is finished and kept, as in any training."""
    code, seconds, said = interrupted(
        lambda _: list(tmp_path.rglob("run.json")),
        "training.recipes.demo",
        "--out",
        tmp_path / "run",
    )
    assert code == 130 and seconds < 60 and "Traceback" not in said
    record_property("seconds", round(seconds, 1))


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="what a process has loaded is in /proc")
def test_a_game_ends(tmp_path):
    code, seconds, _ = interrupted(
        lambda pid: "/pygame/display." in Path(f"/proc/{pid}/maps").read_text(),
        "vsp_envs.play", "--task", "frozenlake", "--record", tmp_path / "human.jsonl",
    )  # fmt: skip
    assert code == 130 and seconds < SECONDS
