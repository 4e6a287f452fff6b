"""Ways to act, and the policies on replies that cannot be read or obeyed."""

import numpy as np
import pytest
from drawn import LAKE, room

from agents.agent import Reply, View
from agents.multi_turn import TurnPolicy
from agents.rollout import Case, play, start_turns
from agents.scripted import Blind, Oracle, Random
from evaluation import planning
from vsp_envs import TASKS, Action, LayoutSpec, draw_distinct, get_task, render
from vsp_envs.core.layout import MOVES
from vsp_envs.core.task_level import TaskLevel
from vsp_envs.utils import cli
from vsp_envs.utils.files import read_json


class Written:
    """An agent that gives the replies it was made with, and keeps what it was asked."""

    name = "written"

    def __init__(self, *replies, view=None):
        self.replies, self.prompts, self.view = list(replies), [], view or View(image_size=64)

    def reply(self, requests):
        self.prompts += [request.prompt for request in requests]
        return [Reply(self.replies.pop(0), tokens=5) for _ in requests]


def answers(*plans):
    return [f"<answer>{plan}</answer>" for plan in plans]


def acted(agent, layout=LAKE, rules="env", input="image", **turn_policy):
    [episode] = play(agent, [Case(layout, input)], rules, turn_policy=TurnPolicy(**turn_policy))
    return episode


def said(agent):
    return [prompt.text for prompt in agent.prompts]


@pytest.mark.parametrize("act", ["plan", "step", "chunk:2", "chunk:100"])
@pytest.mark.parametrize("task", TASKS)
def test_the_oracle_is_optimal_in_every_way_to_act(task, act):
    layouts = draw_distinct(LayoutSpec(task, get_task(task).paper_levels[-1]), 10, seed=0)
    episodes = list(
        play(Oracle(), [Case(each) for each in layouts], turn_policy=TurnPolicy(act=act))
    )
    assert all(each.optimal for each in episodes)
    assert [each.layout_id for each in episodes] == [each.layout_id for each in layouts]
    if act == "step":
        assert all(len(each.turns) == each.steps for each in episodes)


def test_each_step_sees_a_fresh_image_with_the_turns_before_it():
    agent = Written(*answers("D", "D", "R", "R"))
    episode = acted(agent, act="step")
    assert episode.optimal and episode.tokens == 20
    assert [len(prompt.images) for prompt in agent.prompts] == [1, 2, 3, 4]
    for image, state in zip(agent.prompts[-1].images, [0, 3, 6, 7], strict=True):
        assert np.array_equal(image, render(LAKE, 64, state=state))
    roles = [message["role"] for message in agent.prompts[1].messages]
    assert roles == ["user", "assistant", "user"]


def test_history_is_cut_and_the_task_is_said_again():
    agent = Written(*answers("D", "D", "R", "R"))
    acted(agent, act="step", history=1)
    assert [len(prompt.images) for prompt in agent.prompts] == [1, 2, 2, 2]
    assert all("FrozenLake is a square lake" in text for text in said(agent))


@pytest.mark.parametrize("history", [0, 1, 8])
def test_each_turn_is_sampled_from_a_seed_of_its_own(history):
    class Seeded(Written):
        def reply(self, requests):
            seeds.update(request.seed(0) for request in requests)
            return super().reply(requests)

    seeds = set()
    acted(Seeded(*answers("D", "U", "D", "U")), act="step", history=history, max_turns=4)
    assert len(seeds) == 4


def test_a_chunk_plays_so_many_actions_of_a_longer_plan():
    agent = Written(*answers("DDRR", "RR"))
    episode = acted(agent, act="chunk:2")
    assert episode.optimal
    assert [turn["played"] for turn in episode.turns] == [2, 2]
    assert "at most 2" in said(agent)[0]


@pytest.mark.parametrize("goal", ["search", "answer"])
def test_a_goal_that_asks_for_a_whole_plan_is_not_played_in_turns(goal):
    turns = start_turns(Case(LAKE, goal=goal), View(), TurnPolicy(), "env")
    assert next(turns).layout == LAKE
    with pytest.raises(ValueError, match=f"--ask {goal} asks once"):
        start_turns(Case(LAKE, goal=goal), View(), TurnPolicy(act="step"), "env")


def test_a_text_prompt_says_where_play_stands():
    agent = Written(*answers("D", "DRR"))
    acted(agent, act="chunk:3", input="text")
    assert "SFF\nFHF\nFFG" in said(agent)[0]
    assert "Played so far: D. The player is now at (1,0)." in said(agent)[1]


def test_a_text_prompt_says_what_is_carried():
    office = room("A.... P.... ..TTT ..TTT .....")
    agent = Written(*answers("PICK", "D,D,R,DROP"))
    assert acted(agent, office, input="text", act="chunk:9").success
    assert "now at (0,0), the printer in hand" in said(agent)[1]


def test_a_visual_prompt_of_a_later_turn_holds_no_state():
    agent = Written(*answers("D", "D", "R", "R"))
    acted(agent, act="step")
    for text in said(agent):
        assert "SFF" not in text and "(1,0)" not in text and "Played" not in text


def test_a_model_trained_on_brief_prompts_reads_the_words_it_knows():
    agent = Written(*answers("DDRR", "DRR", "RR", "R"), view=View("brief", 64))
    assert acted(agent, act="step", history=0).optimal
    assert set(said(agent)) == {"plan FrozenLake"}


@pytest.mark.parametrize(
    ("policy", "replies", "success", "status"),
    [
        ("fail", ["what?"], False, "missing"),
        ("retry", ["what?", *answers("DDRR")], True, "ok"),
        ("retry", ["what?", "what?", *answers("hop")], False, "malformed"),
    ],
)
def test_malformed_replies_to_a_plan(policy, replies, success, status):
    agent = Written(*replies)
    episode = acted(agent, malformed=policy)
    assert (episode.success, episode.status, agent.replies) == (success, status, [])
    if len(replies) > 1:
        assert "could not be read: it is missing" in said(agent)[1]


def test_a_skipped_turn_shows_the_board_again_and_says_nothing():
    agent = Written(*answers("D"), "hm", *answers("D", "R", "R"))
    episode = acted(agent, act="step", malformed="skip")
    assert episode.optimal and len(episode.turns) == 5
    assert [turn["status"] for turn in episode.turns][1] == "missing"
    assert "could not be read" not in "".join(said(agent))


@pytest.mark.parametrize(
    ("policy", "rules", "replies", "expected"),
    [
        # policy, rule set, replies, (success, steps, illegal actions played, left out)
        ("rules", "env", ["LDDRR"], (True, 5, 1, 0)),
        ("rules", "mgsd-eval", ["LDDRR"], (False, 1, 1, 0)),
        ("fail", "env", ["LDDRR"], (False, 1, 1, 0)),
        ("skip", "mgsd-eval", ["LDDRR"], (True, 4, 0, 1)),
        ("retry", "mgsd-eval", ["LDDRR", "DDRR"], (True, 4, 0, 1)),
        ("retry", "env", ["DL", "L", "L"], (False, 1, 0, 3)),
    ],
)
def test_illegal_actions(policy, rules, replies, expected):
    agent = Written(*answers(*replies))
    episode = acted(agent, rules=rules, illegal=policy)
    counts = (episode.success, episode.steps, episode.illegal, episode.refused)
    assert (*counts, agent.replies) == (*expected, [])
    if policy == "retry":
        assert "L is not possible there (off grid) and was not played." in said(agent)[1]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("agent", [Blind(), Random()])
def test_a_plan_played_in_steps_goes_on_after_a_refused_action(task, agent):
    layouts = draw_distinct(LayoutSpec(task, get_task(task).paper_levels[1]), 20, seed=0)
    whole, steps = (
        list(play(agent, [*map(Case, layouts)], turn_policy=TurnPolicy(act=act, illegal="skip")))
        for act in ("plan", "step")
    )
    assert [(each.plan, each.refused) for each in whole] == [
        (each.plan, each.refused) for each in steps
    ]
    assert task == "frozenlake" or any(each.refused for each in whole)


def test_an_episode_ends_after_so_many_turns():
    agent = Written(*answers(*"RLRLRL"))
    episode = acted(agent, act="step", max_turns=6)
    assert (episode.success, episode.steps, agent.replies) == (False, 6, [])


def test_a_fall_ends_the_game():
    agent = Written(*answers("R", "D"))
    assert acted(agent, act="step").reason == "hole"


def test_feedback_says_what_came_of_each_action_and_is_off_by_default():
    agent = Written(*answers("LD", "DRR"))
    assert acted(agent, act="chunk:2", feedback=True, max_turns=2).steps == 4
    assert "What came of it: L: no effect (off grid); D: moved." in said(agent)[1]
    silent = Written(*answers("LD", "DRR"))
    acted(silent, act="chunk:2", max_turns=2)
    assert "What came" not in "".join(said(silent))


def test_feedback_and_the_words_of_a_retry_stand_together():
    agent = Written(*answers("DL", "DRR"))
    assert acted(agent, act="chunk:3", illegal="retry", feedback=True).success
    assert "D: moved; L: no effect (off grid).\nL is not possible there" in said(agent)[1]


@pytest.mark.parametrize("task", TASKS)
def test_a_push_is_the_same_for_all_and_a_closed_loop_recovers_from_it(task):
    level = get_task(task).paper_levels[1]
    layouts = draw_distinct(LayoutSpec(task, level, min_plan=3), 20, seed=0)
    cases = [Case(each) for each in layouts]
    whole, steps = (
        list(play(Oracle(), cases, turn_policy=TurnPolicy(act=act, push=True)))
        for act in ("plan", "step")
    )
    for one, other in zip(whole, steps, strict=True):
        assert 1 < one.pushed == other.pushed <= one.optimal_length
        assert one.plan[: one.pushed] == other.plan[: one.pushed]
        assert other.success and len(other.turns) == other.steps - 1
        assert Action[one.plan[one.pushed - 1]] in MOVES
    assert sum(each.success for each in whole) < len(whole)


def test_runs_that_name_no_push_and_no_feedback_resume(tmp_path):
    lakes = [TaskLevel("frozenlake", 4)]
    planning.evaluate(Blind(), lakes, episodes=3, out=tmp_path)
    acting = read_json(tmp_path / "config.json")["settings"]["acting"]
    assert list(acting) == ["act", "malformed", "illegal", "ask_again", "history", "max_turns"]
    assert TurnPolicy(push=True).settings()["push"]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"act": "steps"}, "unknown way to act 'steps'"),
        ({"act": "chunk:0"}, "unknown way to act 'chunk:0'"),
        ({"malformed": "ignore"}, "unknown policy on malformed replies 'ignore'"),
        ({"illegal": "ignore"}, "unknown policy on illegal actions 'ignore'"),
        ({"history": -1}, "ask_again and history are at least 0"),
        ({"feedback": True}, "give --act step or chunk:k, or leave out --feedback"),
        ({"feedback": True, "illegal": "skip"}, "with --act plan no turn follows one"),
    ],
)
def test_a_setting_that_cannot_be_is_named(setting, said):
    with pytest.raises(ValueError, match=said):
        acted(Written(*answers("DDRR")), **setting)


@pytest.mark.parametrize(
    ("flag", "choices"),
    [
        ("--malformed", ("fail", "retry", "skip")),
        ("--illegal", ("rules", "fail", "retry", "skip")),
    ],
)
def test_the_command_line_names_the_choices_of_a_policy(flag, choices, capsys, tmp_path):
    with pytest.raises(SystemExit) as ended:
        cli.main(planning.run, planning.PlanningConfig, ["--out", str(tmp_path), flag, "ignore"])
    said = capsys.readouterr().err
    assert ended.value.code == 2 and "'ignore'" in said and "Traceback" not in said
    assert all(f"'{choice}'" in said for choice in choices)


def test_the_way_to_act_is_recorded_and_part_of_what_a_run_is(tmp_path):
    lakes = [TaskLevel("frozenlake", 4)]
    planning.evaluate(
        Blind(), lakes, episodes=5, out=tmp_path, turn_policy=TurnPolicy(act="chunk:2")
    )
    with pytest.raises(ValueError, match="other settings: acting"):
        planning.evaluate(Blind(), lakes, episodes=5, out=tmp_path)
