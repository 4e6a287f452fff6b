"""The one way to write cells and moves: `(r,c)`, 0-based; lists row by row, `none` when empty."""

from collections.abc import Iterable, Sequence

from vsp_envs.plan import action_name
from vsp_envs.task import Action, Cell


def cells_text(cells: Iterable[Cell]) -> str:
    """`(0,1) (2,2)`, or `none`."""
    return " ".join(map(str, cells)) or "none"


def actions_text(actions: Sequence[Action]) -> str:
    """`LDR`, with spaces around words: `LD PICK`; `none` when empty."""
    letters = "".join(action_name(action) for action in actions if action <= Action.UP)
    words = [action_name(action) for action in actions if action > Action.UP]
    return " ".join([letters, *words] if letters else words) or "none"
