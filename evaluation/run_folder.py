"""The folder of a run: `config.json`, `replies.jsonl` with a line per episode, `results.json`."""

from __future__ import annotations

import json
import platform
import reprlib
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

import vsp_envs
from evaluation.rates import Record, as_rate, key_of
from vsp_envs.scoring.answer_readers import READERS
from vsp_envs.scoring.episode import read_records
from vsp_envs.utils.choices import pick_name
from vsp_envs.utils.files import read_json, storable, write_json

UNSAID: Mapping[str, Any] = {"reader": "strict", "samples": 1}
"""Settings that older runs do not name, and what they had."""
PACKAGES = ("torch", "transformers", "numpy", "gymnasium")


@dataclass(frozen=True)
class Run:
    """A finished run, read back or still in memory."""

    name: str
    config: Mapping[str, Any]
    results: Mapping[str, Any]
    records: list[Record]


def read_run(path: Path) -> Run:
    """The run in a folder, named after it. Raises ValueError if it holds none or is unfinished."""
    if not (path / "results.json").is_file():
        raise ValueError(f"{path} holds no finished run: there is no results.json in it")
    config, results = read_json(path / "config.json"), read_json(path / "results.json")
    try:
        _check_results(results)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"{path}/results.json is not the result of a run ({error!r}); evaluate again"
        ) from None
    if not isinstance(config.get("settings"), dict):
        raise ValueError(f"{path}/config.json holds no settings of a run")
    return Run(path.resolve().name, config, results, _last_of_each(path / "replies.jsonl"))


def _check_results(results: Mapping[str, Any]) -> None:
    measure = {"plan": "success", "perceive": "exact"}[results["goal"]]
    tasks = [task for task in results["tasks"].values()]
    levels = [(int(level), rates) for task in tasks for level, rates in task["levels"].items()]
    for rates in [results["macro"], *tasks, *(rates for _, rates in levels)]:
        rate = as_rate(rates[measure])
        if not (0 <= rate.low <= rate.value <= rate.high <= 1 <= rate.n):
            raise ValueError(f"{rate} is not a rate")


def open_folder(path: Path, settings: Mapping[str, Any]) -> list[Record]:
    """Make the folder of a run, or resume in it. Returns the replies that it already holds.

    Raises ValueError if the folder holds replies of a run of other settings.
    """
    settings = json.loads(storable(json.dumps(settings, ensure_ascii=False)))
    replies, held = path / "replies.jsonl", held_settings(path)
    if held is not None and (held == settings or replies.is_file()):
        unsaid = {name: value for name, value in UNSAID.items() if name in settings}
        check_same(path, {**unsaid, **held}, settings)
        return _last_of_each(replies, repair=True)
    path.mkdir(parents=True, exist_ok=True)
    if replies.is_file():
        raise ValueError(f"{path} holds replies.jsonl without a config.json; choose another --out")
    write_json(path / "config.json", provenance(settings))
    return []


def _last_of_each(replies: Path, repair: bool = False) -> list[Record]:
    # A reply that never came and was asked for again stays in its place until the run has ended.
    records = read_records(replies, repair)
    return list({(key_of(each), each.get("sample", 0)): each for each in records}.values())


def held_settings(path: Path) -> dict[str, Any] | None:
    """The settings of the run in a folder; None if there is no run."""
    if not (path / "config.json").is_file():
        return None
    held = read_json(path / "config.json").get("settings")
    return held if isinstance(held, dict) else {}


def reader_of(path: Path | None, asked: str | None) -> str:
    """The reader asked for. Without one: that of the run in the folder, or `tolerant` if there is
    none. Raises ValueError for an unknown reader."""
    held = held_settings(path) if path else None
    of_run = "tolerant" if held is None else str(held.get("reader", UNSAID["reader"]))
    return pick_name("reader", asked or of_run, READERS)


def provenance(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Where a result comes from: the settings, the package versions and the command."""
    command = shlex.join(["python", *sys.orig_argv[1:]])
    return {"settings": settings, "versions": versions(), "command": command}


def check_same(folder: Path, held: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Raise ValueError, naming each difference, if the run in a folder has other settings."""
    other = [
        f"{name} {reprlib.repr(held.get(name))}, now {reprlib.repr(asked.get(name))}"
        for name in {**held, **asked}
        if held.get(name) != asked.get(name)
    ]
    if other:
        raise ValueError(
            f"{folder} holds a run of other settings: {'; '.join(other)}; "
            "choose another --out, or remove that folder to start again"
        )


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Lock the folder of a run. Raises ValueError if another process holds the lock."""
    folder.mkdir(parents=True, exist_ok=True)
    # The system frees the lock when the process ends, however it ends.
    lock = FileLock(folder / ".lock", blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise ValueError(
            f"{folder} is in use by another run; wait for it, or choose another --out"
        ) from None
    try:
        yield
    finally:
        lock.release()


def versions() -> dict[str, str]:
    """Versions of what a result depends on; packages that are not installed are left out."""
    found = {"python": platform.python_version(), "vsp_envs": vsp_envs.__version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
