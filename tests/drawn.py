"""Boards drawn as text, so that a test shows what it is about."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

from vsp_envs import Action, Layout, load_layout

Place = tuple[int, int]


def lake(drawing: str) -> Layout:
    """FrozenLake from rows of S, G, H and F, parted by spaces or lines: `lake("SF HG")`."""
    return load_layout("frozenlake", {"map": drawing.split()})


def maze(drawing: str) -> Layout:
    """Maze from `+-+` borders and cells one character wide; S is the start, G the goal."""
    return load_layout("maze", maze_data(drawing))


def maze_data(drawing: str) -> dict[str, Any]:
    """The JSON data of a drawn maze."""
    lines = dedent(drawing).strip("\n").splitlines()
    level = len(lines) // 2
    around = ((1, -1, 0), (2, 1, 0), (4, 0, -1), (8, 0, 1))  # N1 S2 W4 E8
    walls = [
        [
            sum(bit for bit, dr, dc in around if lines[2 * r + 1 + dr][2 * c + 1 + dc] != " ")
            for c in range(level)
        ]
        for r in range(level)
    ]
    at = {lines[2 * r + 1][2 * c + 1]: [r, c] for r in range(level) for c in range(level)}
    return {"walls": walls, "start": at["S"], "goal": at["G"]}


def room(drawing: str) -> Layout:
    """MiniBehaviour from rows of A agent, P printer, T table and dots for the floor."""
    rows = drawing.split()
    at: dict[str, list[list[int]]] = {}
    for row, letters in enumerate(rows):
        for col, letter in enumerate(letters):
            at.setdefault(letter, []).append([row, col])
    data = {"level": len(rows), "start": at["A"][0], "printer": at["P"][0], "table": at["T"]}
    return load_layout("minibehaviour", data)


_LETTERS = {"L": Action.LEFT, "D": Action.DOWN, "R": Action.RIGHT, "U": Action.UP}


def plan(text: str) -> list[Action]:
    """Actions written apart: `plan("R R D")`, `plan("PICK L DROP")`."""
    return [_LETTERS[word] if word in _LETTERS else Action[word] for word in text.split()]


# Boards that many tests play on.
LAKE = lake("""SFF
               FHF
               FFG""")
MAZE = maze("""
    +-+-+-+
    |S    |
    + +-+ +
    | |   |
    + +-+-+
    |    G|
    +-+-+-+
""")
ROOM = room("""AP...
               .....
               ..TTT
               ..TTT
               .....""")
