"""Evaluation runs: known agents score what they must, runs resume, user errors take one line."""

import json
from dataclasses import replace
from typing import get_args

import pytest

from agents.agent import Reply, View
from agents.multi_turn import OnIllegal, OnMalformed, TurnPolicy
from agents.rollout import Case
from agents.scripted import Blind, Oracle, Random
from agents.vlm.checkpoint import DTYPES
from evaluation import modality_gap, perception, planning
from evaluation.modality_gap import GapConfig
from evaluation.options import CaseSet
from evaluation.perceived import state_exact
from evaluation.planning import PlanningConfig
from vsp_envs import TASKS, LayoutSpec, describe, draw_distinct
from vsp_envs.core.simulator import RULE_SETS
from vsp_envs.core.splits import SPLITS
from vsp_envs.core.task_level import TaskLevel, select_task_levels
from vsp_envs.prompts.question import INPUTS, Ask
from vsp_envs.prompts.targets import planning_target
from vsp_envs.scoring.perception import same_fact
from vsp_envs.utils.cli import main
from vsp_envs.utils.files import read_json_lines

ALL = [TaskLevel(task.name, task.paper_levels[0]) for task in TASKS.values()]
LAKE = [TaskLevel("frozenlake", 3)]


class Counting(Oracle):
    """An oracle that counts the boards it is asked about."""

    asked = 0

    def answer(self, layout):
        self.asked += 1
        return super().answer(layout)


class Saying:
    """An agent that says what a function of the layout says."""

    name = "saying"
    view = View()

    def __init__(self, words):
        self.words = words

    def reply(self, requests):
        return [Reply(self.words(request.layout)) for request in requests]


def value(results, measure="success"):
    return results["macro"][measure]["value"]


@pytest.mark.parametrize("input", ["image", "text"])
def test_the_oracle_scores_everything_on_every_task(input):
    results = planning.evaluate(Oracle(), ALL, episodes=4, input=input)
    assert value(results) == value(results, "optimal") == value(results, "state_exact") == 1
    assert set(results["tasks"]) == set(TASKS)
    seen = perception.evaluate(Oracle(), ALL, episodes=4, input=input)
    assert value(seen, "exact") == 1
    assert seen["tasks"]["frozenlake"]["questions"]["holes"]["value"] == 1


@pytest.mark.parametrize("rules", ["env", "mgsd-eval", "visualplanning"])
def test_optimal_never_exceeds_success(rules):
    results = planning.evaluate(Blind(), ALL, episodes=20, rules=rules)
    assert value(results, "optimal") <= value(results)


def test_an_agent_that_says_nothing_of_the_board_has_no_state_rate():
    assert "state_exact" not in planning.evaluate(Blind(), LAKE, episodes=3)["macro"]


def test_a_misread_board_is_told_from_a_bad_plan():
    agent = Saying(lambda layout: planning_target(layout).replace("size 3", "size 4"))
    results = planning.evaluate(agent, LAKE, episodes=3)
    assert (value(results), value(results, "state_exact")) == (1, 0)


def test_the_state_is_read_from_the_planning_answer(tmp_path):
    agent = Saying(lambda layout: describe(layout) + "\nroute")
    planning.evaluate(agent, ALL, episodes=2, out=tmp_path)
    records = read_json_lines(tmp_path / "replies.jsonl")
    assert [state_exact(record) for record in records] == [True] * 6
    assert state_exact({**records[0], "reply": "I cannot see"}) is None


@pytest.mark.parametrize(
    ("said", "same"),
    [
        ("(0,1) (2,2)", True),
        ("( 2 , 2 ), (0,1).", True),
        ("(0,1)", False),
        ("(0,1) (2,2) (1,1)", False),
        ("none", False),
        ("holes (0,1) (2,2)", False),
    ],
)
def test_a_list_of_cells_matches_in_any_order_and_only_as_a_whole(said, same):
    assert same_fact(said, "(0,1) (2,2)") is same


def test_parse_statuses_are_counted():
    words = iter(["<answer>RRR</answer>", "<answer>hop</answer>", "no idea", "<answer></answer>"])
    results = planning.evaluate(Saying(lambda layout: next(words)), LAKE, episodes=4)
    counts = results["tasks"]["frozenlake"]["replies"]
    assert {counts[name] for name in ("ok", "malformed", "missing", "empty")} == {1}


class Failing(Oracle):
    """An oracle behind an endpoint that fails once."""

    def reply(self, requests):
        return [Reply(error="timeout"), *super().reply(requests[1:])]


def test_failures_of_the_endpoint_stay_in_the_denominator():
    success = planning.evaluate(Failing(), LAKE, episodes=4)["macro"]["success"]
    assert (success["value"], success["n"]) == (0.75, 4)
    assert value(perception.evaluate(Failing(), LAKE, episodes=4), "exact") == 0.75


def test_a_run_leaves_its_files_and_the_results_it_returned(tmp_path):
    results = planning.evaluate(Blind(), ALL, episodes=2, out=tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names - {".lock"} == {"config.json", "replies.jsonl", "results.json", "report.html"}
    assert json.loads((tmp_path / "results.json").read_text()) == results
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["settings"]["episodes"] == 2 and "numpy" in config["versions"]


@pytest.mark.parametrize("kept", [0, 1, 5])
def test_a_run_cut_off_in_a_line_plays_only_what_is_missing(tmp_path, capsys, kept):
    whole = planning.evaluate(Random(), ALL, episodes=2, out=tmp_path)
    file = tmp_path / "replies.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:kept]) + lines[kept][:40])
    agent = Random()
    assert planning.evaluate(agent, ALL, episodes=2, out=tmp_path) == whole
    assert file.read_bytes() == b"".join(lines)
    assert "half-written" in capsys.readouterr().err


def test_a_finished_run_asks_nothing_again(tmp_path):
    planning.evaluate(Counting(), ALL, episodes=2, out=tmp_path)
    again = Counting()
    planning.evaluate(again, ALL, episodes=2, out=tmp_path)
    assert again.asked == 0


def test_a_folder_of_another_run_is_refused_with_the_difference(tmp_path):
    planning.evaluate(Oracle(), LAKE, episodes=2, out=tmp_path)
    with pytest.raises(ValueError, match=r"episodes 2, now 3; seed 0, now 1; choose another --out"):
        planning.evaluate(Oracle(), LAKE, episodes=3, seed=1, out=tmp_path)
    with pytest.raises(ValueError, match="goal 'plan', now 'perceive'; rules"):
        perception.evaluate(Oracle(), LAKE, episodes=2, out=tmp_path)


def test_a_broken_line_within_the_replies_is_named(tmp_path):
    planning.evaluate(Oracle(), LAKE, episodes=3, out=tmp_path)
    file = tmp_path / "replies.jsonl"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0], "{", lines[2], ""]))
    with pytest.raises(ValueError, match="line 2 is not a record"):
        planning.evaluate(Oracle(), LAKE, episodes=3, out=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--agent oracle --tasks mase", "unknown task 'mase'"),
        ("--agent oracle --tasks maze:1", "level 1 is out of range for maze"),
        ("--agent oracle --tasks maze --levels 33", "level 33 is out of range for maze"),
        ("--agent oracle --tasks maze:3 --episodes 0", "episodes must be at least 1"),
        ("--agent oracle --tasks frozenlake:2", "no frozenlake layout of level 2"),
        ("--agent orakel --tasks maze:3", "Did you mean 'oracle'?"),
        ("--agent oracle --tasks maze:3 --act stepp", "Did you mean 'step'?"),
        ("--agent openai --tasks maze:3 --model m --base-urls localhost:8000", "is no base URL"),
        ("--agent hf --tasks maze:3", "--model PATH"),
        ("--agent hf --tasks maze:3 --model ./nowhere", "no checkpoint at './nowhere'"),
    ],
)
def test_a_user_error_is_one_line_and_exit_code_2(tmp_path, capsys, arguments, said):
    with pytest.raises(SystemExit) as exit:
        main(planning.run, PlanningConfig, [*arguments.split(), "--out", str(tmp_path)])
    written = capsys.readouterr().err
    assert exit.value.code == 2
    assert said in written and written.startswith("error: ") and written.count("\n") == 1


@pytest.mark.parametrize(
    ("config_class", "flag", "choices"),
    [
        (PlanningConfig, "--split", SPLITS),
        (PlanningConfig, "--input", INPUTS),
        (PlanningConfig, "--pictures", ("rendered", "original")),
        (PlanningConfig, "--dtype", DTYPES),
        (PlanningConfig, "--rules", RULE_SETS),
        (PlanningConfig, "--malformed", get_args(OnMalformed)),
        (PlanningConfig, "--illegal", get_args(OnIllegal)),
        (GapConfig, "--rules", RULE_SETS),
        (GapConfig, "--state", ("stated", "asked")),
    ],
)
def test_a_closed_choice_names_its_values_in_help_and_for_a_wrong_one(
    tmp_path, capsys, config_class, flag, choices
):
    for arguments, status in (([flag, "nothing"], 2), (["--help"], 0)):
        with pytest.raises(SystemExit) as exit:
            main(pytest.fail, config_class, ["--out", str(tmp_path / "run"), *arguments])
        written = capsys.readouterr()
        shown = " ".join(f"{written.out} {written.err}".replace("│", " ").split())
        assert exit.value.code == status
        assert flag in shown and all(name in shown for name in choices)
        assert "Traceback" not in shown
    assert not (tmp_path / "run").exists()


def test_a_bug_keeps_its_traceback(tmp_path):
    def stumble(config):
        json.loads("{")  # a ValueError, but of the library

    with pytest.raises(json.JSONDecodeError):
        main(stumble, PlanningConfig, ["--out", str(tmp_path)])


def test_help_documents_every_option(capsys):
    with pytest.raises(SystemExit):
        main(planning.run, PlanningConfig, ["--help"])
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for words in ("Different boards per task and level", "one of other settings is refused"):
        assert words in shown


def test_the_command_prints_a_table_and_says_where_the_report_is(tmp_path, capsys):
    arguments = ["--agent", "oracle", "--tasks", "frozenlake:3-4", "--episodes", "2"]
    main(planning.run, PlanningConfig, [*arguments, "--out", str(tmp_path)])
    shown = capsys.readouterr().out
    assert "frozenlake, mean" in shown and str(tmp_path / "report.html") in shown.replace("\n", "")
    assert select_task_levels(["frozenlake:3-4"]) == [
        TaskLevel("frozenlake", 3),
        TaskLevel("frozenlake", 4),
    ]


def test_a_board_described_in_other_words_is_wrong_exactly_and_right_tolerantly():
    def in_other_words(layout):
        lines = describe(layout).replace("size 3", "**Size**: 3x3").splitlines()
        return "\n".join([*lines, "<answer>D</answer>"])

    seen = perception.evaluate(Saying(in_other_words), LAKE, episodes=3)
    assert (value(seen, "exact"), value(seen, "tolerant")) == (0, 1)
    planned = planning.evaluate(Saying(in_other_words), LAKE, episodes=3)
    assert (value(planned, "state_exact"), value(planned, "state_tolerant")) == (0, 1)


def test_a_case_that_is_not_played_in_turns_is_refused_before_anything_is_asked(tmp_path):
    layouts = draw_distinct(LayoutSpec("frozenlake", 3), 100, seed=0)
    cases = [Case(layout, name=layout.layout_id) for layout in layouts]
    cases[-1] = replace(cases[-1], picture="board.png")
    agent, steps = Counting(), TurnPolicy(act="step")
    with pytest.raises(ValueError, match=f"{cases[-1].name}: a picture from a file shows only"):
        planning.evaluate(agent, given=CaseSet("some", cases), turn_policy=steps, out=tmp_path)
    assert agent.asked == 0 and not list(tmp_path.iterdir())
    by_text = CaseSet("some", [replace(cases[-1], input="text")])
    assert value(planning.evaluate(agent, given=by_text, input="text", turn_policy=steps)) == 1
    config = PlanningConfig(out=tmp_path, model="not there", ask="answer")
    for policy in (steps, TurnPolicy(push=True), TurnPolicy(illegal="skip")):
        with pytest.raises(ValueError, match="take --act plan, --illegal rules, no --push"):
            planning.run(replace(config, turn_policy=policy))


@pytest.mark.parametrize("own", get_args(Ask))
@pytest.mark.parametrize("asked", ["", "plan"])
def test_an_agent_is_asked_for_what_it_was_trained_on_unless_another_goal_is_named(
    own, asked, tmp_path
):
    agent = Counting()
    agent.view = View(style="brief", ask=own)
    kept = {"out": tmp_path / "run", "ask": asked}
    planning.evaluate(agent, LAKE, episodes=1, **kept)
    [record] = read_json_lines(tmp_path / "run/replies.jsonl")
    assert record["prompt"] == f"{asked or own} FrozenLake"
    assert planning.evaluate(agent, LAKE, episodes=1, **kept | {"ask": asked or own})
    assert agent.asked == 1, "the goal is what counts, named or not"
    planning.evaluate(agent, LAKE, episodes=1, turn_policy=TurnPolicy(act="step"))
    gap = GapConfig(out=tmp_path / "gap", tasks=("frozenlake:3",), episodes=1, quiet=True)
    modality_gap.evaluate(agent, gap)
    [record] = read_json_lines(tmp_path / "gap/text/replies.jsonl")
    assert record["prompt"].endswith(f"{own} FrozenLake")


@pytest.mark.parametrize("thought", ["", "<think>size 9</think>\n"])
def test_the_state_of_a_board_is_what_was_said_of_it_before_anything_was_played(thought):
    class Telling(Oracle):
        """Says nothing at first, and then in each turn how the board is by now."""

        def reply(self, requests):
            told = [thought + planning_target(each.layout, each.state) for each in requests]
            return [
                Reply(text) if each.turn else Reply("?")
                for text, each in zip(told, requests, strict=True)
            ]

    policy = TurnPolicy(act="step", malformed="skip")
    results = planning.evaluate(Telling(), ALL, episodes=4, turn_policy=policy)
    measures = ("optimal", "state_exact", "state_tolerant")
    assert [value(results, measure) for measure in measures] == [1, 1, 1]


def test_each_task_is_shown_in_the_theme_that_is_named_for_it(tmp_path):
    asked = "--agent oracle --tasks frozenlake:3 maze:3 minibehaviour:5 --episodes 2 --quiet"
    themes = ["--theme", "frozenlake=gymnasium", "maze=thin", "--out", str(tmp_path)]
    main(planning.run, planning.PlanningConfig, [*asked.split(), *themes])
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["settings"]["view"]["theme"] == "frozenlake=gymnasium maze=thin"
    lines = map(json.loads, (tmp_path / "replies.jsonl").read_text().splitlines())
    shown = {each["task"]: each["image"]["theme"] for each in lines}
    assert shown == {"frozenlake": "gymnasium", "maze": "thin", "minibehaviour": "classic"}
