"""Checkpoints to resume from: sealed with checksums when they are whole, believed if they hold."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from vsp_envs.utils.files import read_json, write_json

MANIFEST = "manifest.json"
"""Names the SHA-256 of every other file of a checkpoint; it is written last."""


class TrainingStopped(ValueError):
    """Training cannot go on; the message says why, what is kept, and the way out."""


def write_manifest(folder: Path) -> None:
    """Declare a checkpoint whole."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != MANIFEST)
    write_json(folder / MANIFEST, {str(file.relative_to(folder)): digest(file) for file in files})


def digest(file: Path) -> str:
    """SHA-256 of a file."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def find_corruption(folder: Path) -> str:
    """What is wrong with a checkpoint; empty if it is as it was sealed."""
    if not (folder / MANIFEST).is_file():
        return "it was never finished"
    try:
        sealed = read_json(folder / MANIFEST)
    except ValueError:
        return f"its {MANIFEST} is broken"
    for name, kept in sealed.items():
        if not (folder / name).is_file():
            return f"{name} is missing"
        if digest(folder / name) != kept:
            return f"{name} is not what was written"
    return ""


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that is whole, or None; says which newer ones are not."""
    found = [path for path in folder.glob("checkpoint-*") if path.name[11:].isdigit()]
    for path in sorted(found, key=lambda path: int(path.name[11:]), reverse=True):
        wrong = find_corruption(path)
        if not wrong:
            return path
        print(f"{path} is left aside: {wrong}", file=sys.stderr)
    return None


@contextmanager
def writing(folder: Path, kept: Path) -> Iterator[None]:
    """Turn a failure to write into one clear line; what was written of `folder` is removed.

    `kept` is the folder of checkpoints, which the line names what is left of.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        free = shutil.disk_usage(kept).free / 2**30
        last = last_checkpoint(kept)
        raise TrainingStopped(
            f"cannot write {folder} ({_reason(error)}; {free:.1f} GiB are free there). "
            + (f"{last} is intact; " if last else "There is no earlier checkpoint; ")
            + "make room and run the same command again, it goes on from there"
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
