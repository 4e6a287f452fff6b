"""Files that are written whole or not at all, and JSON whose every error names the file."""

from __future__ import annotations

import json
import os
import sys
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MOST_BYTES = 2**28
"""Largest file that is read at once, in bytes; those of runs are far smaller."""


def storable(text: str) -> str:
    """The text with `?` for lone surrogates, which UTF-8 cannot encode."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def decoded(data: bytes, errors: str = "strict") -> str:
    """The text of a file from anywhere: UTF-8, or UTF-16 with its mark; the mark is left out.

    Raises ValueError for other bytes, unless `errors` says otherwise, as in `bytes.decode`.
    """
    wide = data[:2] in (BOM_UTF16_LE, BOM_UTF16_BE)
    return data.decode("utf-16" if wide else "utf-8-sig", errors)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Add the file's name to an OSError without one, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object. Raises ValueError that names it if it is broken."""
    if (size := path.stat().st_size) > MOST_BYTES:
        raise ValueError(f"{path} has {size} bytes, too many for a file of a run; remove it")
    try:
        data = json.loads(decoded(path.read_bytes()))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}; remove it to start anew") from None
    if not isinstance(data, dict):
        raise ValueError(f"{path} holds no JSON object; remove it to start anew")
    return data


def write_json(path: Path, data: Any) -> None:
    """Write a JSON file, all of it or nothing."""
    write_text(path, json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file, all of it or nothing: a reader never sees half of it."""
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


def read_json_lines(path: Path, repair: bool = False) -> list[Mapping[str, Any]]:
    """The objects of a JSON-lines file; none if there is no such file. Empty lines are skipped.

    A last line that was cut off is left out. With `repair` it is also cut from the file, with a
    message on stderr. One that lacks nothing but its line break counts; `repair` ends it. Raises
    ValueError for any other line that is not a JSON object.
    """
    return [record for _, record in numbered_json_lines(path, repair)]


def numbered_json_lines(path: Path, repair: bool = False) -> list[tuple[int, Mapping[str, Any]]]:
    """Like `read_json_lines`, each object with the number of its line."""
    if not path.is_file():
        return []
    data = path.read_bytes()
    whole, _, rest = data.rpartition(b"\n")
    if _object(rest) is not None:  # an editor saved the last line without its end
        whole = data
        if repair:
            with naming(path), path.open("ab") as file:
                file.write(b"\n")
    elif rest and repair:
        print(f"{path}: dropped a half-written last line", file=sys.stderr)
        os.truncate(path, len(whole) + 1 if whole else 0)
    lines = enumerate(whole.removeprefix(BOM_UTF8).splitlines(), start=1)
    return [(number, _record(path, number, line)) for number, line in lines if line.strip()]


def append_json_line(path: Path, record: Mapping[str, Any], sync: bool = False) -> None:
    """Append a line to a JSON-lines file; with `sync` it is on the disk when this returns.

    If the disk is full a part of the line may remain, which `read_json_lines` leaves out.
    """
    with naming(path), path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record, ensure_ascii=False) + "\n")
        if sync:
            file.flush()
            os.fsync(file.fileno())


def _record(path: Path, number: int, line: bytes) -> dict[str, Any]:
    record = _object(line)
    if record is None:
        raise ValueError(f"{path}, line {number} is not a record; remove that line")
    return record


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
