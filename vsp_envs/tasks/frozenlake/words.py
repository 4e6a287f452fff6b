"""FrozenLake in words: the rules, the image legend and the map as text."""

from vsp_envs.core.layout import Layout
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


CARD = {
    "Starting State": "A fresh lake at every reset: each cell is ice with `frozen_prob`, start and "
    "goal lie anywhere, and a way between them is certain.",
    "Differences": """\
| from | there | here |
|---|---|---|
| Gymnasium's FrozenLake-v1 | one map per environment; slips unless told not to | a fresh map at \
every reset; never slips |
| | start top left, goal bottom right in its own maps | both anywhere |
| | observes the number of a cell | observes a picture and the grid |
| | the player in a hole is not drawn, and the sprites change between versions | every state looks \
different; own drawing, versioned with the task |
| VSP | text of `@`, `*`, `#`, `_`; a move off the map has no effect | `S`, `G`, `H`, `F`; that \
move is refused and reported as `off_grid` |
| VisualPlanning | a move off the map is invalid, and only a shortest plan succeeds | both are \
policies: `illegal="fail"`, and `rules="visualplanning"` when a whole plan is scored |""",
    "Version History": "- v0: first version.",
}
