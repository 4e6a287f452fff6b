"""An API key: read from the environment, put into a header, and into nothing that is kept."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

_BEARER = re.compile(r"(?i)(bearer )\s*[^\s\"'\\]+")
SHORTEST = 8
"""Letters of a key that is one: servers without keys are given words such as `EMPTY`."""


class Key(NamedTuple):
    """The key in an environment variable, at the time that it is needed."""

    variable: str

    def read(self) -> str:
        """The key; empty if the variable is unset. Raises ValueError for what cannot be one."""
        key = os.environ.get(self.variable, "").strip()
        if not (key.isascii() and key.isprintable()):
            raise ValueError(f"{self.variable} holds a character that no key has: copy it anew")
        return key

    def header(self) -> dict[str, str]:
        """What a request carries."""
        key = self.read()
        return {"Authorization": f"Bearer {key}"} if key else {}

    def hide(self, text: str) -> str:
        """The text with `[key]` for the key: a server may repeat what it was sent."""
        key = self.read()
        return text.replace(key, "[key]") if len(key) >= SHORTEST else text

    def line(self, text: str) -> str:
        """What a server said, as a line for an error: without any part of a key, and not long."""
        return _BEARER.sub(r"\1[key]", self.hide(" ".join(text.split())))[:300]
