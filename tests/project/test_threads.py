"""Threads of torch sleep while they wait: beside other work they cost no more than the work."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORK = """
import time
import training
import torch
torch.set_num_threads(2)
numbers = torch.randn(300, 300)
for _ in range(20):
    numbers @ numbers
began = time.process_time()
for _ in range(200):
    (numbers @ numbers).sum()
print(time.process_time() - began)
"""


def told(code: str, **others: str) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, cwd=ROOT, env=env | others, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("package", ["agents", "training"])
def test_the_way_of_waiting_is_set_before_torch_is_imported(package: str) -> None:
    code = (
        f"import os, sys, {package}; print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    )
    assert told(code) == "PASSIVE False"
    assert told(code, OMP_WAIT_POLICY="ACTIVE") == "ACTIVE False"


def test_importing_the_environments_sets_nothing() -> None:
    assert told("import os, vsp_envs; print('OMP_WAIT_POLICY' in os.environ)") == "False"


@contextmanager
def busy_neighbours(count: int) -> Iterator[None]:
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for each in busy:
            each.kill()
            each.wait()


@pytest.mark.slow
def test_four_busy_neighbours_do_not_multiply_the_work() -> None:
    quiet = float(told(WORK))
    with busy_neighbours(4):
        assert float(told(WORK)) <= 3 * quiet
