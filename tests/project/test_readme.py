"""What the README says to type does what it says: every snippet and every command, cut short."""

import io
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pygame
import pytest

from tests.endpoint import completion, serving

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python"]
COMMANDS = [
    shlex.split(line, comments=True)
    for language, code in BLOCKS
    if not language
    for line in code.replace("\\\n", " ").splitlines()
    if line.startswith(("python ", "make ", "VSP_BENCHMARKS="))
]
MADE = [" ".join(words) for words in COMMANDS if words[0] == "make"]
STEPS = ["--steps", "2", "--batch-size", "4", "--eval-every", "0"]
FEW = ["--episodes", "2", "--max-new-tokens", "2"]
SHORT = {
    "training.base": [*STEPS, "--size", "S"],
    "training.sft": STEPS,
    "training.opcd": [*STEPS, "--max-new-tokens", "2"],
    "evaluation.planning": FEW,
    "evaluation.perception": FEW,
    "evaluation.modality_gap": FEW,
    "evaluation.report": [],
    "vsp_envs.play": [],
}
"""What makes a command a matter of seconds, by module."""
TABLE = "| | Col 1 | Col 2 |\n| Row 1 | @ | _ |\n| Row 2 | # | * |\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Iterator[Path]:
    """Where the commands run: the checkpoints of a demo and a small public set are there."""
    folder = tmp_path_factory.mktemp("readme")
    for stage in ("sft", "opcd"):
        shutil.copytree(tiny_folder, folder / "runs/demo" / stage)
    table = folder / "ROOT/maps/level2/table/1.txt"
    table.parent.mkdir(parents=True)
    table.write_text(TABLE)
    with serving(lambda body: completion("<answer>R</answer>")) as endpoint:
        (folder / "url").write_text(endpoint.url)
        yield folder


@pytest.mark.parametrize("code", PYTHON, ids=range(len(PYTHON)))
def test_a_snippet_runs(code: str) -> None:
    exec(compile(code, "README.md", "exec"), {})


@pytest.mark.parametrize("goal", MADE)
def test_a_goal_of_make_is_one(goal: str) -> None:
    asked = subprocess.run(
        ["make", "--dry-run", *goal.split()[1:]], cwd=ROOT, capture_output=True, text=True
    )
    assert asked.returncode == 0, asked.stderr


@pytest.mark.slow
# As under `python -m`: a command's module may have been imported by another command.
@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
def test_every_command_runs_in_the_order_of_the_page(
    place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    (place / "models").symlink_to(ROOT / "models")
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    commands = [words for words in COMMANDS if words[0] == "python"]
    # A replay and a report show what a later section of the page makes.
    commands.sort(key=lambda words: (words[2] == "evaluation.report", "--replay" in words))
    assert {words[2] for words in commands} == set(SHORT)
    for words in commands:
        run(words, (place / "url").read_text(), monkeypatch)
    capfd.readouterr()
    assert (place / "runs/report.html").exists()
    assert (place / "runs/opcd/model.safetensors").exists()


def run(words: list[str], url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One `python -m MODULE …`, cut short; placeholders stand for what the test has made."""
    module, given = words[2], words[3:]
    short = [] if "--benchmark" in given else SHORT[module]
    stand_ins = {"http://127.0.0.1:8000/v1": url, "PATH": "ROOT"}
    args = [stand_ins.get(word, word) for word in given]
    monkeypatch.setattr(sys, "argv", [module, *args, *short])
    # Whatever they say, they can say it on a terminal that knows ASCII alone.
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    if module == "vsp_envs.play":
        threading.Thread(target=close_the_window, daemon=True).start()
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        assert not end.code, f"{' '.join(words)}: exit code {end.code}"


def close_the_window() -> None:
    """Ask the window to close as a person would, as soon as there is one."""
    for _ in range(6000):  # five minutes: until then a busy machine may still be importing
        if pygame.display.get_surface():
            pygame.event.post(pygame.event.Event(pygame.QUIT))
            return
        time.sleep(0.05)


def test_the_files_that_the_page_links_to_are_there() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert not [link for link in links if not (ROOT / link).exists()]


def test_the_tree_names_folders_and_files_that_are_there() -> None:
    tree = next(code for language, code in BLOCKS if not language and "task.py" in code)
    above: list[str] = []
    for indent, name in re.findall(r"^( *)([\w.]+/?)", tree, re.MULTILINE):
        above = [*above[: len(indent) // 2], name]
        assert (ROOT / "".join(above)).exists(), name


def test_every_rate_is_in_a_page_that_a_command_wrote() -> None:
    pages = (page.read_text().splitlines() for page in (ROOT / "docs/results").glob("*.md"))
    written = {line for page in pages for line in page}
    rates = re.findall(r"^\|.*\d \(\d.*–.*\).*\|$", README, re.MULTILINE)
    assert len(rates) > 10
    assert [row for row in rates if row not in written] == []


def test_the_page_is_short_and_its_first_screen_has_the_picture_the_commands_and_the_table() -> (
    None
):
    lines = README.splitlines()
    assert len(lines) <= 200
    first = "\n".join(lines[:35])
    order = [
        first.index(each) for each in ("![", "make demo ", "make test ", "| base |", "| oracle")
    ]
    assert order == sorted(order)
