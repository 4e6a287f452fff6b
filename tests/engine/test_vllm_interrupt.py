"""Ctrl-C while vLLM's engine starts or answers: the command ends, and keeps what was answered."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("vllm", reason="vLLM is not installed here; `make test-vllm` has it")

ROOT = Path(__file__).parents[2]


def interrupted(checkpoint, out, ready):
    """Evaluate with vLLM and press Ctrl-C once it is ready: exit code, and seconds that took."""
    process = subprocess.Popen(
        [sys.executable, "-m", "evaluation.planning", "--agent", "vllm", "--model", checkpoint,
         "--tasks", "frozenlake:3", "--episodes", "600", "--batch-size", "16", "--dtype",
         "float32", "--max-new-tokens", "400", "--engine",
         '{"enforce_eager": true, "max_model_len": 1024, "max_num_seqs": 16}', "--out", str(out)],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    said = []
    reader = threading.Thread(target=lambda: said.append(process.stderr.read()))
    reader.start()
    try:
        end = time.monotonic() + 400
        while not ready():
            assert process.poll() is None, said
            assert time.monotonic() < end, "it was never ready"
            time.sleep(0.05)
        began = time.monotonic()
        os.kill(process.pid, signal.SIGINT)
        process.wait(60)
        return process.returncode, time.monotonic() - began
    finally:
        process.kill()
        reader.join(10)


def test_an_evaluation_with_vllm_ends_within_two_seconds_and_keeps_its_replies(
    checkpoint, tmp_path
):
    replies = tmp_path / "run/replies.jsonl"
    code, seconds = interrupted(checkpoint, tmp_path / "run", replies.exists)
    assert code == 130 and seconds < 2
    assert replies.read_bytes().endswith(b"\n")


def test_an_evaluation_whose_engine_is_not_up_yet_ends_as_soon(checkpoint, tmp_path):
    began = time.monotonic()
    code, seconds = interrupted(checkpoint, tmp_path / "run", lambda: time.monotonic() > began + 12)
    assert code == 130 and seconds < 2
