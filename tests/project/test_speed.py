"""The speed table: its numbers, its form, and that its peers do the same work."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from benchmarks import envs, measure, plain
from vsp_envs import TASKS
from vsp_envs.core.generator import LayoutSpec, passing
from vsp_envs.core.solver import solve_batch


def test_a_race_gives_units_per_second_and_their_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    def work(seconds: float) -> int:
        nonlocal now
        now += seconds
        return 2

    monkeypatch.setattr(measure.time, "perf_counter", lambda: now)
    ours, theirs = (partial(work, seconds) for seconds in (0.01, 0.04))
    race = measure.Race("a", "b", "boards", ours, theirs, floor=100, clock=lambda: now)
    row = measure.run(race, seconds=1)
    assert (row.ours, row.theirs, row.ratio) == (pytest.approx(200), pytest.approx(50), 4)
    assert "(missed)" in measure.table([row]).splitlines()[2]


@pytest.mark.slow
def test_the_quick_table_has_the_rows_of_every_kind_and_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(envs, "symbolic_races", lambda: [])
    monkeypatch.setattr(envs, "image_races", lambda: [])
    monkeypatch.setattr(measure, "speed", lambda work, clock: work() / 1.0)
    monkeypatch.setattr(sys, "argv", ["envs", "--quick", "--json", str(tmp_path / "rows.json")])
    envs.main()
    rows = json.loads((tmp_path / "rows.json").read_text())
    keys = {"work", "peer", "ours", "theirs", "unit", "ratio", "floor"}
    assert len(rows) == 6 and all(row.keys() == keys for row in rows)
    assert capsys.readouterr().out.count("|") == 7 * (len(rows) + 2)


@pytest.mark.parametrize(
    ("task", "make"),
    [("frozenlake", plain.lake), ("maze", plain.maze), ("minibehaviour", plain.room)],
)
def test_the_plain_python_peer_draws_boards_with_plans_as_long(
    task: str, make: Callable[[int, random.Random], int]
) -> None:
    rng = random.Random(0)
    theirs = [make(5, rng) for _ in range(1500)]
    spec = LayoutSpec(task, 5)
    drawn = TASKS[task].generate(5, 2000, np.random.default_rng(0), **spec.build_arguments())
    found = passing(drawn, spec)
    ours = np.concatenate([solve_batch(each).plan_lengths() for each in found])
    assert abs(np.mean(theirs) - ours.mean()) < 0.35
    assert min(theirs) == ours.min()
