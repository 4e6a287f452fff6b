"""A rehearsal of the how-tos: every command as it is printed, at real shapes, on CPUs.

The commands are read out of the pages. The checkpoint on the hub stands here as a folder of the
same name, with Qwen's vocabulary and narrow layers (tests/real_shapes.py). What makes a command
small enough for two cores is appended to it: `SMALLER`, and nothing else is changed. `make
test-real-shapes` runs all of them, those for vLLM by transformers; where vLLM is installed, `make
test-vllm` runs one of each kind of these as they are.
"""

import json
import os
import re
import runpy
import shlex
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from io import FileIO, TextIOWrapper
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import real_shapes
from public_rows import MAZE_OF_3_ROW, ROOM_ROW, TABLE, rows

ROOT = Path(__file__).parents[2]
PAGES = ("docs/howto/train-4b.md", "docs/howto/reproduce-the-paper.md", "docs/scale.md")
HAS_VLLM = find_spec("vllm") is not None

EVALUATION = "--episodes 1 --tasks frozenlake:3 maze:3 --max-new-tokens 4 --quiet"
SMALLER = {
    "training.sft": "--steps 2 --batch-size 4 --micro-batch-size 1 --workers 0 --eval-every 0 "
    "--save-every 1 --tasks frozenlake:3 maze:3",
    "training.opcd": "--steps 2 --batch-size 4 --max-new-tokens 8 --eval-every 0 --save-every 1 "
    "--tasks frozenlake:3 maze:3",
    "evaluation.planning": EVALUATION,
    "evaluation.modality_gap": EVALUATION,
    "training.merge": "",
    "training.memory": "",
    "evaluation.report": "",
}
"""Module → the flags that are appended; the last of two equal flags counts."""
BY_TRANSFORMERS = {
    "training.opcd": {"--rollout vllm": "--rollout hf"},
    "evaluation.planning": {"--agent vllm": "--agent hf"},
    "evaluation.modality_gap": {"--agent vllm": "--agent hf"},
}
"""Module → what is appended where a command asks for vLLM and there is none."""
OF_A_PROTOCOL = "--quiet"
"""In place of an evaluation's, for `--protocol` refuses other boards and other limits: its public
sets are small ones here, and the model ends its replies soon."""
BY_VLLM = {"evaluation.planning": """--engine '{"enforce_eager": true}'"""}
"""Module → what is appended where there is vLLM: it would compile the model first."""
PLACES = {"FIRST": "127.0.0.1", "SHARED": "shared", "SETS": "sets"}
"""What the pages leave to the reader."""


class Command(NamedTuple):
    """A command of a page."""

    page: str
    module: str
    text: str
    """As it is printed, on one line, its variables filled in."""


def commands_of(page: str) -> list[Command]:
    """The commands in a page's blocks, in order."""
    text = (ROOT / page).read_text()
    variables: dict[str, str] = {}
    found = []
    for block in re.findall(r"^```[a-z]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            line = line.split(" #")[0].strip()
            if assigned := re.fullmatch(r'([A-Z]+)="(.*)"', line):
                variables[assigned[1]] = assigned[2]
                continue
            for name, value in variables.items():
                line = line.replace(f"${name}", value)
            for word, value in PLACES.items():
                line = re.sub(rf"\b{word}\b", value, line)
            if line:
                module = re.search(r"-m\s+([a-z_.]+)", line)
                found.append(Command(page, module[1] if module else "", " ".join(line.split())))
    return found


COMMANDS = [command for page in PAGES for command in commands_of(page)]


def test_every_command_of_the_pages_is_one_that_the_rehearsal_can_run() -> None:
    assert len(COMMANDS) >= 13
    for command in COMMANDS:
        assert command.module in SMALLER, f"{command.page}: {command.text} is not rehearsed"
        assert re.match(r"(python|accelerate launch) ", command.text), command.text
    # Commands in the running text are those of the blocks, or change the environment.
    for page in PAGES:
        for inline in re.findall(r"`([^`\n]+)`", (ROOT / page).read_text()):
            if " -m " in inline and "…" not in inline:
                pytest.fail(f"{page}: `{inline}` stands in no block, so nobody runs it")
            for extras in re.findall(r"pip install -e '\.\[(.+)\]'", inline):
                project = (ROOT / "pyproject.toml").read_text()
                assert all(f"\n{name} = [" in project for name in extras.split(","))


@pytest.fixture(scope="module")
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout to stand in, with the checkpoint of the hub as a folder of its name."""
    if not request.config.getoption("--rehearsal"):
        pytest.skip("the commands run in `make test-real-shapes`")
    for module in ("training.opcd.trainer", "evaluation.planning", "evaluation.report.__main__"):
        import_module(module)  # once for all that run in a fork
    bench = tmp_path_factory.mktemp("bench")
    for name in ("vsp_envs", "agents", "evaluation", "training"):
        (bench / name).symlink_to(ROOT / name)
    model = bench / "Qwen/Qwen3-VL-4B-Instruct"
    model.mkdir(parents=True)
    real_shapes.write_checkpoint(model)
    write_sets(bench / "sets")
    return bench


def write_sets(folder: Path) -> None:
    """The public sets in small: a lake, a maze and a room."""
    table = folder / "vsp/maps/level3/table"
    table.mkdir(parents=True)
    (table / "0.txt").write_text(TABLE)
    (folder / "visualplanning").mkdir()
    rows(folder / "visualplanning", MAZE_OF_3_ROW, ROOM_ROW)


def rehearsed(command: Command) -> str:
    """The command with what makes it small."""
    smaller = OF_A_PROTOCOL if "--protocol" in command.text else SMALLER[command.module]
    text = f"{command.text} {smaller}"
    if HAS_VLLM:
        text += f" {BY_VLLM.get(command.module, '')}"
    else:
        for asked, instead in BY_TRANSFORMERS.get(command.module, {}).items():
            text += f" {instead}" if asked in command.text else ""
    if text.startswith("accelerate launch"):
        before, module = text.split(" -m ", 1)
        text = f"{before} --num_processes 2 --main_process_port {free_port()} -m {module}"
    return text


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def run_all(texts: Sequence[str], bench: Path) -> str:
    """Run commands at the same time, each in a shell of its own. What the last one prints."""
    paths = [ROOT / "tests/rehearsal", bench]
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "OMP_NUM_THREADS": "1",
    }
    begun = time.monotonic()
    running = [
        subprocess.Popen(
            text, shell=True, cwd=bench, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for text in texts
    ]  # fmt: skip
    for text, each in zip(texts, running, strict=True):
        output, _ = each.communicate(timeout=900)
        print(f"{time.monotonic() - begun:6.1f} s  {text}")  # seen with pytest's -s
        assert each.returncode == 0, f"{text}\n{output[-6000:]}"
    return output


def run_here(text: str, bench: Path) -> None:
    """Run `python -m …` in a fork of this process, which spares it the imports."""
    _, _, module, *words = shlex.split(text)
    log = bench / "log"
    begun = time.monotonic()
    child = get_context("fork").Process(target=_as_main, args=(module, words, bench, log))
    child.start()
    child.join(900)
    print(f"{time.monotonic() - begun:6.1f} s  {text}")
    assert child.exitcode == 0, f"{text}\n{log.read_text()[-6000:]}"


def _as_main(module: str, words: list[str], bench: Path, log: Path) -> None:
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    # In place of pytest's own.
    sys.stdout = sys.stderr = TextIOWrapper(FileIO(1, "w", closefd=False), write_through=True)
    warnings.simplefilter("ignore")
    os.chdir(bench)
    sys.argv[1:] = words
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def test_the_pages_run_from_the_first_command_to_the_last(bench: Path) -> None:
    if HAS_VLLM:
        pytest.skip("`make test-real-shapes` runs them")
    for command in COMMANDS:
        text = rehearsed(command)
        if "$NODE" in text:  # both machines at once
            run_all([text.replace("$NODE", str(node)) for node in range(2)], bench)
        elif text.startswith("python -m "):
            run_here(text, bench)
        else:
            run_all([text], bench)
        check_result(command, bench)


@pytest.mark.skipif(not HAS_VLLM, reason="vLLM is not installed here; `make test-vllm` has it")
def test_the_commands_for_vllm_run_by_it(bench: Path) -> None:
    checkpoint = bench / "Qwen/Qwen3-VL-4B-Instruct"
    kinds = {}
    for command in COMMANDS:
        if command.module == "training.merge":  # what others start from
            merged = bench / shlex.split(command.text)[-1]
            merged.parent.mkdir(parents=True, exist_ok=True)
            merged.symlink_to(checkpoint)
        if re.search("--(agent|rollout) vllm", command.text):
            kinds.setdefault(command.module, command)
    assert kinds.keys() == {"training.opcd", "evaluation.planning"}
    for command in kinds.values():
        output = run_all([rehearsed(command)], bench)
        check_result(command, bench)
    # A prompt and an answer of --max-new-tokens; Qwen's own bound is 262 144.
    assert "max_seq_len=4100" in output


def check_result(command: Command, bench: Path) -> None:
    """What the command was to leave is there."""
    words = shlex.split(command.text)
    if "--out" not in words or "--dry-run" in words:
        return
    out = bench / words[words.index("--out") + 1]
    if command.module.startswith("evaluation"):
        assert out.suffix == ".html" or list(out.glob("**/results.json"))
        return
    assert list(out.glob("*model.safetensors"))
    if command.module != "training.merge":
        run: dict[str, Any] = json.loads((out / "run.json").read_text())
        assert run["done"] and run["settings"]["preset"] == "qwen3-vl-4b"


def test_a_middle_checkpoint_of_the_second_stage_is_exported(bench: Path) -> None:
    run_here(
        "python -m training.merge --run runs/opcd-4b --step 1 --out runs/opcd-4b-middle", bench
    )
    config = json.loads((bench / "runs/opcd-4b-middle/config.json").read_text())
    final = json.loads((bench / "runs/opcd-4b/config.json").read_text())
    assert config["dtype"] == final["dtype"] == "bfloat16"
