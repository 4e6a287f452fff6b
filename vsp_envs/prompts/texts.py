"""The texts of prompts: a folder with a file per role, and in subfolders those of single tasks.

`FOLDER/maze/student.txt` is what a student is told about a Maze, `FOLDER/student.txt` about every
task without a text of its own. `{state}`, `{plan}`, `{instruction}` … are places that are filled
(see `PLACES`); all other braces stay as they are, also what a LaTeX command holds. Ours are the
folders `full` and `brief` beside this file, and no prompt's text stands anywhere else.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from os.path import expanduser
from pathlib import Path
from typing import NamedTuple

from vsp_envs.core.registry import TASKS
from vsp_envs.utils.choices import pick_name
from vsp_envs.utils.files import decoded

OURS = Path(__file__).parent
STYLES = ("full", "brief")
"""Our own folders, by name."""
PLACES = {
    "title": "the task's name",
    "rules": "the task's rules",
    "legend": "what is what in the picture",
    "notation": "how to read the state",
    "state": "the board as text",
    "plan": "a shortest plan",
    "optimal": "all actions with which a shortest plan may go on",
    "questions": "the perception questions; where a plan is asked for, those that state the board",
    "instruction": "the sentence that asks for the answer block",
    "next": "how many actions are asked for",
}
"""Place → what it is filled with."""


class Role(NamedTuple):
    """A text, by who reads it and what it asks for."""

    needs: tuple[str, ...] = ()
    """Places without which the text would leave the board or the plan out."""
    never: tuple[str, ...] = ("plan", "optimal", "next")
    """Places that it cannot have."""


_SEES = Role(never=("state", "notation", "plan", "optimal", "next"))
_READS = Role(("state",), ("legend", "plan", "optimal", "next"))
_KNOWS = Role(("state", "plan"), ("legend", "optimal", "next"))
ROLES: Mapping[str, Role] = {
    "student": _SEES,
    "text": _READS,
    "teacher": _KNOWS,
    "perceive": _SEES,
    "perceive_text": _READS,
    "perceive_teacher": _KNOWS,
    "search": _SEES,
    "search_text": _READS,
    "search_teacher": _KNOWS,
    "answer": _SEES,
    "answer_text": _READS,
    "answer_teacher": _KNOWS,
    "next_action": Role(never=("state", "notation", "plan", "optimal")),
    "next_action_text": Role(("state",), ("legend", "plan", "optimal")),
    "next_action_teacher": Role(("state", "optimal"), ("legend", "plan")),
    "go_on": Role(never=("state", "notation", "plan", "optimal")),
    "go_on_text": Role(never=("state", "legend", "plan", "optimal")),
}
"""Role, the name of its file → its places. A picture goes with the roles that have no state."""
_PLACE = re.compile(r"\\[A-Za-z]+\{[a-z_]+\}|\{([a-z_]+)\}")
"""A place, by its name; or what is none, such as `\\boxed{answer}`, without."""


def text_folder(style: str) -> Path:
    """The folder of a style. Raises ValueError for what is neither a style nor a folder."""
    if style in STYLES:
        return OURS / style
    folder = Path(expanduser(style))
    if folder.is_dir():
        return folder
    if "/" in style or folder.is_absolute():
        raise ValueError(f"there is no folder of prompts at {style!r}")
    pick_name("style", style, STYLES)
    raise AssertionError  # pick_name has raised


def style_of(prompts: str) -> str:
    """The style of the texts in the folder `prompts`, whole path. Raises ValueError if there is
    none."""
    if not Path(expanduser(prompts)).is_dir():
        raise ValueError(
            f"--prompts {prompts}: there is no such folder; ours is {text_folder('full')}"
        )
    return str(Path(expanduser(prompts)).resolve())


@lru_cache(maxsize=512)
def role_text(style: str, task: str, role: str) -> str:
    """The text of a role for a task. Raises ValueError for one that is missing or cannot be used.

    Read once: a change of the file counts from the next start.
    """
    known = ROLES[pick_name("role of a prompt", role, ROLES)]
    folder = text_folder(style)
    file = next((each for each in _files(folder, task, role) if each.is_file()), None)
    if file is None:
        own, shared = _files(folder, task, role)
        raise ValueError(f"there is no {own}, nor {shared} for every task")
    text = _read(file).removesuffix("\n")
    if not text.strip():
        raise ValueError(f"{file} is empty; write what is asked there")
    found = places_of(text)
    allowed = [place for place in PLACES if place not in known.never]
    for place in found:
        if place not in allowed:
            kind = "must not" if place in PLACES else "cannot"
            raise ValueError(
                f"{file} {kind} have the place {{{place}}}; its places are {_braced(allowed)}"
            )
    for place in known.needs:
        if place not in found:
            raise ValueError(f"{file} lacks the place {{{place}}}: {PLACES[place]}")
    return text


def fill(text: str, places: Mapping[str, str]) -> str:
    """The text with its places filled."""
    return _PLACE.sub(lambda found: places[found[1]] if found[1] else found[0], text)


def places_of(text: str) -> list[str]:
    """The places that a text has, in order, each once."""
    return list(dict.fromkeys(filter(None, _PLACE.findall(text))))


def check_texts(style: str, tasks: Iterable[str], roles: Iterable[str]) -> None:
    """Raise ValueError if a text that a run needs is missing or cannot be used, and for one in a
    subfolder that no task or role has the name of."""
    roles = list(roles)
    for file in sorted(text_folder(style).glob("*/*.txt")):
        if file.stem in ROLES and file.parent.name not in TASKS:
            raise ValueError(f"{file} is of no task; tasks are {', '.join(TASKS)}")
        if file.stem not in ROLES and file.parent.name in TASKS:
            raise ValueError(f"{file} is of no role; roles are {', '.join(ROLES)}")
    for task in tasks:
        for role in roles:
            role_text(style, task, role)


def texts_hash(style: str) -> str:
    """A hash of the texts in a folder, which tells two sets of prompts apart; 16 hex digits."""
    folder = text_folder(style)
    files = [f"{role}.txt" for role in ROLES]
    files += [f"{task}/{file}" for task in TASKS for file in files]
    total = hashlib.sha256()
    for name in sorted(files):
        if (folder / name).is_file():
            total.update(f"{name}\0{_read(folder / name)}\0".encode())
    return total.hexdigest()[:16]


def _read(file: Path) -> str:
    """The text of a file with the line ends and without the mark that an editor may give it."""
    try:
        return decoded(file.read_bytes()).replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not a text in UTF-8: {error}") from None


def _files(folder: Path, task: str, role: str) -> tuple[Path, Path]:
    return folder / task / f"{role}.txt", folder / f"{role}.txt"


def _braced(places: Iterable[str]) -> str:
    return ", ".join(f"{{{place}}}" for place in places)
