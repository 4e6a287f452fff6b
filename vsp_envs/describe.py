"""A board in full sentences' worth of facts: what its perception questions ask, answered."""

from vsp_envs.task import Layout, get_task


def describe(layout: Layout) -> str:
    """The whole board as text: one line `name answer` per fact that fixes it.

    This is the symbolic state in words, the opening of every planning answer, and what a
    perceiver has to read off the picture.
    """
    return "\n".join(
        f"{question.name} {question.answer}"
        for question in get_task(layout.task).questions(layout)
        if question.states
    )
