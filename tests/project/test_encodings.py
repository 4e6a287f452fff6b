"""No command needs a terminal that shows every character: Windows' pipes do not."""

from __future__ import annotations

import io
import os
import re
import runpy
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from vsp_envs.utils.terminal import print_any_text

ROOT = Path(__file__).parents[2]
PACKAGES = ("vsp_envs", "agents", "evaluation", "training", "benchmarks", "examples")
COMMANDS = sorted(
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__")
    for package in PACKAGES
    for file in (ROOT / package).rglob("*.py")
    if '__name__ == "__main__"' in (text := file.read_text(encoding="utf-8"))
    and re.search(r"Config\b|ArgumentParser\(", text)
    and file.stem not in ("loss_memory", "card")
)
NEEDS = {
    **{"examples.export": "datasets", "examples.grpo": "trl", "examples.serve": "uvicorn"},
    "examples.sb3_ppo": "stable_baselines3",
}
ENCODINGS = ("ascii", "cp1252", "cp932")


def terminal(encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding)


def written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode(stream.encoding)


def test_the_commands_are_found() -> None:
    assert {"vsp_envs.play", "vsp_envs.count", "evaluation.planning", "evaluation.report",
            "training.base", "training.opcd", "training.recipes.demo"} <= {*COMMANDS}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_its_help_in_every_encoding(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if (needed := NEEDS.get(command)) and find_spec(needed) is None:
        pytest.skip(f"{command} needs {needed}")
    monkeypatch.setenv("COLUMNS", "100")
    for encoding in ENCODINGS:
        monkeypatch.setattr(sys, "argv", [command, "--help"])
        monkeypatch.setattr(sys, "stdout", terminal(encoding))
        with pytest.raises(SystemExit) as end:
            runpy.run_module(command, run_name="__main__", alter_sys=True)
        assert not end.value.code
        assert "--help" in written(sys.stdout)


def test_what_an_encoding_lacks_is_written_in_plain_characters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdout", terminal("ascii"))
    monkeypatch.setattr(sys, "stderr", terminal("cp1252"))
    print_any_text()
    print("a → b ≈ 3 × 4 − 1 … ü 中 \udce9")
    print("a → b ≈ 3 × 4 − 1 … ü 中 \udce9", file=sys.stderr)
    assert written(sys.stdout) == "a -> b ~ 3 x 4 - 1 ... ? ? ?\n"
    assert written(sys.stderr) == "a -> b ~ 3 × 4 - 1 … ü ? ?\n"


def test_streams_of_another_kind_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setattr(sys, "stderr", None)  # as under pythonw
    print_any_text()
    print("≈")
    assert sys.stdout.getvalue() == "≈\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "sink", "code", "said"),
    [
        (["vsp_envs.count", "frozenlake:3", "maze:3"], "pipe", 1, ""),
        (["vsp_envs.count", "frozenlake:3", "maze:3"], "/dev/full", 1, "No space left on device"),
        (["evaluation.planning", "--agent", "oracle", "--tasks", "maze:3", "--episodes", "1"],
         "/dev/full", 1, "No space left on device"),
    ],
)  # fmt: skip
def test_output_that_cannot_be_written_ends_a_command_without_a_traceback(
    command: list[str], sink: str, code: int, said: str, tmp_path: Path
) -> None:
    if sink != "pipe" and not Path(sink).exists():
        pytest.skip(f"there is no {sink} here")
    if "--episodes" in command:
        command = [*command, "--out", str(tmp_path / "run")]
    reader, writer = os.pipe()
    os.close(reader)  # as a pipe is once `head` has enough
    with open(writer if sink == "pipe" else sink, "w") as stdout:
        done = subprocess.run(
            [sys.executable, "-m", *command], stdout=stdout, stderr=subprocess.PIPE, text=True,
            cwd=ROOT,
        )  # fmt: skip
    if sink != "pipe":
        os.close(writer)
    lines = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert done.returncode == code and "Traceback" not in done.stderr
    assert len(lines) == bool(said) and said in done.stderr
    assert "--episodes" not in command or (tmp_path / "run/results.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_runs_end_well_in_every_encoding(encoding: str, tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "0"}
    plan = ["--agent", "oracle", "--tasks", "maze:3", "--episodes", "2", "--out", "plan"]
    for command in (
        ["vsp_envs.count", "frozenlake:8"],
        ["evaluation.planning", *plan],
        ["evaluation.report", "plan", "--out", "report.html"],
        ["vsp_envs.play", "--replay", "plan", "--save", "plan.gif"],
        ["vsp_envs.play", "--theme", "—"],
    ):
        run = [sys.executable, "-m", *command]
        done = subprocess.run(run, cwd=tmp_path, env=env, capture_output=True)
        assert done.returncode == (2 if "—" in command else 0), done.stderr.decode(encoding)
        assert b"Traceback" not in done.stderr
        assert done.stdout.decode(encoding) or done.stderr.decode(encoding)
