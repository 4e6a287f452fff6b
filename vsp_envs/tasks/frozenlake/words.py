"""FrozenLake in words: the rules, the image legend and the map as text."""

from vsp_envs.task import Layout
from vsp_envs.tasks.frozenlake.rules import rows

RULES = (
    "FrozenLake is a square lake. The player moves one cell left, down, right or up, and has to "
    "reach the goal without entering a hole. The player cannot leave the lake."
)
LEGEND = {
    "classic": "The figure is the player, the flag is the goal, dark openings are holes, "
    "everything else is safe ice.",
    "gymnasium": "The black and grey figure is the player, the red flag is the goal, S marks the "
    "start, dark blue pools are holes, light tiles are safe ice.",
    "tiles": "One tile shows the player, one the goal, one the start; the other tiles are holes "
    "and safe ice.",
}
NOTATION = "One letter per cell, row by row: S player, G goal, H hole, F safe ice."


def state_text(layout: Layout) -> str:
    """The map, one line of letters per row."""
    return "\n".join(rows(layout))
