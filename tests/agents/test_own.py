"""An agent of one's own: a class, on the command line, by entry point; mistakes in one line."""

import re
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from agents import own
from agents.agent import Reply, View
from evaluation import perception, planning
from evaluation.planning import PlanningConfig, evaluate, run
from vsp_envs.utils.cli import main
from vsp_envs.utils.files import read_json

PAGE = Path(__file__).parents[2] / "docs/howto/your-own-agent.md"
OURS = """
from agents.agent import Reply
from vsp_envs import format_answer, shortest_plan

class MyAgent:
    def reply(self, requests):
        return [format_answer(shortest_plan(each.layout), each.layout.task) for each in requests]

class Lazy:
    def reply(self, requests):
        return requests[0].prompt.text

class Short:
    def reply(self, requests):
        return []

class Numbers:
    def reply(self, requests):
        return [7 for _ in requests]

class Mute:
    pass
"""


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    (tmp_path / "my_agents.py").write_text(OURS)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("my_agents", None)


def command(out, agent):
    main(
        run,
        PlanningConfig,
        [
            "--agent",
            agent,
            "--tasks",
            "frozenlake:3",
            "--episodes",
            "4",
            "--quiet",
            "--out",
            str(out),
        ],
    )


def test_the_command_plays_a_class_by_its_name(tmp_path, capsys):
    command(tmp_path / "run", "my_agents:MyAgent")
    assert "100 (51.0–100)" in capsys.readouterr().out
    config = read_json(tmp_path / "run/config.json")["settings"]
    assert (config["agent"], config["view"]["image_size"]) == ("MyAgent", 256)


def test_an_announced_agent_is_named_like_our_own(tmp_path, monkeypatch, capsys):
    found = [EntryPoint("mine", "my_agents:MyAgent", own.GROUP)]
    monkeypatch.setattr(own, "entry_points", lambda group: found if group == own.GROUP else [])
    command(tmp_path / "run", "mine")
    with pytest.raises(SystemExit):
        command(tmp_path / "other", "mina")
    assert "Did you mean 'mine'?" in capsys.readouterr().err


def test_python_evaluates_an_object_on_named_tasks_and_resumes(tmp_path):
    from my_agents import MyAgent

    for out in (tmp_path / "run", str(tmp_path / "run")):
        results = evaluate(MyAgent(), tasks=["frozenlake:3", "maze:3"], episodes=3, out=out)
    assert results["macro"]["success"]["n"] == 6
    assert len((tmp_path / "run/replies.jsonl").read_text().splitlines()) == 6
    assert (
        perception.evaluate(MyAgent(), tasks="maze:3", episodes=2)["macro"]["exact"]["value"] == 0
    )


def test_the_page_of_the_how_to_runs_as_it_stands(tmp_path, monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "my_module.py").write_text(blocks[0])
    assert len(blocks[0].splitlines()) <= 15
    monkeypatch.chdir(tmp_path)
    exec(blocks[1].replace("episodes=200", "episodes=3"), {})
    assert read_json(Path("runs/mine/results.json"))["macro"]["success"]["n"] == 3
    command(tmp_path / "again", "my_module:MyAgent")


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        ("my_agents:Lazy", "one reply for each of 4 requests, got str"),
        ("my_agents:Short", "one reply for each of 4 requests, got 0 items"),
        ("my_agents:Numbers", "must return a Reply or a text for each request, got a int: 7"),
        ("my_agents:Mute", "is not an agent: an agent is an object with a method reply(requests)"),
        ("my_agents:Nobody", "the module my_agents has no 'Nobody'"),
        ("nowhere:MyAgent", "there is no module 'nowhere'"),
    ],
)
def test_what_is_no_agent_is_refused_in_one_line(tmp_path, capsys, agent, said):
    with pytest.raises(SystemExit):
        command(tmp_path / "run", agent)
    error = capsys.readouterr().err
    assert said in error and error.startswith("error: ") and error.count("\n") == 1


@pytest.mark.parametrize("wrong", [Reply, View(), "oracle", None])
def test_python_refuses_what_is_no_agent(wrong):
    with pytest.raises(ValueError, match="is not an agent"):
        planning.evaluate(wrong, tasks=["frozenlake:3"], episodes=2)


def test_an_agent_with_a_wrong_view_or_without_boards_is_refused():
    from my_agents import MyAgent

    agent = MyAgent()
    with pytest.raises(ValueError, match="name the boards"):
        evaluate(agent, episodes=2)
    agent.view = 512
    with pytest.raises(ValueError, match="needs a text as name and a View as view"):
        evaluate(agent, tasks=["maze:3"], episodes=2)
