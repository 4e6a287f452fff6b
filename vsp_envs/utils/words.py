"""Numbers and nouns in messages: `1 file`, `2 files`."""

from __future__ import annotations

import re


def counted(number: float, noun: str) -> str:
    """The number with the noun in the singular or plural; numbers other than 1 take the plural."""
    return f"{number} {noun if number == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """The plural of a noun; words after `of`, `on` or `to` stay: `ways to act`."""
    head, *rest = re.split(r"(?= (?:of|on|to) )", noun, maxsplit=1)
    if re.search(r"[^aeiou]y$", head):
        head = head.removesuffix("y") + "ie"
    elif head.endswith(("s", "x")):
        head += "e"
    return "".join([head, "s", *rest])
