"""Choices by name: one error for a wrong name, which lists the valid ones."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


def pick_name(kind: str, name: str, names: Iterable[str]) -> str:
    """`name` if it is one of `names`; otherwise raises ValueError that lists them."""
    names = list(names)
    if name in names:
        return name
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"unknown {kind} {name!r}; {_plural(kind)} are {', '.join(names)}.{hint}")


def _plural(kind: str) -> str:
    noun, *rest = re.split(r"(?= (?:of|on|to) )", kind, maxsplit=1)
    for ending, plural in {"cy": "cies", "ss": "sses", "us": "uses"}.items():
        if noun.endswith(ending):
            return "".join([noun.removesuffix(ending), plural, *rest])
    return "".join([noun, "s", *rest])
