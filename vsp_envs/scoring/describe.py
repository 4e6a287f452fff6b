"""A board as text and as the symbolic observation."""

from typing import Any

import numpy as np

from vsp_envs.core.layout import Layout, LayoutBatch
from vsp_envs.core.simulator import layout_in
from vsp_envs.core.task import get_task


def describe(layout: Layout, state: int | None = None) -> str:
    """The whole board as text: one line `name answer` per question that determines it.

    This is the symbolic state in words (None: the start), the beginning of every planning answer,
    and what a model has to read off the image.
    """
    layout = layout if state is None else layout_in(layout, state)
    return "\n".join(
        f"{question.name} {question.answer}"
        for question in get_task(layout.task).questions(layout)
        if question.states
    )


def symbolic_state(
    layout: Layout, state: int | None = None, max_level: int | None = None
) -> dict[str, Any]:
    """The symbolic observation of a board in a state (None: the start).

    Padded to `max_level`; None pads nothing.
    """
    at = layout.cells[0] if state is None else state
    batch = get_task(layout.task).symbolic(
        LayoutBatch.stack([layout]), np.array([at]), max_level or layout.level
    )
    return {name: part[0] if part.ndim > 1 else int(part[0]) for name, part in batch.items()}
