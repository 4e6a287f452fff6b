"""Breadth-first search on paper: what a planning answer may hold between the board and the route.

`search (3,3) | (2,3) (3,2) | (1,3) …` opens with what a leg of the plan leads to. Then come the
cells that need one action to the end of the leg, two, and so on, up to where the agent begins it.
Within a layer the neighbours of the first cell before it come first. The route then goes from layer
to layer. A task of several legs has a line for each, the last leg first, and its layers count the
actions to the end of the task.
"""

from __future__ import annotations

from vsp_envs.core.layout import Cell, Layout, Outcome
from vsp_envs.core.simulator import simulate
from vsp_envs.core.solver import shortest_plan, solve_layout
from vsp_envs.core.task import get_task

SEARCH = "search"
"""First word of a line."""


def search_lines(layout: Layout, state: int | None = None) -> list[str]:
    """The search that ends in a state; None: the start. No line where no plan succeeds."""
    task, size = get_task(layout.task), layout.level**2
    plan = shortest_plan(layout, state)
    if plan is None:
        return []
    begins: dict[int, int] = {}  # phase → the state in which the agent enters it
    for each in simulate(layout, plan, start=state).states:
        begins.setdefault(each // size, each)
    lines = []
    for phase, leg in reversed([*enumerate(task.waypoints)]):
        if phase in begins:
            head = layout.cells[task.landmarks.index(leg.landmark)]
            is_last = leg is task.waypoints[-1]
            layers = [[head], *_layers(layout, begins[phase], last=is_last)]
            said = [[str(Cell(*divmod(cell, layout.level))) for cell in cells] for cells in layers]
            lines.append(f"{SEARCH} {' | '.join(map(' '.join, said))}")
    return lines


def _layers(layout: Layout, begin: int, *, last: bool) -> list[list[int]]:
    """The cells of each layer, from the end of the leg to the state in which it begins.

    The `last` leg is searched wherever it can be ended from, earlier ones where the agent can be.
    """
    solved, size = solve_layout(layout), layout.level**2
    phase = range(begin // size * size, (begin // size + 1) * size)
    before: dict[int, list[int]] = {begin: []}  # state that can be entered → states one move away
    open_ = [*phase] if last else [begin]
    for here in open_:
        for after, outcome in zip(solved.next_state[here], solved.outcome[here], strict=True):
            if outcome == Outcome.RUNNING and after in phase:
                if not last and after not in before:
                    open_.append(after)
                before.setdefault(after, []).append(here)
    alike: dict[int, list[int]] = {}  # distance → states
    for here in sorted(before):
        alike.setdefault(solved.distance[here], []).append(here)
    layers: list[list[int]] = [[]]
    for distance in range(1, solved.distance[begin] + 1):
        places = reversed([*enumerate(layers[-1])])
        rank = {here: place for place, after in places for here in before[after]}
        layers += [sorted(alike.get(distance, ()), key=lambda here: rank.get(here, len(before)))]
    layers[-1] = layers[-1][: layers[-1].index(begin) + 1]
    return [[here % size for here in layer] for layer in layers if layer]
