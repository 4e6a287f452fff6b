"""What to ask about a picture of KeyDoor, and the true answers."""

from vsp_envs.core.layout import Cell, Layout
from vsp_envs.core.solver import legal_actions
from vsp_envs.core.task import Question
from vsp_envs.scoring.answer_format import actions_text, cells_text

from .rules import WALL, key_words


def questions(layout: Layout) -> list[Question]:
    """Size, agent, key, door, goal and walls fix the board; the legal moves follow."""
    level = layout.level
    walls = [Cell(*divmod(i, level)) for i, code in enumerate(layout.grid) if code == WALL]
    where = [
        Question(name, f"In which cell is the {name}?", cell, True)
        for name, cell in (
            ("agent", str(layout.cell("start"))), ("key", key_words(layout)),
            ("door", str(layout.cell("door"))), ("goal", str(layout.cell("goal"))),
        )
    ]  # fmt: skip
    return [
        Question("size", "How many cells long is a side of the room?", str(level), True),
        *where,
        Question("walls", "Which cells are walls, row by row?", cells_text(walls), True),
        Question("moves", "What can the agent do now?", actions_text(legal_actions(layout)), False),
    ]
