"""Checks of given values: one error for a wrong name or number, which says what is valid."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

from vsp_envs.utils.words import plural


def pick_name(kind: str, name: str, names: Iterable[str]) -> str:
    """`name` if it is one of `names`; otherwise raises ValueError that lists them."""
    names = list(names)
    if name in names:
        return name
    raise ValueError(f"unknown {kind} {name!r}; {plural(kind)} are {list_names(name, names)}")


def list_names(name: str, names: Iterable[str]) -> str:
    """The end of a message about a wrong name: the valid ones, and the nearest of them."""
    names = list(names)
    near = difflib.get_close_matches(str(name), names, n=1)
    return f"{', '.join(names)}." + (f" Did you mean {near[0]!r}?" if near else "")


def check_probability(name: str, value: Any) -> None:
    """Raise ValueError unless the value is a number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) <= 1:
        raise ValueError(f"{name} is a probability, 0 to 1, got {value!r}")


def check_count(name: str, value: Any, least: int = 0) -> None:
    """Raise ValueError unless the value is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < least:
        raise ValueError(f"{name} is a whole number of at least {least}, got {value!r}")
