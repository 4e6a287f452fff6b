"""Maze in words: the rules, the image legend and the maze as text."""

from vsp_envs.core.layout import MOVES, Layout
from vsp_envs.scoring.answer_format import action_name
from vsp_envs.tasks.maze.rules import WALL_OF

RULES = (
    "The maze is a square of cells with walls between some neighbours. The player moves one cell "
    "left, down, right or up where no wall is in the way, and has to reach the goal."
)
LEGEND = {
    "classic": "White cells are corridors, black lines are walls, the yellow disc is the player, "
    "the blue disc is the goal.",
    "thin": "Dark lines are walls, the blue star is the player, the green disc is the start, the "
    "red flag is the goal.",
}
NOTATION = (
    "Player and goal by (row,col) from the top left, 0-based; then the cells row by row, each "
    "with the directions in which it is open."
)


def open_text(layout: Layout) -> str:
    """Every cell's open directions, `[DR][LR][L] [U]…`, rows parted by spaces."""
    cells = [
        "[" + "".join(action_name(move) for move in MOVES if not mask & WALL_OF[move]) + "]"
        for mask in layout.grid
    ]
    return " ".join(
        "".join(cells[i : i + layout.level]) for i in range(0, len(cells), layout.level)
    )


def state_text(layout: Layout) -> str:
    """Player and goal, then one line of cells per row."""
    return f"player {layout.cell('start')}\ngoal {layout.cell('goal')}\n" + open_text(
        layout
    ).replace(" ", "\n")


CARD = {
    "Starting State": "A fresh perfect maze at every reset, carved depth first from a random cell; "
    "start and goal are any two cells. Depth-first carving favours long corridors: at side 3 it "
    "makes 88 of the 192 spanning trees.",
    "Differences": """\
| from | there | here |
|---|---|---|
| VisualPlanning | a move into a wall is invalid, and only a shortest plan succeeds | both are \
policies: `illegal="fail"`, and `rules="visualplanning"` when a whole plan is scored |
| | a blue star walks from a green disc to a red flag | so in theme `thin`, drawn anew |
| MGSD | the goal is drawn over the player | in theme `classic` both show; all other pixels are \
the reference's |
| VSP, Gymnasium | no perfect mazes of this kind | – |""",
    "Version History": "- v0: first version.",
}
