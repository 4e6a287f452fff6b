"""Several processes share the boards of a run, and end with what one process finds."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from evaluation.options import make_agent
from evaluation.planning import PlanningConfig
from evaluation.processes import Processes

ROOT = Path(__file__).parents[2]
BOARDS = [
    "--tasks",
    "frozenlake:3",
    "maze:3",
    "--episodes",
    "3",
    "--quiet",
    "--max-new-tokens",
    "9",
]


def evaluate(
    out: Path, model: Path, processes: int, *more: str
) -> subprocess.CompletedProcess[str]:
    launcher = [
        "-m", "accelerate.commands.launch", "--num_processes", str(processes), "--cpu",
        "--main_process_port", "0", "--num_machines", "1", "--mixed_precision", "no",
        "--dynamo_backend", "no", "-m",
    ]  # fmt: skip
    command = [
        sys.executable, *(launcher if processes > 1 else ["-m"]), "evaluation.planning", *BOARDS,
        "--model", str(model), "--out", str(out), *more,
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=300, cwd=ROOT
    )


def records(out: Path) -> dict[str, str]:
    lines = map(json.loads, (out / "replies.jsonl").read_text().splitlines())
    return {record["task"] + record["layout_id"]: record["reply"] for record in lines}


@pytest.mark.slow
def test_two_processes_find_what_one_finds(tiny_folder: Path, tmp_path: Path) -> None:
    for processes, out in ((1, tmp_path / "one"), (2, tmp_path / "two")):
        done = evaluate(out, tiny_folder, processes)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("report:") == 1
    one, two = tmp_path / "one", tmp_path / "two"
    assert records(one) == records(two) and len(records(two)) == 6
    results = [json.loads((out / "results.json").read_text()) for out in (one, two)]
    assert results[0] == results[1]
    assert not list(two.glob("replies.*.jsonl"))

    # Stopped before the second one's replies were added, and gone on with by one process.
    stopped = tmp_path / "stopped"
    shutil.copytree(two, stopped)
    lines = (two / "replies.jsonl").read_text().splitlines(keepends=True)
    (stopped / "replies.jsonl").write_text("".join(lines[:2]))
    (stopped / "replies.1.jsonl").write_text("".join(lines[2:5]) + lines[5][:40])
    (stopped / "results.json").unlink()
    done = evaluate(stopped, tiny_folder, 1)
    assert done.returncode == 0, done.stderr
    assert records(stopped) == records(one)


def test_the_processes_share_the_boards_out() -> None:
    shares = [Processes(rank, 3).share(range(8)) for rank in range(3)]
    assert sorted(board for share in shares for board in share) == list(range(8))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize(
    ("agent", "engine", "message"),
    [
        ("vllm", "max_model_len=8", r"--engine is a JSON object such as .*, got 'max_model_len=8'"),
        ("vllm", "[1]", "--engine is a JSON object"),
        ("vllm", '{"trust_remote_code": true}', "cannot set 'trust_remote_code'"),
        ("vllm", '{"max_model_len": 0}', "'max_model_len' of --engine is a number of at least 1"),
        ("oracle", '{"max_model_len": 9}', "--engine is for --agent vllm; the oracle agent"),
    ],
)
def test_engine_options_that_cannot_be_are_refused_before_anything_is_loaded(
    agent: str, engine: str, message: str, tmp_path: Path
) -> None:
    config = PlanningConfig(out=tmp_path, agent=agent, model="nowhere/at-all", engine=engine)
    with pytest.raises(ValueError, match=message):
        make_agent(config)
