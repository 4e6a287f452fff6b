"""The search on paper: layers of cells from the end of a plan back to the agent."""

from __future__ import annotations

import re
from itertools import groupby, product

import pytest
from any_board import any_board
from drawn import LAKE, MAZE, ROOM
from hypothesis import given
from hypothesis import strategies as st
from referee import MOVED, PICK, WON, Referee, Stand

from vsp_envs import TASKS, Layout, score_reply, shortest_plan
from vsp_envs.core.simulator import simulate, state_cell
from vsp_envs.core.task import get_task
from vsp_envs.prompts.search import SEARCH, search_lines
from vsp_envs.prompts.targets import planning_target, search_target
from vsp_envs.scoring.answer_readers import READERS
from vsp_envs.scoring.perception import facts_of_reply


def test_a_search_goes_in_layers_from_the_end_of_the_plan_to_the_agent() -> None:
    assert search_lines(LAKE) == ["search (2,2) | (1,2) (2,1) | (0,2) (2,0) | (0,1) (1,0) | (0,0)"]
    assert search_lines(MAZE) == ["search (2,2) | (2,1) | (2,0) | (1,0) | (0,0)"]


def test_a_task_of_two_legs_has_a_line_for_each_and_the_last_leg_first() -> None:
    assert search_lines(ROOM) == [
        "search (2,2) | (1,2) (1,3) (1,4) (2,1) (3,1) (4,2) (4,3) (4,4) | (0,2) (1,1)",
        "search (0,1) | (0,2) (1,1) | (0,3) (1,2) (1,0) (2,1) | (0,4) (1,3) (0,0)",
    ]
    carrying = simulate(ROOM, shortest_plan(ROOM) or []).states[-2]
    assert search_lines(ROOM, carrying) == ["search (2,2) | (1,2) (1,3) (1,4) (2,1)"]


def layers(line: str) -> list[list[tuple[int, int]]]:
    """The cells of a line, layer by layer."""
    word, _, rest = line.partition(" ")
    assert word == SEARCH
    return [
        [(int(row), int(col)) for row, col in re.findall(r"\((\d+),(\d+)\)", each)]
        for each in rest.split(" | ")
    ]


def actions_to_the_end(layout: Layout) -> dict[Stand, int]:
    """By the referee alone: place → fewest actions to success.

    The last leg counts wherever a move leads, an earlier one where the agent can be in it.
    """
    referee = Referee(layout.task, get_task(layout.task).dump(layout) | {"level": layout.level})
    places = product(range(layout.level), range(layout.level), (False, True))
    rulings = [
        (stand, referee.rule(stand, action))
        for stand in (Stand(*place) for place in places)
        for action in referee.actions
    ]
    moved = [(stand, ruling.stand) for stand, ruling in rulings if ruling.what == MOVED]
    entered = {after for before, after in moved if after.carrying == before.carrying}
    left = {stand: 1 for stand, ruling in rulings if ruling.what == WON}
    for far in range(1, 2 * layout.level**2):
        near = [before for before, after in moved if left.get(after) == far]
        left = dict.fromkeys(near, far + 1) | left
    at_start = {referee.start}
    for _ in range(layout.level**2):
        at_start |= {after for before, after in moved if before in at_start and not after.carrying}
    places_to_be = at_start if layout.task == "minibehaviour" else entered | {referee.start}
    return {
        stand: far
        for stand, far in left.items()
        if stand in (entered if stand.carrying else places_to_be)
    }


@given(any_board(4))
def test_a_layer_holds_the_cells_with_as_many_actions_to_the_end(layout: Layout) -> None:
    left, lines = actions_to_the_end(layout), search_lines(layout)
    assert len(lines) == len(TASKS[layout.task].waypoints)
    plan = shortest_plan(layout) or []
    begins = [len(plan), *(len(plan) - 1 - at for at, each in enumerate(plan) if each == PICK)]
    for line, carrying, begin in zip(lines[::-1], (False, True), begins, strict=False):
        *whole, last = layers(line)[1:]
        first = begin - len(whole)
        found = {Stand(*cell, carrying): first + far for far, layer in enumerate(whole)
                 for cell in layer}  # fmt: skip
        assert found == {stand: far for stand, far in left.items()
                         if stand.carrying == carrying and far < begin}  # fmt: skip
        assert all(left[Stand(*cell, carrying)] == begin for cell in last)


@given(any_board(5), st.data())
def test_the_route_takes_one_cell_of_each_layer(layout: Layout, data: st.DataObject) -> None:
    states = simulate(layout, shortest_plan(layout) or []).states[:-1]
    state = data.draw(st.sampled_from(states))
    lines = search_target(layout, state).splitlines()
    legs = [layers(line)[1:] for line in lines if line.startswith(SEARCH)][::-1]
    passed = simulate(layout, shortest_plan(layout, state) or [], start=state).states[:-1]
    of_legs = [[*each] for _, each in groupby(passed, lambda each: each // layout.level**2)]
    for leg, states in zip(legs, of_legs, strict=True):
        for layer, each in zip(leg[::-1], states, strict=False):
            assert state_cell(layout, each) in layer
        assert len(leg) == len(states) or (leg is not legs[-1] and len(leg) > len(states))
    assert lines[-2:] == planning_target(layout, state).splitlines()[-2:]


@pytest.mark.parametrize("reader", READERS)
@given(layout=any_board(5))
def test_every_reader_finds_the_plan_and_the_state_after_a_search(
    reader: str, layout: Layout
) -> None:
    score = score_reply(layout, search_target(layout), reader=reader)
    assert score.success and score.optimal
    assert all(fact.right for fact in facts_of_reply(search_target(layout), layout) if fact.said)
