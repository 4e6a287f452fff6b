"""The one way to write cells and moves: `(r,c)`, 0-based; lists row by row, `none` when empty."""

from collections.abc import Iterable, Sequence

from vsp_envs.plan import action_name
from vsp_envs.solve import compile_layout
from vsp_envs.task import Action, Cell, Layout, Outcome, get_task


def cells_text(cells: Iterable[Cell]) -> str:
    """`(0,1) (2,2)`, or `none`."""
    return " ".join(map(str, cells)) or "none"


def actions_text(actions: Sequence[Action]) -> str:
    """`LDR`, with spaces around words: `LD PICK`; `none` when empty."""
    letters = "".join(action_name(action) for action in actions if action <= Action.UP)
    words = [action_name(action) for action in actions if action > Action.UP]
    return " ".join([letters, *words] if letters else words) or "none"


def legal_actions(layout: Layout, state: int | None = None) -> list[Action]:
    """The actions that the rules do not refuse in a state; None is the start."""
    machine = compile_layout(layout)
    outcomes = machine.outcome[machine.start if state is None else state]
    return [each for each in get_task(layout.task).actions if outcomes[each] != Outcome.ILLEGAL]
