"""Disks that are full and folders that cannot be written: one clear line, and nothing is lost."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import small_runs as runs
from test_kill import LATEST, Runs, same_evaluation, same_recording, same_training

Check = Callable[[Path, Path], None]
SUBJECTS: dict[str, tuple[Callable[[Path, Path], None], Check]] = {
    "training": (runs.run_sft, same_training),
    "evaluation": (runs.evaluate, same_evaluation),
    "recording": (runs.play, same_recording),
}
"""What is run, and what must hold of it in the end."""
SHARES = (0.0, 0.3, 0.6, 0.8)
"""Sizes of the disks that a run fills, as shares of what it leaves behind when it has room."""


class Disk:
    """A file system of its own, in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self._mount("-t", "tmpfs", "-o", "size=64m", "tmpfs")

    def resize(self, size: str) -> None:
        self._mount("-o", f"remount,rw,size={size}")

    def forbid(self) -> None:
        self._mount("-o", "remount,ro")

    def content(self) -> dict[str, bytes]:
        files = (file for file in self.path.rglob("*") if file.is_file())
        return {str(file): file.read_bytes() for file in files}

    def _mount(self, *options: str) -> None:
        done = subprocess.run(["mount", *options, self.path], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"a disk to fill cannot be mounted here: {done.stderr.strip()}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    made = Disk(tmp_path / "disk")
    yield made
    subprocess.run(["umount", "-l", made.path], check=True)


def refused(what: Callable[[Path, Path], None], tiny: Path, out: Path, said: Path) -> str:
    """Run a command that must fail; the one line that it says."""
    process = runs.PROCESSES.Process(target=runs.command, args=(what, tiny, out, said))
    process.start()
    process.join(LATEST)
    lines = [line for line in said.read_text().splitlines() if line.startswith("error: ")]
    assert "Traceback" not in said.read_text(), said.read_text()
    assert process.exitcode == 2, said.read_text()
    assert len(lines) == 1 and str(out) in lines[0], said.read_text()
    return lines[0]


@pytest.mark.slow
@pytest.mark.parametrize("subject", SUBJECTS)
def test_on_a_full_disk_a_run_says_so_in_one_line_and_goes_on_when_there_is_room(
    subject: str, disk: Disk, tiny_folder: Path, tmp_path: Path, long: bool, record_property: Any
) -> None:
    """A disk in memory that is full at several points of a run: each time one line that names the
    file and exit code 2; with room the run goes on and ends as an undisturbed one."""
    what, check = SUBJECTS[subject]
    these, out = Runs(what, tiny_folder, tmp_path), disk.path / "run"
    these.finish(tmp_path / "undisturbed")
    out.mkdir()
    whole = (tmp_path / "undisturbed").rglob("*")
    needed = sum(file.stat().st_size for file in whole if file.is_file())
    shares = SHARES if long else SHARES[2:3]
    for share in shares:
        disk.resize(str(max(4096, int(share * needed))))
        line = refused(what, tiny_folder, out, tmp_path / "said")
        assert "No space left" in line or "os error 28" in line or "write" in line, line
    disk.resize("64m")
    these.finish(out)
    check(tmp_path / "undisturbed", out)
    assert not list(out.rglob("*.part"))
    record_property("times full", len(shares))


@pytest.mark.parametrize("subject", SUBJECTS)
def test_in_a_read_only_folder_a_run_says_so_in_one_line_and_leaves_it_alone(
    subject: str, disk: Disk, tiny_folder: Path, tmp_path: Path, record_property: Any
) -> None:
    """A read-only file system, empty and with a finished run in it: one line that names the file,
    exit code 2, and every byte is as before."""
    what, _ = SUBJECTS[subject]
    (out := disk.path / "run").mkdir()
    disk.forbid()
    assert "Read-only" in refused(what, tiny_folder, out, tmp_path / "said")
    assert disk.content() == {}
    record_property("commands refused", 1)
