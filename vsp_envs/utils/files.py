"""Files that are whole or not there, and JSON that is read with the file's name in every error."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MOST_BYTES = 2**28
"""Largest JSON file that is read; a run's own are far below."""


def storable(text: str) -> str:
    """The text with `?` for halves of characters, which no file can hold."""
    return text if text.isascii() else text.encode(errors="replace").decode()


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name the file in what goes wrong with it: the system does not where a disk is full."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object. Raises ValueError that names it if it is broken."""
    if (size := path.stat().st_size) > MOST_BYTES:
        raise ValueError(f"{path} has {size} bytes, too many to be of a run; remove it")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}; remove it to start anew") from None
    if not isinstance(data, dict):
        raise ValueError(f"{path} holds no JSON object; remove it to start anew")
    return data


def write_json(path: Path, data: Any) -> None:
    """Write all of a JSON file or nothing."""
    write_text(path, json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write all of a file or nothing: a reader never sees half of it."""
    text = storable(text)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    try:
        with naming(path), draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
