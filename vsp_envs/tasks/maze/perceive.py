"""What to ask about a picture of a maze, and the true answers."""

from vsp_envs.core.layout import Layout
from vsp_envs.core.solver import legal_actions
from vsp_envs.core.task import Question
from vsp_envs.scoring.answer_format import actions_text
from vsp_envs.tasks.maze.words import open_text


def questions(layout: Layout) -> list[Question]:
    """Size, player, goal and open directions fix the board; the player's legal moves follow."""
    return [
        Question("size", "How many cells long is a side of the maze?", str(layout.level), True),
        Question("player", "In which cell is the player?", str(layout.cell("start")), True),
        Question("goal", "In which cell is the goal?", str(layout.cell("goal")), True),
        Question(
            "open",
            "In which directions (L, D, R, U) is each cell open? One bracket per cell, rows "
            "parted by spaces.",
            open_text(layout),
            True,
        ),
        Question(
            "moves", "Which moves can the player make?", actions_text(legal_actions(layout)), False
        ),
    ]
