"""Every key and what it does: the one table that the windows obey and the help shows."""

from __future__ import annotations

from typing import NamedTuple


class Key(NamedTuple):
    """A line of the help, and the keys that it is about."""

    shown: str
    meaning: str
    commands: dict[str, str]
    """pygame's name of a key, or the character that it types → command."""


def _same(command: str, *names: str) -> dict[str, str]:
    return dict.fromkeys(names, command)


_COMMON = (
    Key("Tab", "hide or show all but the board", _same("hud", "tab")),
    Key("F12", "save a picture of the window", _same("screenshot", "f12")),
    Key("?", "this help", _same("help", "?", "/", "f1")),
    Key("Esc", "quit", _same("quit", "escape")),
)
PLAY_KEYS = (
    Key(
        "arrows, W A S D",
        "move",
        _same("left", "left", "a")
        | _same("down", "down", "s")
        | _same("right", "right", "d")
        | _same("up", "up", "w"),
    ),
    Key("space", "pick up or put down", _same("act", "space")),
    Key("P   O", "pick up, put down", {"p": "pick", "o": "drop"}),
    Key("Enter", "type a whole plan", _same("plan", "return", "enter")),
    Key("U   R", "undo, start again", {"u": "undo", "r": "restart"}),
    Key("N   B", "next board, board before", {"n": "next", "b": "previous"}),
    Key("H", "hint: the optimal actions", _same("hint", "h")),
    Key("G", "the symbolic state", _same("symbolic", "g")),
    Key("1 2 3", "task", {str(number): f"task {number}" for number in range(1, 10)}),
    Key(
        "+   −",
        "larger, smaller board",
        _same("larger", "+", "=", "[+]") | _same("smaller", "-", "[-]"),
    ),
    Key("T", "theme", _same("theme", "t")),
    *_COMMON,
)
REPLAY_KEYS = (
    Key("space", "pause, go on", _same("pause", "space")),
    Key("← →", "a step back, a step on", _same("back", "left", "a") | _same("on", "right", "d")),
    Key("Home End", "first step, last step", {"home": "start", "end": "end"}),
    Key("N   B", "next episode, episode before", {"n": "next", "b": "previous"}),
    Key("F", "next failure", _same("failure", "f")),
    Key("+   −", "faster, slower", _same("faster", "+", "=", "[+]") | _same("slower", "-", "[-]")),
    Key("C", "claims of the reply on the board", _same("claims", "c")),
    Key("T", "theme", _same("theme", "t")),
    Key("PgUp PgDn", "scroll the reply", {"page up": "scroll up", "page down": "scroll down"}),
    *_COMMON,
)


def command_of(keys: tuple[Key, ...], name: str, text: str) -> str | None:
    """The command of a key with that name, or one that types that character; None if it has none.

    The character goes first: where `+` and `?` are differs between keyboards.
    """
    commands = {name: command for key in keys for name, command in key.commands.items()}
    return commands.get(text.lower()) or commands.get(name)
