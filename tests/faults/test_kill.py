"""Runs that are killed at random moments: taken up again they end as if nothing had happened."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import wait
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pytest
import small_runs as runs

from vsp_envs import LayoutSpec, draw_distinct
from vsp_envs.scoring.episode import read_episodes

LATEST = 900
"""Seconds after which a run hangs."""
ONE_THREAD = Lock()
"""Held to start a process or to ask how it ended: to start one also asks all others, and of two
threads that ask about the same process one is told 255."""


class Runs:
    """Starts one run again and again in `folder`."""

    def __init__(self, what: Callable[[Path, Path], None], tiny: Path, folder: Path) -> None:
        self.what, self.tiny, self.folder = what, tiny, folder

    def start(self, out: Path) -> Any:
        out.mkdir(parents=True, exist_ok=True)
        process = runs.PROCESSES.Process(target=self.what, args=(self.tiny, out))
        with ONE_THREAD:
            process.start()
        return process

    def finish(self, out: Path) -> float:
        """Run to the end; the seconds it took."""
        began, process = time.perf_counter(), self.start(out)
        wait([process.sentinel], LATEST)
        assert exit_code(process) == 0
        return time.perf_counter() - began

    def kill(self, out: Path, moment: float | int) -> bool:
        """Kill after so many seconds or so many new files; False if it ended before."""
        process = self.start(out)
        if isinstance(moment, float):
            wait([process.sentinel], moment)
        else:
            before = files_in(out)
            while not wait([process.sentinel], 0.001) and len(files_in(out) - before) < moment:
                pass
        with ONE_THREAD:
            process.kill()
        wait([process.sentinel], LATEST)
        ended = exit_code(process)
        assert ended in (0, -9)
        return ended == -9


def exit_code(process: Any) -> int | None:
    """How a process ended; None while it runs."""
    with ONE_THREAD:
        return process.exitcode


def files_in(folder: Path) -> set[str]:
    """All files below a folder; `rglob` would stumble over one that goes while it looks."""
    walked = os.walk(folder)
    return {os.path.join(place, name) for place, _, names in walked for name in names}


def killed(
    these: Runs, kills: int, check: Callable[[Path, Path], None], record_property: Any
) -> None:
    """Kill that often, in three folders at a time, letting the runs end now and then."""
    undisturbed = these.folder / "undisturbed"
    span = these.finish(undisturbed)

    def kill_in_turn(which: int) -> int:
        draw, left, folders = np.random.default_rng(which), len(range(which, kills, 3)), 0
        while left:
            out, folders = these.folder / f"killed-{which}-{folders}", folders + 1
            for _ in range(min(left, 7)):
                at_write = draw.random() < 0.5
                moment = int(draw.integers(1, 20)) if at_write else float(draw.uniform(0.1, span))
                left -= these.kill(out, moment)
            these.finish(out)
            check(undisturbed, out)
        return folders

    with ThreadPoolExecutor() as pool:
        folders = sum(pool.map(kill_in_turn, range(3)))
    record_property("kills", kills)
    record_property("runs taken up to the end", folders)


def same_training(one: Path, other: Path) -> None:
    """Weights as bytes, and the log but for times."""
    for name in ("model.safetensors", "config.json", "generation_config.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    logs, tokenizers = [], []
    for out in (one, other):
        logs.append(json.loads((out / "run.json").read_text())["history"])
        tokenizers.append(json.loads((out / "tokenizer.json").read_text()))
        tokenizers[-1]["padding"] = None  # as at its last call, if there was one
        logs[-1] = [
            {name: value for name, value in entry.items() if name not in runs.LIVELY}
            for entry in logs[-1]
        ]
    assert logs[0] == logs[1]
    assert tokenizers[0] == tokenizers[1]


def same_evaluation(one: Path, other: Path) -> None:
    """Every case once, and the same results."""
    lines = [(out / "replies.jsonl").read_text().splitlines() for out in (one, other)]
    assert len(lines[0]) == len(lines[1]) == len(set(lines[1]))
    assert sorted(lines[0]) == sorted(lines[1])
    assert (one / "results.json").read_bytes() == (other / "results.json").read_bytes()


def same_demo(one: Path, other: Path) -> None:
    for stage in ("base", "sft", "opcd"):
        same_training(one / stage, other / stage)
    folders = [folder.name for folder in (one / "evaluation").iterdir()]
    assert len(folders) == 11
    for name in folders:
        same_evaluation(one / "evaluation" / name, other / "evaluation" / name)
    tables = [(out / "summary.md").read_text().partition("Seconds")[0] for out in (one, other)]
    assert tables[0] == tables[1]


def same_recording(one: Path, other: Path) -> None:
    """Every board of the stream once and in its order."""
    wanted = draw_distinct(LayoutSpec("frozenlake", 4, "test"), runs.GAMES, seed=0)
    for out in (one, other):
        episodes = read_episodes(out / "human.jsonl")
        assert len(episodes) >= runs.GAMES
        found = [episode.layout_id for episode in episodes]
        assert found[: runs.GAMES] == [layout.layout_id for layout in wanted]
        assert len(set(found)) == len(found)


@pytest.mark.slow
@pytest.mark.parametrize(
    "stage", [runs.run_sft, runs.run_opcd, runs.run_turns], ids=["sft", "opcd", "turns"]
)
def test_killed_training_ends_in_the_same_weights_and_log(
    stage: Callable[[Path, Path], None], tiny_folder: Path, tmp_path: Path, long: bool,
    record_property: Any,
) -> None:  # fmt: skip
    """Training killed after a random time or right at a write: final weights as bytes and the log
    but for times are those of an undisturbed run."""
    these = Runs(stage, tiny_folder, tmp_path)
    killed(these, 20 if long else 2, same_training, record_property)


@pytest.mark.slow
def test_a_killed_evaluation_holds_every_case_once(
    tiny_folder: Path, tmp_path: Path, long: bool, record_property: Any
) -> None:
    """An evaluation killed at random: every case is there once, replies and results are those of
    an undisturbed run."""
    these = Runs(runs.evaluate, tiny_folder, tmp_path)
    killed(these, 20 if long else 3, same_evaluation, record_property)


def test_a_killed_recording_holds_every_board_once(
    tiny_folder: Path, tmp_path: Path, long: bool, record_property: Any
) -> None:
    """The play window killed at random while boards are played: every board is there once."""
    these = Runs(runs.play, tiny_folder, tmp_path)
    killed(these, 20 if long else 3, same_recording, record_property)


@pytest.mark.faults
def test_a_killed_demo_ends_in_the_same_models_and_table(
    tiny_folder: Path, tmp_path: Path, record_property: Any
) -> None:
    """The demo, with stages of two steps, killed at random: models, replies and table are those of
    an undisturbed one."""
    these = Runs(runs.demo, tiny_folder, tmp_path)
    killed(these, 20, same_demo, record_property)
