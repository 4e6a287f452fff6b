"""What to ask about a picture of FrozenLake, and the true answers."""

from vsp_envs.core.layout import Cell, Layout
from vsp_envs.core.task import Question
from vsp_envs.scoring.answer_format import cells_text
from vsp_envs.tasks.frozenlake.rules import HOLE


def questions(layout: Layout) -> list[Question]:
    """Size, player, goal and holes; together they fix the board."""
    level = layout.level
    holes = [Cell(*divmod(i, level)) for i, code in enumerate(layout.grid) if code == HOLE]
    return [
        Question("size", "How many cells long is a side of the board?", str(level), True),
        Question("player", "In which cell is the player?", str(layout.cell("start")), True),
        Question("goal", "In which cell is the goal?", str(layout.cell("goal")), True),
        Question("holes", "Which cells are holes, row by row?", cells_text(holes), True),
    ]
