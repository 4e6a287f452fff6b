"""Several answers per board: rates over boards, pass@k, votes, seeds and resuming."""

import json

import numpy as np
import pytest
from endpoint import completion, serving

from agents.agent import Reply, View
from agents.backends.openai import Endpoint, OpenAIAgent
from agents.sampling import Sampling
from agents.scripted import Oracle, Random
from evaluation import perception, planning
from evaluation.rates import clustered_rate, wilson
from evaluation.report.page import by_several
from evaluation.run_folder import read_run
from vsp_envs import format_answer, shortest_plan
from vsp_envs.core.task_level import TaskLevel
from vsp_envs.prompts.targets import perception_target
from vsp_envs.scoring.episode import read_records
from vsp_envs.utils.cli import main

LAKE = [TaskLevel("frozenlake", 3)]
MAZE = [TaskLevel("maze", 3)]


class Fickle:
    """An agent whose answer to a board depends on which of its answers it is."""

    name, view = "fickle", View()

    def __init__(self, *words):
        self.words = words

    def reply(self, requests):
        return [self.words[request.sample](request.layout) for request in requests]


def right(layout):
    return Reply(format_answer(shortest_plan(layout), layout.task))


def wrong(layout):
    return Reply("<answer></answer>")


def lost(layout):
    return Reply(error="timed out")


def sees(layout):
    return Reply(perception_target(layout))


def misreads(layout):
    return Reply(perception_target(layout).replace("size 3", "size 4"))


def sees_backwards(layout):
    *lines, holes = perception_target(layout).splitlines()
    name, *cells = holes.split()
    return Reply("\n".join([*lines, " ".join([name, *reversed(cells)])]))


def misplaces_holes(layout):
    return Reply(perception_target(layout).replace("holes", "holes (9,9)"))


def value(results, name):
    return results["macro"][name]["value"]


@pytest.mark.parametrize(
    ("words", "success", "majority"),
    [
        ((right, right, wrong), 2 / 3, 1),
        ((wrong, right, lost), 1 / 3, 1),  # what cannot be read has no vote
        ((lost, lost, lost), 0, 0),
        ((right, right, right), 1, 1),
    ],
)
def test_mean_success_pass_at_k_and_the_majority_vote_of_plans(words, success, majority):
    results = planning.evaluate(Fickle(*words), MAZE, episodes=4, samples=3)
    assert value(results, "success") == pytest.approx(success)
    assert value(results["several"], "pass@3") == (success > 0)
    assert value(results["several"], "majority") == majority
    assert results["macro"]["success"]["n"] == results["several"]["macro"]["majority"]["n"] == 4
    assert results["tasks"]["maze"]["replies"]["error"] == 4 * words.count(lost)


@pytest.mark.parametrize(
    ("words", "exact", "majority"),
    [
        ((sees, sees, misreads), 2 / 3, 1),
        ((misreads, misreads, sees), 1 / 3, 0),
        ((misplaces_holes, sees, sees_backwards), 2 / 3, 1),  # cells in any order are one answer
    ],
)
def test_perception_takes_its_vote_question_by_question(words, exact, majority):
    results = perception.evaluate(Fickle(*words), LAKE, episodes=4, samples=3)
    assert value(results, "exact") == pytest.approx(exact)
    assert value(results["several"], "pass@3") == 1
    assert value(results["several"], "majority") == majority
    assert "majority" in [column for column in by_several(results).columns]


def test_with_one_answer_a_board_nothing_is_voted_on_and_the_interval_is_wilsons():
    results = planning.evaluate(Oracle(), MAZE, episodes=4)
    assert results["several"] == {} and by_several(results) is None
    for right_ones in range(6):
        boards = [[index < right_ones] for index in range(5)]
        assert clustered_rate(boards) == wilson(right_ones, 5)


def test_answers_that_are_all_alike_tell_no_more_than_one():
    one = [[index < 30] for index in range(50)]
    eight = [answers * 8 for answers in one]
    assert clustered_rate(eight) == pytest.approx(clustered_rate(one))
    assert clustered_rate([[True] * 8] * 50) == pytest.approx(wilson(50, 50))


def test_the_interval_over_boards_covers_the_true_rate_as_often_as_it_says():
    draw = np.random.default_rng(0)
    covered = []
    for _ in range(400):
        chances = draw.beta(0.6, 0.9, size=60)  # boards differ a lot
        boards = [(draw.random(4) < chance).tolist() for chance in chances]
        rate = clustered_rate(boards)
        covered.append(rate.low <= 0.4 <= rate.high)
    assert 0.92 <= np.mean(covered) <= 0.98


def test_each_sample_is_asked_with_a_seed_of_its_own_and_the_first_with_the_boards():
    def seeds(samples):
        with serving(lambda body: completion("<answer>R</answer>")) as endpoint:
            agent = OpenAIAgent("m", Endpoint(base_urls=(endpoint.url,)), Sampling(1.0))
            planning.evaluate(agent, LAKE, episodes=3, samples=samples)
        return {body["seed"] for body in endpoint.bodies}

    assert len(seeds(4)) == 12
    assert seeds(1) < seeds(4)


def test_a_run_of_several_answers_keeps_the_number_of_each_and_resumes(tmp_path):
    whole = planning.evaluate(Random(), LAKE, episodes=4, samples=3, out=tmp_path)
    file = tmp_path / "replies.jsonl"
    records = read_records(file)
    assert [record["sample"] for record in records] == [0, 1, 2] * 4
    assert len({record["reply"] for record in records}) > 4
    assert "pass@3" in (tmp_path / "report.html").read_text()
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:5]))
    assert planning.evaluate(Random(), LAKE, episodes=4, samples=3, out=tmp_path) == whole
    assert file.read_text() == "".join(lines)
    with pytest.raises(ValueError, match="samples 3, now 2"):
        planning.evaluate(Random(), LAKE, episodes=4, samples=2, out=tmp_path)
    assert len(read_run(tmp_path).records) == 12


@pytest.mark.parametrize("module", [planning, perception])
def test_a_run_from_before_samples_goes_on(tmp_path, module):
    whole = module.evaluate(Oracle(), LAKE, episodes=4, out=tmp_path)
    kept = json.loads((tmp_path / "config.json").read_text())
    del kept["settings"]["samples"]
    (tmp_path / "config.json").write_text(json.dumps(kept))
    records = [dict(record) for record in read_records(tmp_path / "replies.jsonl")]
    for record in records:
        del record["sample"]
    lines = [json.dumps(record) + "\n" for record in records[:2]]
    (tmp_path / "replies.jsonl").write_text("".join(lines))
    assert module.evaluate(Oracle(), LAKE, episodes=4, out=tmp_path) == whole
    assert len(read_records(tmp_path / "replies.jsonl")) == 4


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            "--agent openai --model m --samples 4",
            "is the same answer 4 times; give a --temperature",
        ),
        ("--agent human --model x --samples 4", "a recorded person has one answer"),
        ("--agent oracle --samples 0", "--samples must be at least 1, got 0"),
    ],
)
def test_several_answers_that_cannot_differ_are_refused(tmp_path, capsys, asked, said):
    with pytest.raises(SystemExit):
        arguments = [*asked.split(), "--quiet", "--out", str(tmp_path / "run")]
        main(planning.run, planning.PlanningConfig, arguments)
    assert said in capsys.readouterr().err
