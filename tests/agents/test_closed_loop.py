"""`ClosedLoop`, for a model that somebody else asks, plays as `evaluation.planning` does."""

from __future__ import annotations

from itertools import chain, repeat

import numpy as np
import pytest

from agents.agent import Reply
from agents.multi_turn import TurnPolicy, play_turns
from vsp_envs import Action, ClosedLoop, Layout, LayoutSpec, View, draw_distinct, shortest_plan
from vsp_envs.core.simulator import RULE_SETS
from vsp_envs.scoring.answer_format import action_name, format_answer


def replies(layout: Layout, kind: str) -> list[str]:
    plan = shortest_plan(layout) or []
    steps = [format_answer([action], layout.task) for action in plan]
    bump = [f"<answer>{action_name(action)}</answer>" for action in list(Action)[:4]]
    whole = [format_answer(plan, layout.task)] * len(plan)
    return {
        "steps": steps, "loose": ["It is **" + action_name(plan[0]) + "**.", *steps[1:]],
        "whole plans": whole, "unread": [steps[0], "I cannot tell.", *steps[1:]], "all ways": bump,
        "silence": [""], "around": bump * 20,
    }[kind]  # fmt: skip


@pytest.mark.parametrize("rules", RULE_SETS)
@pytest.mark.parametrize("chunk", [1, 3])
@pytest.mark.parametrize(
    "kind", ["steps", "loose", "whole plans", "unread", "all ways", "silence", "around"]
)
@pytest.mark.parametrize(("task", "level"), [("frozenlake", 4), ("maze", 4), ("minibehaviour", 5)])
def test_it_shows_asks_and_scores_as_our_evaluation(
    task: str, level: int, kind: str, chunk: int, rules: str
) -> None:
    [layout] = draw_distinct(LayoutSpec(task, level, "test"), 1, 0)
    view = View(image_size=64)
    way = TurnPolicy(act=f"chunk:{chunk}", history=99, max_turns=12)
    said = chain(replies(layout, kind), repeat("<answer>L</answer>"))
    theirs = play_turns(layout, "image", view, way, rules, reader="tolerant")
    game, request = ClosedLoop(layout, view, chunk, rules, max_turns=12), next(theirs)
    while True:
        asked, reply = game.prompt(), next(said)
        assert asked.messages[-1] == request.prompt.messages[-1]
        assert np.array_equal(asked.images[-1], request.prompt.images[-1])
        game.take(reply)
        try:
            request = theirs.send(Reply(reply))
        except StopIteration as end:
            episode = end.value
            break
        assert not game.over
    score = game.score()
    assert game.over
    assert (score.success, score.optimal, score.steps, score.reason) == (
        episode.success, episode.optimal, episode.steps, episode.reason,
    )  # fmt: skip
    with pytest.raises(ValueError, match="the episode is over"):
        game.take("<answer>L</answer>")


def test_a_chunk_of_zero_takes_whole_plans_until_the_end_is_reached() -> None:
    [layout] = draw_distinct(LayoutSpec("maze", 4, "test"), 1, 0)
    plan = shortest_plan(layout) or []
    game = ClosedLoop(layout, chunk=0)
    game.take(format_answer(plan[:2], "maze"))
    assert not game.over and game.played == plan[:2]
    game.take(format_answer(plan[2:], "maze"))
    assert game.over and game.score().optimal
