"""Many environments for a long time, their workers killed, and runs that want the same folder."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_runs as runs
from test_disk import refused
from test_kill import LATEST, Runs, same_evaluation, same_training

from vsp_envs import TASKS
from vsp_envs.envs.vector_env import PlanningVectorEnv

MIB = 2**20


def resident() -> float:
    """MiB that are this process's alone, in memory or swapped out."""
    # How much of what is freed glibc keeps depends on what the process has done before.
    ctypes.CDLL(None).malloc_trim(0)
    lines = Path("/proc/self/status").read_text().splitlines()
    kib = [int(line.split()[1]) for line in lines if line.startswith(("RssAnon", "VmSwap"))]
    return sum(kib) * 1024 / MIB


def step_randomly(env: PlanningVectorEnv, steps: int, seed: int) -> None:
    actions = np.random.default_rng(seed).integers(len(env.task.actions), size=(64, env.num_envs))
    for step in range(steps):
        env.step(actions[step % 64])


@pytest.mark.parametrize("task", TASKS)
def test_memory_stays_flat_over_a_million_steps(
    task: str, long: bool, record_property: Any
) -> None:
    """4096 environments in one, stepped at random, with infos: the memory of the process and what
    Python allocated, against the same after a warm-up of some hundred episodes each."""
    count, steps = (4096, 1000) if long else (64, 300)
    env = PlanningVectorEnv(count, task, 5, level=5, observation="symbolic")
    env.reset(seed=0)
    # Until every environment has drawn layouts ahead twice: first a few, then a full block, which
    # takes most memory while it is compiled.
    step_randomly(env, 500, seed=0)
    before = resident()
    step_randomly(env, steps, seed=1)
    grown = resident() - before
    tracemalloc.start()
    try:
        step_randomly(env, 20, seed=2)
        held = tracemalloc.get_traced_memory()[0]
        step_randomly(env, 40, seed=3)
        leaked = tracemalloc.get_traced_memory()[0] - held
    finally:
        tracemalloc.stop()
    assert grown < 16 and leaked < 4096 * count, (grown, leaked)
    record_property("steps of an environment", count * steps)
    record_property("MiB before", round(before))
    record_property("MiB more after", round(grown, 1))
    record_property("MiB more allocated by Python", round(leaked / MIB, 2))


WORKERS = """
import sys
import gymnasium, numpy, vsp_envs
env = gymnasium.make_vec("VSP/Maze-v0", 64, vectorization_mode="async", level=3,
                         observation="symbolic", vector_kwargs={"context": "fork"})
env.reset(seed=0)
print(*(process.pid for process in env.processes), flush=True)
how = sys.argv[1]
for _ in sys.stdin if how == "closed" else iter(int, 1):
    try:
        env.step(numpy.zeros(64, int))
    except (EOFError, OSError):
        break
try:
    env.close(terminate=how == "worker killed")
except (EOFError, OSError):
    pass  # it waits for the step that failed and may meet the dead worker's pipe once more
"""


def workers(how: str) -> tuple[subprocess.Popen[str], list[int]]:
    """A process with 64 environments in workers, and the workers' ids."""
    parent = subprocess.Popen(
        [sys.executable, "-c", WORKERS, how],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert parent.stdout
    return parent, [int(pid) for pid in parent.stdout.readline().split()]


def state_of(pid: int) -> str:
    """A letter as in `ps`: T is stopped, Z ended and not yet waited for, X gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if state_of(pid) not in "XZ"]


def gone(pids: list[int], seconds: float = 60) -> float:
    """Wait until none of the processes is left; the seconds that took."""
    began = time.monotonic()
    while alive(pids):
        assert time.monotonic() - began < seconds, f"{len(alive(pids))} workers are left"
        time.sleep(0.05)
    return time.monotonic() - began


@pytest.mark.parametrize("end", ["killed", "worker killed", "closed"])
def test_no_worker_outlives_the_environments(end: str, long: bool, record_property: Any) -> None:
    """64 environments in async workers. The parent is killed while it steps; or one worker is: the
    step then raises, and `close(terminate=True)` or the parent's end takes the rest along; or all
    is closed in peace."""
    times = []
    for number in range(5 if long else 1):
        parent, pids = workers(end)
        assert len(alive(pids)) == 64
        if end == "killed":
            parent.kill()
        if end == "worker killed":
            os.kill(pids[13 * number], signal.SIGKILL)
        parent.communicate("step\nstep\n", timeout=60)
        assert parent.returncode == (-9 if end == "killed" else 0)
        times.append(gone(pids))
    record_property("times", len(times))
    record_property("last worker gone after seconds", round(max(times), 1))


@pytest.mark.parametrize(
    ("what", "check"),
    [(runs.evaluate, same_evaluation), (runs.run_sft, same_training)],
    ids=["evaluations", "trainings"],
)
def test_of_two_runs_in_one_folder_the_second_is_refused(
    what: Callable[[Path, Path], None], check: Callable[[Path, Path], None],
    tiny_folder: Path, tmp_path: Path, record_property: Any,
) -> None:  # fmt: skip
    """Two processes started on one folder, with the first halted once the folder is its own: the
    second says in one line that the folder is in use, and the first ends undisturbed."""
    these, out = Runs(what, tiny_folder, tmp_path), tmp_path / "run"
    first = runs.PROCESSES.Process(target=runs.halted, args=(what, tiny_folder, out))
    first.start()
    while (state := state_of(first.pid)) != "T":
        assert state not in "XZ", "it ended before its folder was its own"
        time.sleep(0.01)
    try:
        line = refused(what, tiny_folder, out, tmp_path / "said")
    finally:
        os.kill(first.pid, signal.SIGCONT)
    assert f"{out} is in use by another run; wait for it, or choose another --out" in line
    first.join(LATEST)
    assert first.exitcode == 0
    these.finish(tmp_path / "alone")
    check(tmp_path / "alone", out)
    record_property("refused", 1)
