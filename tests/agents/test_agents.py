"""The scripted agents, and the harness that plays them on live boards."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from drawn import lake, maze, plan, room

from agents.agent import Reply, Request, View
from agents.rollout import Case, play, prompt_of
from agents.scripted import SCRIPTED, Blind, Oracle, Random
from vsp_envs import (
    TASKS,
    Layout,
    LayoutSpec,
    ParseStatus,
    draw_distinct,
    format_answer,
    get_task,
    parse_plan,
    render,  # fmt: skip
    score_reply,
    shortest_plan,
)  # fmt: skip
from vsp_envs.scoring.episode import Episode
from vsp_envs.scoring.perception import read_facts

every_task = pytest.mark.parametrize("task", TASKS)


def layouts(task: str, count: int) -> list[Layout]:
    return draw_distinct(LayoutSpec(task, get_task(task).paper_levels[0]), count, seed=2)


def cases(task: str, count: int, **shown: str) -> list[Case]:
    return [Case(layout, **shown) for layout in layouts(task, count)]


# Oracle


@every_task
@pytest.mark.parametrize("rules", ["env", "mgsd-train", "mgsd-eval", "visualplanning"])
def test_the_oracle_solves_every_board_in_the_fewest_steps(task: str, rules: str) -> None:
    episodes = list(play(Oracle(), cases(task, 40, input="text"), rules))
    assert len(episodes) == 40
    assert all(each.success and each.optimal and each.status == "ok" for each in episodes)
    assert all(each.steps == each.optimal_length for each in episodes)


@every_task
def test_the_oracle_answers_every_question_right(task: str) -> None:
    for layout in layouts(task, 20):
        facts = read_facts(Oracle().answer(layout), task)
        questions = get_task(task).questions(layout)
        assert facts == {question.name: question.answer.upper() for question in questions}


# Random


@every_task
def test_random_draws_as_many_actions_as_a_shortest_plan_has(task: str) -> None:
    agent, seen = Random(seed=1), set()
    for layout in layouts(task, 60):
        parsed = parse_plan(agent.answer(layout), task)
        assert parsed.status is ParseStatus.OK
        assert len(parsed.plan) == len(shortest_plan(layout) or [])
        seen |= set(parsed.plan)
    assert seen == set(get_task(task).actions)


@every_task
def test_random_follows_its_seed(task: str) -> None:
    one, same, other = (
        [agent.answer(layout) for layout in layouts(task, 10)]
        for agent in (Random(3), Random(3), Random(4))
    )
    assert one == same != other


# Blind


def blind(layout: Layout) -> str:
    return Blind().answer(layout)


def test_blind_walks_rows_first_and_then_columns() -> None:
    layout = lake("""SFFF
                     FFFF
                     FFGF
                     FFFF""")
    assert blind(layout) == "<answer>DDRR</answer>"
    assert score_reply(layout, blind(layout)).optimal


def test_blind_walks_up_and_left_too() -> None:
    assert blind(lake("GFF FFF FFS")) == "<answer>UULL</answer>"
    assert blind(lake("FSF FFF FGF")) == "<answer>DD</answer>"


def test_blind_falls_into_the_hole_in_its_way_and_not_into_the_one_beside_it() -> None:
    in_the_way = lake("""SFF
                         HFF
                         FFG""")
    beside_it = lake("""SHF
                        FHF
                        FFG""")
    assert blind(in_the_way) == blind(beside_it) == "<answer>DDRR</answer>"
    fell, arrived = (
        score_reply(in_the_way, blind(in_the_way)),
        score_reply(beside_it, blind(beside_it)),
    )
    assert (fell.success, fell.reason) == (False, "hole")
    assert arrived.success and arrived.optimal


def test_blind_does_not_see_the_walls_of_a_maze() -> None:
    blocked = maze("""
        +-+-+
        |S  |
        +-+ +
        |  G|
        +-+-+
    """)
    free = maze("""
        +-+-+
        |S| |
        + + +
        |  G|
        +-+-+
    """)
    assert blind(blocked) == blind(free) == "<answer>DR</answer>"
    assert not score_reply(blocked, blind(blocked)).success
    assert score_reply(free, blind(free)).optimal


def test_blind_fetches_the_printer_and_brings_it_to_the_corner_of_the_table() -> None:
    layout = room("""A....
                     .....
                     .P...
                     ..TTT
                     ..TTT""")
    assert blind(layout) == "<answer>D,D,PICK,D,R,DROP</answer>"
    assert score_reply(layout, blind(layout)).optimal


def test_blind_picks_and_drops_where_it_stands_if_that_will_do() -> None:
    layout = room("""TTTA.
                     TTTP.
                     .....
                     .....
                     .....""")
    # It means to reach the top left corner of the table, and runs into the table's other end.
    assert blind(layout) == "<answer>PICK,L,L,DROP</answer>"
    assert score_reply(layout, blind(layout)).success
    assert not score_reply(layout, blind(layout), "mgsd-eval").success


def test_blind_runs_into_the_table_that_stands_before_the_printer() -> None:
    layout = room("""A....
                     TTT..
                     TTT..
                     .....
                     P....""")
    assert blind(layout) == "<answer>D,D,D,PICK,U,DROP</answer>"
    score = score_reply(layout, blind(layout))
    assert (score.success, score.outcome.name, score.illegal) == (False, "RUNNING", 6)


@every_task
def test_blind_is_better_than_random_and_worse_than_the_oracle(task: str) -> None:
    scores = {
        name: sum(score_reply(each, agent(0).answer(each)).success for each in layouts(task, 150))
        for name, agent in SCRIPTED.items()
    }
    assert scores["random"] < scores["blind"] < scores["oracle"] == 150


def vsp_table(path: Path) -> Layout:
    """VSP's table: `| Row 1 | _ | # | @ | * |`, where @ is the player, * the goal, # a hole."""
    letters = {"_": "F", "#": "H", "@": "S", "*": "G"}
    rows = [line.split("|")[2:-1] for line in path.read_text().splitlines() if "Row" in line]
    return lake(" ".join("".join(letters[cell.strip()] for cell in row) for row in rows))


def test_blind_has_its_known_rate_on_vsps_public_lakes() -> None:
    root = os.environ.get("VSP_BENCHMARKS")
    if not root:
        pytest.skip("VSP_BENCHMARKS names no folder with the public test sets")
    tables = sorted(Path(root).glob("vsp_frozenlake/maps/level*/table/*.txt"))
    assert tables, f"no vsp_frozenlake/maps/level*/table/*.txt under VSP_BENCHMARKS={root}"
    boards = [vsp_table(path) for path in tables]
    rate = np.mean([score_reply(board, blind(board)).success for board in boards])
    assert abs(rate - 0.66) < 0.04  # 0.663 on all 600; a standard deviation of 300 is 0.027


# The harness


@every_task
def test_playing_gives_one_episode_per_case_in_order(task: str) -> None:
    played = cases(task, 7, input="text")
    for batch_size in (1, 3, 7, 64):
        episodes = list(play(Oracle(), played, batch_size=batch_size))
        assert [each.layout_id for each in episodes] == [each.layout.layout_id for each in played]
    assert list(play(Oracle(), [])) == []


def test_cases_of_several_tasks_and_levels_play_together() -> None:
    mixed = [case for task in TASKS for case in cases(task, 2)]
    mixed += [Case(each) for each in draw_distinct(LayoutSpec("maze", 6), 2, seed=0)]
    episodes = list(play(Oracle(), mixed, batch_size=3))
    assert [(each.task, each.level) for each in episodes] == [
        (case.layout.task, case.layout.level) for case in mixed
    ]
    assert all(each.success for each in episodes)


@every_task
@pytest.mark.parametrize("goal", ["plan", "perceive"])
def test_an_episode_survives_its_record(task: str, goal: str) -> None:
    played = cases(task, 5, goal=goal)
    for agent in (Oracle(), Random(1), Blind()):
        for case, episode in zip(played, play(agent, played), strict=True):
            line = json.dumps(episode.record(), allow_nan=False)
            assert Episode(**json.loads(line)) == episode
            assert episode.board() == case.layout


@every_task
def test_an_episode_keeps_the_reply_the_prompt_and_how_the_image_was_made(task: str) -> None:
    (case,) = cases(task, 1)
    (episode,) = play(Oracle(), [case])
    view = Oracle.view
    assert episode.reply == Oracle().answer(case.layout)
    assert episode.prompt == prompt_of(case, view).text
    image = render(episode.board(), episode.image["pixels"], episode.image["theme"])
    assert np.array_equal(image, prompt_of(case, view).images[0])
    assert episode.plan == [action.name for action in shortest_plan(case.layout) or []]
    assert len(episode.states) == episode.steps + 1


@every_task
def test_an_image_is_what_a_live_environment_shows(task: str) -> None:
    (case,) = cases(task, 1)
    env = gym.make(get_task(task).id, image_size=96, observation="image")
    image, _ = env.reset(options={"layout": case.layout})
    assert np.array_equal(prompt_of(case, View(image_size=96)).images[0], image)


def test_the_image_grows_with_the_level_where_a_view_counts_pixels_per_cell() -> None:
    view = View(cell_pixels=32)
    for level in (3, 4, 5):
        case = Case(draw_distinct(LayoutSpec("maze", level), 1, seed=0)[0])
        assert prompt_of(case, view).images[0].shape == (32 * level, 32 * level, 3)


def test_an_unknown_input_gives_one_line() -> None:
    (case,) = cases("maze", 1, input="sound")
    with pytest.raises(ValueError, match="unknown input 'sound'; inputs are image, text"):
        prompt_of(case, View())


class Written:
    """An agent that gives the replies it was made with."""

    name, view = "written", View()

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)

    def reply(self, requests: Sequence[Request]) -> list[Reply]:
        return [self.replies.pop(0) for _ in requests]


def test_replies_are_scored_under_the_rules_asked_for() -> None:
    layout = lake("""SFF
                     FHF
                     FFG""")
    bump = Reply(format_answer(plan("L D D R R"), "frozenlake"), tokens=9)
    (env,) = play(Written(bump), [Case(layout)], "env")
    assert (env.success, env.optimal, env.steps, env.illegal) == (True, False, 5, 1)
    assert (env.outcome, env.reason, env.tokens) == ("success", "off_grid", 9)
    (strict,) = play(Written(bump), [Case(layout)], "mgsd-eval")
    assert (strict.success, strict.outcome, strict.steps) == (False, "illegal", 1)


def test_a_reply_that_did_not_come_is_an_episode_that_failed() -> None:
    layout = lake("SG FF")
    (episode,) = play(Written(Reply(error="timed out")), [Case(layout)])
    assert (episode.success, episode.error, episode.status) == (False, "timed out", "missing")
    # Even if part of an answer came with the error.
    (episode,) = play(Written(Reply("<answer>R</answer>", error="cut off")), [Case(layout)])
    assert (episode.success, episode.optimal) == (False, False)


def test_a_bad_answer_is_a_status_and_never_an_exception() -> None:
    layout = lake("SG FF")
    replies = ["", "<answer></answer>", "<answer>go!</answer>", "<answer>R</answer>"]
    episodes = list(play(Written(*map(Reply, replies)), [Case(layout)] * 4))
    assert [each.status for each in episodes] == ["missing", "empty", "malformed", "ok"]
    assert [each.success for each in episodes] == [False, False, False, True]
