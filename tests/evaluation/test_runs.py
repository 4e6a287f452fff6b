"""Runs of every kind of agent and board from the command line, stopped anywhere and resumed."""

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from endpoint import Answer, completion, serving

from agents.agent import Reply
from agents.backends.openai import Endpoint, EndpointError, OpenAIAgent
from agents.rollout import Case, play
from agents.scripted import Blind, Oracle
from evaluation import modality_gap, perception, planning
from evaluation.live_table import Tally
from evaluation.options import sample_cases
from tests.public_rows import LAKE_ROW, ROOM_ROW, TABLE, rows
from vsp_envs import TASKS, LayoutSpec, draw_distinct
from vsp_envs.core.task_level import TaskLevel
from vsp_envs.rendering.renderer import render
from vsp_envs.scoring.episode import append_episode, score_episode
from vsp_envs.tasks.frozenlake.sprites import TILES
from vsp_envs.utils.cli import main
from vsp_envs.utils.files import read_json_lines

LAKE = [TaskLevel("frozenlake", 3)]


def command(*arguments, module=planning, config_class=planning.PlanningConfig):
    main(module.run, config_class, [*map(str, arguments), "--quiet"])


def config(folder):
    return json.loads((folder / "config.json").read_text())["settings"]


def results(folder):
    return json.loads((folder / "results.json").read_text())


def said(capsys, *arguments):
    with pytest.raises(SystemExit) as exit:
        command(*arguments)
    assert exit.value.code == 2
    return capsys.readouterr().err


class Stumbling(Oracle):
    """An oracle whose endpoint is taken away after some batches."""

    def __init__(self, batches):
        super().__init__()
        self.batches, self.batch_size = batches, 2

    def reply(self, requests):
        self.batches -= 1
        if self.batches < 0:
            raise EndpointError("gone")
        return super().reply(requests)


@pytest.mark.parametrize("batches", [0, 1, 3])
def test_a_run_that_broke_off_goes_on_without_losing_or_repeating_a_case(tmp_path, batches):
    task_levels = [TaskLevel("frozenlake", 3), TaskLevel("maze", 3)]
    with pytest.raises(EndpointError):
        planning.evaluate(Stumbling(batches), task_levels, episodes=5, out=tmp_path)
    assert len(read_json_lines(tmp_path / "replies.jsonl")) == 2 * batches
    planning.evaluate(Stumbling(9), task_levels, episodes=5, out=tmp_path)
    ids = [record["layout_id"] for record in read_json_lines(tmp_path / "replies.jsonl")]
    assert len(ids) == len(set(ids)) == 10


def test_replies_of_an_endpoint_are_kept_as_they_come(tmp_path):
    layouts = [case.layout for case in sample_cases(LAKE, "test", 8, "image", "plan", 0)]
    shown = [len(layouts)]

    def refuse_in_the_end(body):
        shown[0] -= 1
        return completion("<answer>R</answer>") if shown[0] >= 3 else Answer({}, 401)

    with serving(refuse_in_the_end) as endpoint:
        agent = OpenAIAgent("m", Endpoint(base_urls=(endpoint.url,), concurrency=1))
        with pytest.raises(EndpointError):
            planning.evaluate(agent, LAKE, episodes=8, out=tmp_path)
    assert len(read_json_lines(tmp_path / "replies.jsonl")) == 5


class Flaky(Oracle):
    """An oracle whose first replies never come."""

    name, down = "flaky", 3

    def reply(self, requests):
        replies = super().reply(requests)
        lost, self.down = self.down, 0
        return [Reply(error="timed out")] * lost + replies[lost:]


def test_replies_that_never_came_are_asked_for_again_when_wished(tmp_path):
    agent = Flaky()
    first = planning.evaluate(agent, LAKE, episodes=5, out=tmp_path)
    assert first["macro"]["success"]["value"] == 0.4
    assert planning.evaluate(agent, LAKE, episodes=5, out=tmp_path) == first
    again = planning.evaluate(agent, LAKE, episodes=5, out=tmp_path, ask_errors=True)
    assert again["macro"]["success"]["value"] == 1
    assert len(read_json_lines(tmp_path / "replies.jsonl")) == 5


def test_statuses_illegal_actions_and_failures_are_rates_with_n_and_interval(tmp_path):
    words = iter(["<answer>hop</answer>", "no idea", "<answer></answer>", "<answer>LLLL</answer>"])
    errors = iter(["", "timeout", "", ""])

    class Saying(Oracle):
        def reply(self, requests):
            return [Reply(next(words), error=next(errors)) for _ in requests]

    found = planning.evaluate(Saying(), [TaskLevel("maze", 3)], episodes=4, out=tmp_path)
    rates = found["replies"]["tasks"]["maze"]["levels"]["3"]
    shares = {name: rate["value"] for name, rate in rates.items()}
    quarter = dict.fromkeys(("ok", "empty", "malformed", "illegal", "error"), 0.25)
    assert shares == quarter | {"missing": 0, "cut off": 0, "refusal": 0, "no text": 0}
    assert all(rate["n"] == 4 and rate["low"] < rate["high"] for rate in rates.values())


def test_an_endpoint_is_evaluated_from_the_command_line(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-very-secret")
    with serving(lambda body: completion("<answer>RR</answer>")) as endpoint:
        command(
            "--agent", "openai", "--model", "gpt-x", "--base-urls", endpoint.url,
            "--key-variable", "MY_KEY", "--prices", "1", "2", "--tasks", "frozenlake:3",
            "--episodes", "6", "--concurrency", "2", "--out", tmp_path,
        )  # fmt: skip
    assert endpoint.headers[0]["Authorization"] == "Bearer sk-very-secret"
    usage = results(tmp_path)["usage"]
    assert usage == {"prompt_tokens": 600, "tokens": 42, "cost": pytest.approx(0.000684)}
    assert config(tmp_path)["agent"] == "openai:gpt-x"
    for file in tmp_path.iterdir():
        assert "very-secret" not in file.read_text()


@pytest.mark.parametrize("name", ["blind", "random", "human"])
def test_who_says_nothing_of_the_board_is_not_asked_about_it(tmp_path, capsys, name):
    [layout] = draw_distinct(LayoutSpec("frozenlake", 3), 1, seed=0)
    played = score_episode(layout, "<answer>R</answer>", input="image", image={}, prompt="")
    append_episode(tmp_path / "me.jsonl", played)
    arguments = ("--agent", name, "--tasks", "frozenlake:3", "--out", tmp_path / "run")
    arguments += ("--model", tmp_path / "me.jsonl") if name == "human" else ()
    for module, config_class, more in (
        (perception, perception.PerceptionConfig, ()),
        (modality_gap, modality_gap.GapConfig, ("--state", "asked")),
    ):
        with pytest.raises(SystemExit, match="2"):
            command(*arguments, *more, module=module, config_class=config_class)
        assert f"error: the {name} agent plans and describes nothing" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_the_way_to_act_and_the_policies_are_options(tmp_path):
    command(
        "--agent", "oracle", "--tasks", "maze:3", "--episodes", "3", "--act", "step",
        "--illegal", "retry", "--out", tmp_path,
    )  # fmt: skip
    acting = config(tmp_path)["acting"]
    assert (acting["act"], acting["illegal"], acting["malformed"]) == ("step", "retry", "fail")
    assert results(tmp_path)["macro"]["optimal"]["value"] == 1


def test_theme_and_image_size_are_options(tmp_path, capsys):
    arguments = ("--agent", "oracle", "--tasks", "maze:3", "--episodes", "2", "--out", tmp_path)
    assert "unknown maze theme 'neon'" in said(capsys, *arguments, "--theme", "neon")
    assert "image_size 2000 is out of range" in said(capsys, *arguments, "--image-size", "2000")
    command(*arguments, "--image-size", "96")
    [record, _] = read_json_lines(tmp_path / "replies.jsonl")
    assert record["image"] == {"theme": "classic", "pixels": 96}


@pytest.mark.parametrize("act", ["plan", "step"])
def test_a_folder_of_tiles_is_a_theme_too(tmp_path, act):
    from PIL import Image

    for name, colour in zip(TILES, ("white", "black", "green", "red", "blue"), strict=True):
        Image.new("RGBA", (16, 16), colour).save(tmp_path / f"{name}.png")
    command(
        "--agent", "oracle", "--tasks", "frozenlake:3", "--episodes", "2", "--out", tmp_path / "r",
        "--theme", f"tiles:{tmp_path}", "--act", act,
    )  # fmt: skip
    [record, _] = read_json_lines(tmp_path / "r/replies.jsonl")
    assert "One tile shows the player" in record["prompt"] and record["success"]


def test_a_persons_episodes_are_a_row_like_any_other(tmp_path):
    layouts = draw_distinct(LayoutSpec("frozenlake", 3), 3, seed=0)
    for layout, aids in zip(layouts, ([], ["hint"], []), strict=True):
        episode = score_episode(
            layout, Oracle().answer(layout), input="image", image={}, prompt="",
            agent="human", aids=aids,
        )  # fmt: skip
        append_episode(tmp_path / "me.jsonl", episode)
    command("--agent", "human", "--model", tmp_path / "me.jsonl", "--out", tmp_path / "run")
    found = results(tmp_path / "run")["macro"]["success"]
    assert (found["value"], found["n"]) == (pytest.approx(2 / 3), 3)
    assert config(tmp_path / "run")["agent"] == "human"


# Public test sets


def test_a_public_set_is_played_with_its_repeats_and_says_where_a_board_is_from(tmp_path):
    rows(tmp_path, LAKE_ROW, LAKE_ROW, ROOM_ROW)
    out = tmp_path / "run"
    arguments = ("--agent", "oracle", "--benchmark", f"visualplanning:{tmp_path}", "--out", out)
    command(*arguments, "--rules", "visualplanning")
    records = read_json_lines(out / "replies.jsonl")
    assert [record["case"] for record in records] == [
        f"visualplanning:test_dataset.jsonl:{line}" for line in (1, 2, 3)
    ]
    assert results(out)["macro"]["success"]["value"] == 1
    assert set(results(out)["tasks"]) == {"frozenlake", "minibehaviour"}
    command(*arguments, "--rules", "visualplanning")  # and again: nothing is asked twice
    assert len(read_json_lines(out / "replies.jsonl")) == 3


def test_tasks_and_levels_select_boards_of_a_public_set(tmp_path, capsys):
    rows(tmp_path, LAKE_ROW, ROOM_ROW)
    arguments = (
        "--agent",
        "oracle",
        "--benchmark",
        f"visualplanning:{tmp_path}",
        "--out",
        tmp_path / "r",
    )
    assert "has no board of frozenlake:4" in said(capsys, *arguments, "--tasks", "frozenlake:4")
    command(*arguments, "--tasks", "minibehaviour")
    assert set(results(tmp_path / "r")["tasks"]) == {"minibehaviour"}
    assert "unknown benchmark 'vps'" in said(
        capsys, "--agent", "oracle", "--benchmark", f"vps:{tmp_path}", "--out", tmp_path / "s"
    )


def test_vsps_own_pictures_are_shown_with_words_of_their_own(tmp_path, capsys):
    from PIL import Image

    for folder in ("table", "img"):
        (tmp_path / "level3" / folder).mkdir(parents=True)
    (tmp_path / "level3/table/7.txt").write_text(TABLE)
    arguments = (
        "--agent", "oracle", "--benchmark", f"vsp:{tmp_path}", "--pictures", "original",
        "--out", tmp_path / "run",
    )  # fmt: skip
    assert "level3/table/7.txt has no picture" in said(capsys, *arguments)
    Image.fromarray(render(draw_distinct(LayoutSpec("maze", 3), 1, 0)[0], 64)).save(
        tmp_path / "level3/img/7.png"
    )
    command(*arguments)
    [record] = read_json_lines(tmp_path / "run/replies.jsonl")
    assert "The elf is the player" in record["prompt"] and "flag" not in record["prompt"]
    assert "shows only the start" in said(
        capsys, *arguments[:-1], tmp_path / "other", "--act", "step"
    )


def test_perception_runs_on_public_sets_too(tmp_path):
    rows(tmp_path, LAKE_ROW, ROOM_ROW)
    command(
        "--agent", "oracle", "--benchmark", f"visualplanning:{tmp_path}", "--out", tmp_path / "run",
        module=perception, config_class=perception.PerceptionConfig,
    )  # fmt: skip
    assert results(tmp_path / "run")["macro"]["exact"]["value"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vsp", "visualplanning"])
def test_the_oracle_solves_every_public_board_and_blind_some(tmp_path, name):
    root = os.environ.get("VSP_BENCHMARKS")
    if not root:
        pytest.skip("VSP_BENCHMARKS names no folder with the public test sets")
    folder = {"vsp": "vsp_frozenlake"}.get(name, name)
    for agent in ("oracle", "blind"):
        command(
            "--agent", agent, "--benchmark", f"{name}:{Path(root, folder)}",
            "--rules", "visualplanning", "--out", tmp_path / agent,
        )  # fmt: skip
    assert results(tmp_path / "oracle")["macro"]["success"]["value"] == 1
    assert 0 < results(tmp_path / "blind")["macro"]["success"]["value"] < 1


@pytest.mark.parametrize("task", TASKS)
def test_episodes_of_many_threads_are_those_of_one(task):
    class Threaded(Blind):
        concurrency = 8

        def submit(self, request):
            return pool.submit(lambda: self.reply([request])[0])

    layouts = draw_distinct(LayoutSpec(task, 5), 40, seed=0)
    cases = [Case(layout) for layout in layouts]
    with ThreadPoolExecutor(8) as pool:
        assert list(play(Threaded(), cases)) == list(play(Blind(), cases))


def test_what_is_shown_while_a_run_goes_on_counts_what_came():
    cases = sample_cases(LAKE, "test", 4, "image", "plan", 0)
    texts = iter(["<answer>L</answer>", "no idea", "x"])

    class Mixed(Oracle):
        def answer(self, layout):
            return next(texts, None) or super().answer(layout)

    records = [episode.record() for episode in play(Mixed(), cases)]
    records[2]["error"] = "timeout"
    shown = {}
    for goal in ("plan", "perceive"):
        tally = Tally(goal)
        for record in records:
            tally.add(record)
        table = tally.table()
        cells = [next(iter(column.cells)) for column in table.columns]
        shown[goal] = dict(zip([column.header for column in table.columns], cells, strict=True))
    assert shown["plan"]["n"] == "4" and shown["plan"]["unreadable"] == "1"
    assert shown["plan"]["no reply"] == shown["perceive"]["no reply"] == "1"
    assert shown["perceive"]["exact"].startswith("25.0 (")


def test_what_is_shown_can_be_drawn_while_an_episode_is_being_counted():
    tally = Tally("plan")

    class Judged(dict):
        def __getitem__(self, name):
            tally.table()  # as the thread that draws may do at any moment
            return super().__getitem__(name)

    [episode] = play(Oracle(), sample_cases(LAKE, "test", 1, "image", "plan", 0))
    tally.add(Judged(episode.record()))
    assert [next(iter(column.cells)) for column in tally.table().columns][-1] == "1"


class Struck(Oracle):
    """Ctrl-C comes while it answers its second batch."""

    name, batch_size, batches = "struck", 2, 0

    def reply(self, requests):
        self.batches += 1
        if self.batches == 2:
            signal.raise_signal(signal.SIGINT)
        return super().reply(requests)


def test_ctrl_c_says_what_is_kept_and_the_run_goes_on_there(tmp_path):
    agent = Struck()
    with pytest.raises(KeyboardInterrupt, match=r"2 of 6 replies kept in .*run the same"):
        planning.evaluate(agent, tasks=["frozenlake:3"], episodes=6, out=tmp_path)
    assert len((tmp_path / "replies.jsonl").read_text().splitlines()) == 2
    results = planning.evaluate(agent, tasks=["frozenlake:3"], episodes=6, out=tmp_path)
    assert results["macro"]["success"]["n"] == 6 and agent.batches == 4
