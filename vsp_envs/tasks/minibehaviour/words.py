"""MiniBehaviour in words: the rules, the image legend and the room as text."""

from vsp_envs.task import Layout
from vsp_envs.tasks.minibehaviour.rules import AGENT, FLOOR, PRINTER, TABLE

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
_LETTERS = {FLOOR: "F", TABLE: "T", PRINTER: "P", AGENT: "A"}


def state_text(layout: Layout) -> str:
    """The room, one line of letters per row."""
    codes = bytearray(layout.grid)
    codes[layout.cells[0]] = AGENT
    letters = "".join(_LETTERS[code] for code in codes)
    return "\n".join(letters[i : i + layout.level] for i in range(0, len(letters), layout.level))
