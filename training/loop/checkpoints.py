"""Checkpoints to resume from: a manifest of checksums tells which ones are complete and intact."""

from __future__ import annotations

import hashlib
import mmap
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from vsp_envs.utils.files import read_json, write_json

try:
    from isal.isal_zlib import crc32
except ImportError:  # the same sums, four times slower
    from zlib import crc32

MANIFEST = "manifest.json"
"""Holds a checksum of every other file of a checkpoint; it is written last."""
SHARDS = "pytorch_model_fsdp_0"
"""Folder of a checkpoint's weights that FSDP2 has sharded."""


class TrainingStopped(ValueError):
    """Training cannot go on; the message says why, what is kept, and the way out."""


def write_manifest(folder: Path) -> None:
    """Declare a checkpoint complete."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != MANIFEST)
    write_json(folder / MANIFEST, {str(file.relative_to(folder)): checksum(file) for file in files})


def checksum(file: Path, kind: str = "crc32") -> str:
    """`crc32` of a file, several times as fast as a disk writes, or its `sha256`.

    It is for faults of disks and interrupted writes. Nobody has to be kept from forging it: who can
    write a checkpoint can write its manifest.
    """
    with file.open("rb") as opened:
        if kind == "sha256":
            return hashlib.file_digest(opened, "sha256").hexdigest()
        if not file.stat().st_size:  # cannot be mapped
            return "crc32:00000000"
        with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return f"crc32:{crc32(content):08x}"


def find_corruption(folder: Path) -> str:
    """What is wrong with a checkpoint; empty if it agrees with its manifest."""
    if not (folder / MANIFEST).is_file():
        return "it was never finished"
    try:
        manifest = read_json(folder / MANIFEST)
    except ValueError:
        return f"its {MANIFEST} is broken"
    for name, kept in manifest.items():
        if not (folder / name).is_file():
            return f"{name} is missing"
        # Earlier versions wrote the bare SHA-256.
        if checksum(folder / name, "crc32" if kept.startswith("crc32:") else "sha256") != kept:
            return f"{name} is not what was written"
    return ""


def checkpoints_in(folder: Path) -> dict[int, Path]:
    """The checkpoints in a folder by their step, in order, whole or not."""
    found = [path for path in folder.glob("checkpoint-*") if path.name[11:].isdigit()]
    return dict(sorted((int(path.name[11:]), path) for path in found))


def last_checkpoint(folder: Path) -> Path | None:
    """The newest intact checkpoint, or None; prints which newer ones are not intact."""
    for path in reversed(checkpoints_in(folder).values()):
        wrong = find_corruption(path)
        if not wrong:
            return path
        print(f"{path} is left aside: {wrong}", file=sys.stderr)
    return None


def gather_shards(checkpoint: Path, folder: Path) -> None:
    """Write the model or adapter of a sharded checkpoint into a folder, as one without shards."""
    from accelerate.utils import merge_fsdp_weights
    from transformers.utils import ADAPTER_CONFIG_NAME, ADAPTER_SAFE_WEIGHTS_NAME, SAFE_WEIGHTS_NAME

    for file in checkpoint.glob("*.json"):
        shutil.copy(file, folder)
    for file in checkpoint.glob("*.jinja"):
        shutil.copy(file, folder)
    merge_fsdp_weights(str(checkpoint / SHARDS), str(folder))
    if (folder / ADAPTER_CONFIG_NAME).is_file():
        (folder / SAFE_WEIGHTS_NAME).rename(folder / ADAPTER_SAFE_WEIGHTS_NAME)


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
