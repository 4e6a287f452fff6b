"""MiniBehaviour in words: the rules, the image legend and the room as text."""

from vsp_envs.core.layout import Layout
from vsp_envs.tasks.minibehaviour.rules import AGENT, FLOOR, PRINTER, TABLE, is_carried

RULES = (
    "A room holds a printer and a table of two rows and three columns. The agent moves one cell "
    "left, down, right or up; it cannot enter the table, nor the printer's cell while the printer "
    "stands there. Beside the printer it can pick it up; carrying it beside the table it can drop "
    "it there, which ends the task."
)
LEGEND = {
    "classic": "The red triangle is the agent, the white device is the printer, tan cells are the "
    "table, black cells are floor.",
    "minigrid": "The red triangle is the agent, the light grey device with white paper is the "
    "printer, brown planks are the table, dark grey cells are floor.",
}
NOTATION = "One letter per cell, row by row: A agent, P printer, T table, F floor."
CARRIES = "The agent carries the printer."
_LETTERS = {FLOOR: "F", TABLE: "T", PRINTER: "P", AGENT: "A"}


def state_text(layout: Layout) -> str:
    """The room, one line of letters per row."""
    codes = bytearray(layout.grid)
    codes[layout.cells[0]] = AGENT
    letters = "".join(_LETTERS[code] for code in codes)
    rows = [letters[i : i + layout.level] for i in range(0, len(letters), layout.level)]
    return "\n".join([*rows, CARRIES] if is_carried(layout) else rows)


CARD = {
    "Starting State": "A fresh room at every reset: table, printer and agent anywhere they fit, "
    "every room equally likely. All rooms can be solved.",
    "Differences": """\
| from | there | here |
|---|---|---|
| mini-BEHAVIOR's InstallingAPrinter | the agent faces a direction, turns, and reaches what it \
faces | moves in four directions; reaches the four neighbouring cells |
| | cells have three heights; the printer may lie under the table | one height |
| | 15 actions; the printer must also be switched on | six actions; lying on the table is enough |
| | walls around the room | no walls |
| VisualPlanning | the arrow turns as it moves; a grey wall around the room | the arrow points \
right always; no wall |
| | only a shortest plan succeeds | `rules="visualplanning"` when a whole plan is scored |
| MGSD | a carried or delivered printer is not drawn | both are; all other pixels of `classic` are \
the reference's |""",
    "Version History": "- v0: first version.",
}
