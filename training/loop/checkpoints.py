"""Checkpoints to resume from: a manifest of checksums tells which ones are complete and intact."""

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
"""Holds the SHA-256 of every other file of a checkpoint; it is written last."""


class TrainingStopped(ValueError):
    """Training cannot go on; the message says why, what is kept, and the way out."""


def write_manifest(folder: Path) -> None:
    """Declare a checkpoint complete."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != MANIFEST)
    write_json(folder / MANIFEST, {str(file.relative_to(folder)): digest(file) for file in files})


def digest(file: Path) -> str:
    """SHA-256 of a file."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def find_corruption(folder: Path) -> str:
    """What is wrong with a checkpoint; empty if it agrees with its manifest."""
    if not (folder / MANIFEST).is_file():
        return "it was never finished"
    try:
        manifest = read_json(folder / MANIFEST)
    except ValueError:
        return f"its {MANIFEST} is broken"
    for name, checksum in manifest.items():
        if not (folder / name).is_file():
            return f"{name} is missing"
        if digest(folder / name) != checksum:
            return f"{name} is not what was written"
    return ""


def last_checkpoint(folder: Path) -> Path | None:
    """The newest intact checkpoint, or None; prints which newer ones are not intact."""
    found = [path for path in folder.glob("checkpoint-*") if path.name[11:].isdigit()]
    for path in sorted(found, key=lambda path: int(path.name[11:]), reverse=True):
        wrong = find_corruption(path)
        if not wrong:
            return path
        print(f"{path} is left aside: {wrong}", file=sys.stderr)
    return None


@contextmanager
def writing(folder: Path, checkpoints: Path) -> Iterator[None]:
    """Turn a failure to write `folder` into one clear line, and remove what was written of it.

    The line names the last intact checkpoint in the folder `checkpoints`.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        free = shutil.disk_usage(checkpoints).free / 2**30
        last = last_checkpoint(checkpoints)
        raise TrainingStopped(
            f"cannot write {folder} ({_reason(error)}; {free:.1f} GiB are free there). "
            + (f"{last} is intact; " if last else "There is no earlier checkpoint; ")
            + "make room and run the same command again, it goes on from there"
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
