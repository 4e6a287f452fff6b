"""What to ask about a picture of MiniBehaviour, and the true answers."""

from vsp_envs.core.layout import Layout
from vsp_envs.core.solver import legal_actions
from vsp_envs.core.task import Question
from vsp_envs.scoring.answer_format import actions_text, cells_text
from vsp_envs.tasks.minibehaviour.rules import is_carried, neighbours, table_cells


def questions(layout: Layout) -> list[Question]:
    """Size, agent, printer and table fix the board; what lies beside them follows."""
    printer, table = layout.cell("printer"), table_cells(layout)
    where = "carried" if is_carried(layout) else str(printer)
    beside_printer = [cell for cell in neighbours(layout, [printer]) if cell not in table]
    beside_table = [cell for cell in neighbours(layout, table) if cell != printer]
    return [
        Question("size", "How many cells long is a side of the room?", str(layout.level), True),
        Question("agent", "In which cell is the agent?", str(layout.cell("start")), True),
        Question("printer", "In which cell is the printer?", where, True),
        Question("table", "Which cells does the table cover, row by row?", cells_text(table), True),
        Question(
            "beside printer",
            "From which cells can the printer be picked up?",
            cells_text(beside_printer),
            False,
        ),
        Question(
            "beside table",
            "From which cells can something be put on the table?",
            cells_text(beside_table),
            False,
        ),
        Question("moves", "What can the agent do now?", actions_text(legal_actions(layout)), False),
    ]
