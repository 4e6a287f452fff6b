"""Output to terminals and pipes that cannot show every character, such as Windows' cp1252."""

from __future__ import annotations

import codecs
import io
import sys

_PLAIN = str.maketrans(
    {
        **{"—": "-", "–": "-", "−": "-", "→": "->", "←": "<-", "…": "...", "·": ".", "×": "x"},
        **{"≈": "~", "≤": "<=", "≥": ">=", "±": "+-", "“": '"', "”": '"', "’": "'", "•": "*"},
    }
)


def print_any_text() -> None:
    """Let stdout and stderr replace what their encoding lacks, `≤` by `<=`, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_REPLACE)


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(each if each.isascii() else "?" for each in lacking.translate(_PLAIN)), error.end


_REPLACE = "vsp_envs.plain"
codecs.register_error(_REPLACE, _replaced)
