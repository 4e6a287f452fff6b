"""The command line of the project: frozen dataclasses in, one clear line for a user error.

Needs tyro, which the extras of the commands bring.
"""

from __future__ import annotations

import argparse
import atexit
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pkgutil import resolve_name
from typing import Annotated, Any, TypeVar

import tyro
from tyro.constructors import PrimitiveConstructorSpec

from vsp_envs.utils.option_groups import Groups, read_grouped
from vsp_envs.utils.terminal import printing

Config = TypeVar("Config")

LINGER_SECONDS = 1.0
"""How long an interrupted command may take to tidy up."""

ThemeNames = Annotated[
    str,
    PrimitiveConstructorSpec(
        nargs="*",
        metavar="THEME|TASK=THEME…",
        instance_from_str=" ".join,
        is_instance=lambda value: isinstance(value, str),
        str_from_instance=lambda value: [value] if value else [],
    ),
]
"""A theme, or words such as `frozenlake=gymnasium maze=thin`, as one text."""

OURS = ("vsp_envs", "agents", "evaluation", "training", "__main__")
"""Packages whose ValueErrors are addressed to the user."""


def main(
    command: Callable[[Config], Any] | str,
    config_class: type[Config],
    args: Sequence[str] | None = None,
    default: Config | None = None,
    groups: Groups | None = None,
) -> None:
    """Read the arguments as a `config_class`, whose field docstrings are `--help`, and run.

    `command` may be `module:function`, imported once the arguments are read. `default` holds the
    values of options that are not given, `groups` the groups of `--help`.

    A user error ends in one line on stderr and exit code 2, Ctrl-C in one line and 130: the
    message of the KeyboardInterrupt, if it has one. Anything else is a bug and keeps its traceback.
    """
    with printing():
        _read_and_run(command, config_class, args, default, groups)


def _read_and_run(
    command: Callable[[Config], Any] | str,
    config_class: type[Config],
    args: Sequence[str] | None,
    default: Config | None,
    groups: Groups | None,
) -> None:
    spec = sys.modules["__main__"].__spec__
    module = spec.name.removesuffix(".__main__") if spec else ""
    prog = f"python -m {module}" if module else None
    if groups:
        config = read_grouped(config_class, groups, default, args=args, prog=prog)
    else:
        given: dict[str, Any] = {} if default is None else {"default": default}
        config = tyro.cli(config_class, args=args, prog=prog, **given)
    try:
        with _ended_by_interrupt():
            run = command if callable(command) else resolve_name(command)
            run(config)
    except KeyboardInterrupt as stopped:
        print(str(stopped) or "interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    except (ValueError, OSError) as error:
        if not is_user_error(error):
            raise
        # Some errors only mean an early end; they carry an exit status of their own.
        status = getattr(error, "exit_status", 2)
        print(f"{'error: ' * (status == 2)}{one_line(error)}", file=sys.stderr)
        raise SystemExit(status) from None


def _end() -> None:
    for child in multiprocessing.active_children():
        child.kill()
    sys.stdout.flush()
    os._exit(130)


@contextmanager
def _ended_by_interrupt() -> Iterator[None]:
    """See to it that Ctrl-C ends this process soon, whatever it waits for.

    What is written is safe from it, as it is from being killed.
    """
    if threading.current_thread() is not threading.main_thread():  # Ctrl-C does not reach others
        yield
        return
    interrupted, wake = socket.socketpair()
    wake.setblocking(False)

    def watch() -> None:
        while got := interrupted.recv(16):
            if signal.SIGINT in got:
                # First of all that is done at the end: the rest can take many seconds.
                atexit.register(_end)
                time.sleep(LINGER_SECONDS)
                _end()

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    with interrupted, wake:
        before = signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            wake.close()
            watching.join(0.1)  # it goes on for as long as an interrupted process does


def main_with_defaults(
    command: Callable[[Config], Any] | str,
    config_class: type[Config],
    flag: str,
    defaults: Callable[[str], Config],
    args: Sequence[str] | None = None,
    groups: Groups | None = None,
) -> None:
    """Like `main`; the value of `flag` names the default values of the other options.

    `defaults` turns the value, or "" without the flag, into a config; it raises ValueError for an
    unknown one.
    """
    args = list(sys.argv[1:] if args is None else args)
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    finder.add_argument(flag, default="", dest="name")
    name = finder.parse_known_args(args)[0].name
    try:
        default = defaults(name)
    except ValueError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        raise SystemExit(2) from None
    main(command, config_class, args, default, groups)


def is_user_error(error: Exception) -> bool:
    """Whether the message is for the user: about a file, or a ValueError that we raised.

    A ValueError out of torch or numpy is a bug, and its traceback helps to find it.
    """
    if isinstance(error, OSError):
        return error.filename is not None
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__")).split(".")[0] in OURS


def one_line(error: Exception) -> str:
    """The message of an error in one line of at most 1000 characters."""
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())[:1000]
