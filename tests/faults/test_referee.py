"""Tables, rule sets and observations against the referee, who knows the rule book alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from any_board import any_board
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from referee import KNOWS, LOST, MOVED, REFUSED, WON, Referee, Ruling, Stand

from vsp_envs import (
    TASKS,
    Action,
    Layout,
    LayoutSpec,
    Outcome,
    draw_distinct,
    format_answer,
    score_reply,
)
from vsp_envs.core.simulator import RULE_SETS
from vsp_envs.core.solver import solve_layout
from vsp_envs.scoring.describe import symbolic_state

OUTCOMES = {
    MOVED: Outcome.RUNNING, WON: Outcome.SUCCESS, LOST: Outcome.FAILURE, REFUSED: Outcome.ILLEGAL,
}  # fmt: skip


def many(count: int) -> settings:
    """So many examples."""
    slow = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    return settings(max_examples=count, suppress_health_check=slow)


def referee_of(layout: Layout) -> Referee:
    return Referee(layout.task, layout.to_data())


def state_of(stand: Stand, ruling: Ruling | None, layout: Layout) -> int:
    """The stand as an index into the transition tables; `ruling` is what led there."""
    delivered = layout.task == "minibehaviour" and ruling is not None and ruling.what == WON
    phase = 2 if delivered else int(stand.carrying)
    return phase * layout.level**2 + stand.row * layout.level + stand.col


def check_tables(layout: Layout) -> int:
    """Hold every action at every stand of play against the tables; how many there were."""
    leads, machine = referee_of(layout).search().leads, solve_layout(layout)
    reasons = TASKS[layout.task].reasons
    for stand, rulings in leads.items():
        state = state_of(stand, None, layout)
        for action, ruling in enumerate(rulings):
            place = (layout, stand, action)
            assert machine.outcome[state][action] == OUTCOMES[ruling.what], place
            if ruling.what == REFUSED:
                assert reasons[machine.reason[state, action]] == ruling.why, place
            after = state_of(ruling.stand, ruling, layout)
            assert machine.next_state[state][action] == after, place
    return sum(map(len, leads.values()))


def check_score(layout: Layout, plan: list[int], rules: str) -> None:
    """Hold the score of a plan against the referee's verdict."""
    referee = referee_of(layout)
    verdict = referee.judge(plan, rules)
    score = score_reply(layout, format_answer([Action(a) for a in plan], layout.task), rules)
    refused = [ruling.why for ruling in verdict.rulings if ruling.what == REFUSED]
    assert score.success == verdict.success
    assert (score.steps, score.illegal) == (len(verdict.rulings), len(refused))
    assert score.outcome is OUTCOMES[verdict.what]
    assert score.reason == ("hole" if verdict.what == LOST else (refused or [""])[-1])
    shortest = referee.search().distance[referee.start]
    won_in = len(verdict.rulings) if verdict.what == WON else None
    assert (score.optimal_length, score.optimal) == (shortest, won_in == shortest)
    passed = [state_of(ruling.stand, ruling, layout) for ruling in verdict.rulings]
    assert score.trace.states[1:] == passed


def test_the_tables_are_the_rule_book(long: bool, record_property: Any) -> None:
    """Every action at every stand of drawn and of arbitrary boards, held against the referee."""
    seen = [0, 0]

    @many(2000 if long else 100)
    @given(any_board())
    def arbitrary(layout: Layout) -> None:
        seen[0] += 1
        seen[1] += check_tables(layout)

    arbitrary()
    for task in KNOWS:
        for level in (3, 5, 8, 13, 32):
            for layout in draw_distinct(LayoutSpec(task, level), 12 if long else 1, level):
                seen[0] += 1
                seen[1] += check_tables(layout)
    record_property("boards", seen[0])
    record_property("stands × actions", seen[1])


@st.composite
def plans(draw: st.DrawFn, layout: Layout) -> list[int]:
    """Random actions, or a shortest plan with some put in: a plan that gets somewhere."""
    actions = st.integers(0, len(TASKS[layout.task].actions) - 1)
    if draw(st.booleans()):
        return draw(st.lists(actions, max_size=12))
    referee = referee_of(layout)
    search, stand, plan = referee.search(), referee.start, []
    while True:
        plan += draw(st.lists(actions, max_size=2)) if draw(st.integers(0, 3)) == 3 else []
        action = draw(st.sampled_from(referee.first_moves(search, stand)))
        plan.append(action)
        ruling = referee.rule(stand, action)
        if ruling.what == WON:
            return plan + draw(st.lists(actions, max_size=2))
        stand = ruling.stand


def test_every_rule_set_scores_plans_as_the_referee_judges_them(
    long: bool, record_property: Any
) -> None:
    """Plans on arbitrary boards, random ones and shortest ones with actions put in, scored under
    every rule set."""
    successes = dict.fromkeys(RULE_SETS, 0)
    count = [0]

    @many(5000 if long else 150)
    @given(st.data())
    def scored(data: st.DataObject) -> None:
        layout = data.draw(any_board(5))
        plan = data.draw(plans(layout))
        count[0] += 1
        for rules in RULE_SETS:
            check_score(layout, plan, rules)
            successes[rules] += referee_of(layout).judge(plan, rules).success

    scored()
    assert all(0 < won < count[0] for won in successes.values())
    assert successes["env"] > successes["mgsd-train"] > successes["visualplanning"]
    record_property("plans × rule sets", count[0] * len(RULE_SETS))


@pytest.mark.parametrize("task", KNOWS)
def test_the_symbolic_observation_says_how_the_referee_sees_play_stand(
    task: str, long: bool, record_property: Any
) -> None:
    """Every stand of drawn boards, won ones too, in symbols."""
    count = 0
    for level in (4, 5, 8):
        for layout in draw_distinct(LayoutSpec(task, level), 50 if long else 3, level):
            for state, truth in described(layout):
                symbolic = symbolic_state(layout, state)
                seen = {name: np.asarray(part).tolist() for name, part in symbolic.items()}
                assert seen == truth, (layout, state)
                count += 1
    record_property("observations", count)


def described(layout: Layout) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every state that play can reach, won and lost ones too, with the referee's description."""
    referee = referee_of(layout)
    for stand, rulings in referee.search().leads.items():
        yield state_of(stand, None, layout), referee.describe(stand)
        for ruling in rulings:
            if ruling.what in (WON, LOST):
                won = ruling.what == WON
                yield state_of(ruling.stand, ruling, layout), referee.describe(ruling.stand, won)
