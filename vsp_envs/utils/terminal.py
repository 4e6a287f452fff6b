"""Output to terminals that lack characters, such as Windows' cp1252, and to closed pipes."""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

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


@contextmanager
def printing() -> Iterator[None]:
    """Print any text, and end with exit code 1 once it cannot be written.

    That is silent where the reader has gone, as `head` goes when it has enough, and one line
    otherwise. Errors of other files and of sockets pass through.
    """
    print_any_text()
    try:
        try:
            yield
        finally:
            for stream in filter(None, (sys.stdout, sys.stderr)):
                stream.flush()
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.ENOSPC) or error.filename is not None:
            raise
        failed = [stream for stream in (sys.stdout, sys.stderr) if stream and not _takes(stream)]
        if not failed:
            raise
        for stream in failed:  # or Python itself fails when it flushes them at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        if not isinstance(error, BrokenPipeError):
            print(f"error: the output cannot be written: {error.strerror}", file=sys.stderr)
        raise SystemExit(1) from None


def _takes(stream: TextIO) -> bool:
    try:
        stream.write("\n")
        stream.flush()
    except OSError:
        return False
    return True


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(each if each.isascii() else "?" for each in lacking.translate(_PLAIN)), error.end


_REPLACE = "vsp_envs.plain"
codecs.register_error(_REPLACE, _replaced)
