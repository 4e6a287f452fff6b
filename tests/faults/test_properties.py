"""What holds of every board: shortest plans are shortest, and all faces play the same game."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations, product
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from any_board import any_board
from hypothesis import given
from hypothesis import strategies as st
from referee import KNOWS, WON, Referee
from test_referee import many, referee_of, state_of

from vsp_envs import (
    TASKS,
    Action,
    Layout,
    LayoutError,
    LayoutSpec,
    Outcome,
    draw_distinct,
    get_task,
    load_layout,
    shortest_plan,
    simulate,
)
from vsp_envs.core.simulator import RULE_SETS
from vsp_envs.core.solver import UNREACHABLE, solve_layout


def check_solution(layout: Layout) -> int:
    """Hold distances, optimal actions and the plan against the referee's search; stands seen."""
    referee, machine = referee_of(layout), solve_layout(layout)
    search = referee.search()
    for stand in search.leads:
        state = state_of(stand, None, layout)
        assert machine.distance[state] == search.distance.get(stand, UNREACHABLE), (layout, stand)
        optimal = [a for a in referee.actions if machine.optimal[state][a]]
        assert optimal == referee.first_moves(search, stand), (layout, stand)
    plan = shortest_plan(layout)
    assert plan is not None and len(plan) == search.distance[referee.start]
    stand = referee.start
    for action in plan:
        assert action == referee.first_moves(search, stand)[0]  # ties go to the smaller number
        what, stand, _ = referee.rule(stand, action)
    assert what == WON
    return len(search.leads)


def test_the_solver_finds_what_the_referees_search_finds(long: bool, record_property: Any) -> None:
    """Distance and set of optimal actions at every stand of drawn and of arbitrary boards, and
    the shortest plan, held against breadth-first search by the referee."""
    seen = [0, 0]

    @many(2000 if long else 100)
    @given(any_board())
    def arbitrary(layout: Layout) -> None:
        seen[0] += 1
        seen[1] += check_solution(layout)

    arbitrary()
    for task in KNOWS:
        for level in (3, 4, 5, 8, 16) if long else (3, 4, 5):
            spec = LayoutSpec(task, level, **dict.fromkeys(get_task(task).build_arguments, 0.6))
            for layout in draw_distinct(spec, 12 if level == 3 else 150 if long else 20, level):
                seen[0] += 1
                seen[1] += check_solution(layout)
    record_property("boards", seen[0])
    record_property("stands", seen[1])


def small_boards() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every room of sides 3 and 4; every lake of side 3 with the start at each kind of place."""
    for level in (3, 4):
        cells = [[r, c] for r in range(level) for c in range(level)]
        for top, left in product(range(level - 1), range(level - 2)):
            table = [[top + r, left + c] for r in range(2) for c in range(3)]
            for start, printer in permutations([each for each in cells if each not in table], 2):
                data = {"level": level, "start": start, "printer": printer, "table": table}
                yield "minibehaviour", data
    for start, goal in ((0, 8), (1, 6), (4, 2)):
        for holes in product("FH", repeat=7):
            letters, others = list("?" * 9), iter(holes)
            letters[start], letters[goal] = "S", "G"
            ice = "".join(next(others) if each == "?" else each for each in letters)
            yield "frozenlake", {"map": [ice[:3], ice[3:6], ice[6:]]}


def test_every_small_board_is_solved_or_refused_as_by_brute_force(record_property: Any) -> None:
    """Every room of sides 3 and 4, every lake of side 3 from a corner, an edge and the middle."""
    solved, refused = 0, 0
    for task, data in small_boards():
        try:
            layout = load_layout(task, data)
        except LayoutError as error:
            assert "has no solution" in str(error)
            referee = Referee(task, data)
            assert referee.start not in referee.search().distance
            refused += 1
        else:
            check_solution(layout)
            solved += 1
    assert solved + refused == 12 + 540 + 3 * 2**7
    record_property("boards", solved + refused)


def test_no_plan_shorter_than_the_solvers_succeeds(long: bool, record_property: Any) -> None:
    """Random plans one action too short, on arbitrary boards, under every rule set."""
    count = [0]

    @many(6000 if long else 200)
    @given(st.data())
    def fails(data: st.DataObject) -> None:
        layout = data.draw(any_board())
        shorter = len(shortest_plan(layout) or []) - 1
        actions = st.sampled_from(TASKS[layout.task].actions)
        attempt = data.draw(st.lists(actions, min_size=shorter, max_size=shorter))
        count[0] += 1
        for rules in RULE_SETS:
            assert simulate(layout, attempt, rules).outcome is not Outcome.SUCCESS

    fails()
    record_property("plans", count[0])


@pytest.mark.parametrize("task", KNOWS)
def test_the_optimal_actions_are_the_first_moves_of_all_plans_that_succeed_so_soon(
    task: str, long: bool, record_property: Any
) -> None:
    """All plans as long as the shortest, played one by one: none wins before its last action, and
    those that win begin with just the optimal actions."""
    actions, count = TASKS[task].actions, 0
    for layout in draw_distinct(LayoutSpec(task, TASKS[task].min_level + 1), 40, seed=1):
        machine, length = solve_layout(layout), len(shortest_plan(layout) or [])
        if len(actions) ** length > (10_000 if long else 1300):
            continue
        wins = set()
        for attempt in product(actions, repeat=length):
            trace = simulate(layout, attempt)
            count += 1
            if trace.outcome is Outcome.SUCCESS:
                assert trace.steps == length
                wins.add(attempt[0])
        assert wins == {Action(a) for a in actions if machine.optimal[machine.start][a]}
    assert count
    record_property("plans", count)


WISHES: list[dict[str, Any]] = [
    {"observation": "symbolic", "level": 5, "illegal": "fail", "min_plan": 4},
    {"observation": "symbolic", "level": (4, 7), "max_level": 8},
    {"observation": "both", "image_size": 64, "level": (5, 6), "theme": "random"},
]


def flat(observation: Any) -> dict[str, Any]:
    """An observation with its image beside the parts of its symbolic half."""
    if "symbolic" not in observation:
        return observation
    return {"image": observation["image"], **observation["symbolic"]}


def hold(batch: dict[str, Any], rows: list[dict[str, Any]], step: int) -> None:
    """Every part of a batch is that of the single environments; masks of infos are aside."""
    assert {name for name in batch if not name.startswith("_")} == rows[0].keys()
    for name in rows[0]:
        if name == "image":
            assert all(map(np.array_equal, batch[name], (row[name] for row in rows))), step
        else:
            theirs = np.array([row[name] for row in rows], batch[name].dtype)
            assert np.array_equal(batch[name], theirs), (step, name)


@pytest.mark.parametrize("task", KNOWS)
@pytest.mark.parametrize("spec", WISHES, ids=str)
def test_the_vector_environment_plays_as_the_scalar_ones_step_by_step(
    task: str, spec: dict[str, Any], long: bool, record_property: Any
) -> None:
    """Random actions in the vector environment and in as many scalar ones: observations, rewards,
    ends and infos are equal at every step."""
    count, steps = 32, (1_000_000 if long else 9_000) // 32 // 9
    vector = gym.make_vec(
        TASKS[task].id, count, vectorization_mode="vector_entry_point", max_episode_steps=40, **spec
    )
    envs = [
        gym.make(TASKS[task].id, max_episode_steps=40, disable_env_checker=True, **spec)
        for _ in range(count)
    ]
    observation, infos = vector.reset(seed=3)
    first = [env.reset(seed=3 + i) for i, env in enumerate(envs)]
    hold(flat(observation), [flat(each) for each, _ in first], -1)
    ended, draw = np.zeros(count, bool), np.random.default_rng(0)
    for step in range(steps):
        actions = draw.integers(len(TASKS[task].actions), size=count)
        observation, rewards, terminated, truncated, infos = vector.step(actions)
        played = [
            _begun(env.reset()) if over else env.step(action)
            for env, over, action in zip(envs, ended, actions.tolist(), strict=True)
        ]
        seen, theirs, ends, cuts, told = zip(*played, strict=True)
        hold(flat(observation), [flat(each) for each in seen], step)
        hold(infos, list(told), step)
        assert (rewards.tolist(), terminated.tolist()) == (list(theirs), list(ends)), step
        assert truncated.tolist() == list(cuts), step
        ended = terminated | truncated
    record_property("steps", steps * count)


def _begun(reset: tuple[Any, dict[str, Any]]) -> tuple[Any, float, bool, bool, dict[str, Any]]:
    """What the step of an autoreset returns."""
    return reset[0], 0.0, False, False, reset[1]
