"""Several public sets in one run, protocols by name, and published numbers beside their equals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agents.rollout import prompt_of
from agents.scripted import Oracle
from evaluation import planning
from evaluation.options import EvalConfig, given_cases, make_agent
from evaluation.planning import PlanningConfig
from evaluation.protocols import PROTOCOLS, measured_by, protocol_defaults
from evaluation.rates import pooled_rates
from evaluation.report.published import PUBLISHED, beside
from evaluation.run_folder import Run, read_run
from tests.public_rows import LAKE_ROW, ROOM_ROW, TABLE, rows
from vsp_envs import TASKS


@pytest.fixture
def sets(tmp_path: Path) -> tuple[str, str]:
    """One board of VSP with its picture, and a lake and a room of VisualPlanning."""
    level = tmp_path / "vsp" / "level3"
    (level / "table").mkdir(parents=True)
    (level / "img").mkdir()
    (level / "table" / "0.txt").write_text(TABLE)
    Image.fromarray(np.full((192, 192, 3), 7, np.uint8)).save(level / "img" / "0.png")
    (tmp_path / "vp").mkdir()
    rows(tmp_path / "vp", LAKE_ROW, ROOM_ROW)
    return f"vsp:{tmp_path / 'vsp'}", f"visualplanning:{tmp_path / 'vp'}"


def cases(benchmark: tuple[str, ...], **settings: object) -> list[str]:
    config = EvalConfig(out=Path(), agent="oracle", benchmark=benchmark, **settings)  # type: ignore[arg-type]
    given = given_cases(config, Oracle(), "plan")
    assert given
    return [case.name for case in given.cases]


def test_each_task_comes_from_the_set_that_is_named_for_it(sets: tuple[str, str]) -> None:
    names = cases(sets, tasks=("frozenlake@vsp", "minibehaviour@visualplanning"))
    assert names == ["vsp:level3/table/0.txt", "visualplanning:test_dataset.jsonl:2"]
    names = cases(sets, tasks=("frozenlake:3@visualplanning", "minibehaviour:5"))
    assert names == ["visualplanning:test_dataset.jsonl:1", "visualplanning:test_dataset.jsonl:2"]
    assert len(cases(sets[1:])) == 2


@pytest.mark.parametrize(
    ("count", "tasks", "said"),
    [
        (2, ("frozenlake", "minibehaviour"), "in vsp and in visualplanning; a run takes a task"),
        (2, ("frozenlake@vps",), "unknown public set 'vps'; public sets are vsp, visualplanning"),
        (2, ("frozenlake@vsp", "frozenlake:3@visualplanning"), "frozenlake:3 twice"),
        (2, ("minibehaviour@vsp",), "has no board of minibehaviour:5@vsp"),
        (2, ("frozenlake:3-4@vsp",), "has no board of frozenlake:4@vsp"),
        (1, ("maze",), "has no board of maze:3"),
        (1, ("frozenlake", "maze"), "has no board of maze:3"),
        (1, ("frozenlake:3", "frozenlake:5"), "has no board of frozenlake:5"),
        (0, ("frozenlake@vsp",), "--benchmark vsp:ROOT"),
        (1, ("maze@visualplanning",), "not given: --benchmark vsp:.* visualplanning:ROOT"),
    ],
)
def test_a_set_that_cannot_give_a_task_is_named(
    sets: tuple[str, str], count: int, tasks: tuple[str, ...], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        cases(sets[:count], tasks=tasks)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"pictures": "original"}, "--pictures original is about a public set"),
        ({"pictures": "available"}, "--benchmark vsp:ROOT"),
        ({"picture_size": -3}, "--picture-size is a whole number of at least 0, got -3"),
    ],
)
def test_pictures_that_cannot_be_shown_are_refused_before_the_run(
    settings: dict[str, object], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        given_cases(PlanningConfig(out=Path(), **settings), Oracle(), "plan")  # type: ignore[arg-type]


def test_the_order_of_tasks_does_not_choose_boards(sets: tuple[str, str]) -> None:
    assert sorted(cases(sets[1:], tasks=tuple(reversed(EvalConfig.tasks)))) == cases(sets[1:])


@pytest.mark.parametrize("name", ["vsp", "vsp:"])
def test_a_set_without_a_folder_is_not_looked_for_where_the_command_runs(name: str) -> None:
    with pytest.raises(ValueError, match=f"--benchmark {name} names no folder: vsp:ROOT"):
        cases((name,))


def test_a_set_is_named_once(sets: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="names vsp twice"):
        cases((sets[0], sets[0]))


def test_the_pooled_macro_weighs_boards_and_the_other_levels() -> None:
    def record(task: str, level: int, board: int) -> dict[str, object]:
        return {"task": task, "level": level, "layout_id": str(board), "case": "", "error": ""}

    # FrozenLake: 1 of 1 at level 3, 0 of 3 at level 4; Maze: 1 of 1.
    records = [record("frozenlake", 3, 0), *(record("frozenlake", 4, i) for i in range(3))]
    records.append(record("maze", 3, 0))
    marks = [{"success": right} for right in (True, False, False, False, True)]
    pooled = pooled_rates(records, marks)
    assert pooled["tasks"]["frozenlake"]["success"]["value"] == 1 / 4
    assert pooled["all_tasks_macro_avg"]["success"]["value"] == (1 / 4 + 1) / 2


# Protocols


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    try:
        planning.command([*arguments, "--quiet"])
    except SystemExit as exit:
        assert exit.code == code
    else:
        assert code == 0
    said = capsys.readouterr()
    return said.out + said.err


MGSD_TASKS = ("--tasks", "frozenlake@vsp", "minibehaviour@visualplanning")


def test_a_protocol_sets_all_that_its_numbers_depend_on(
    sets: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    asked = ("--protocol", "mgsd", "--benchmark", *sets, "--agent", "oracle", "--out", str(out))
    said = run(capsys, *asked, *MGSD_TASKS)
    assert "pooled macro mean" in said
    settings = json.loads((out / "config.json").read_text())["settings"]
    assert (settings["protocol"], settings["rules"], settings["reader"]) == (
        "mgsd", "mgsd-eval", "mgsd",
    )  # fmt: skip
    assert settings["view"]["image_size"] == 256
    assert "(available, 256 px)" in settings["boards"]
    results = json.loads((out / "results.json").read_text())
    assert results["pooled"]["all_tasks_macro_avg"]["success"]["value"] == 1
    # Two of three tasks: no number of the protocol.
    assert measured_by(settings, results) == ""


def test_the_protocol_shows_original_pictures_at_256_pixels_and_draws_the_others(
    sets: tuple[str, str],
) -> None:
    settings = protocol_defaults("mgsd") | {"tasks": MGSD_TASKS[1:]}
    config = PlanningConfig(out=Path(), agent="oracle", benchmark=sets, **settings)
    given = given_cases(config, Oracle(), "plan")
    assert given
    lake, room = (prompt_of(case, Oracle().view).images[0] for case in given.cases)
    assert lake.shape == room.shape == (256, 256, 3)
    assert (lake == 7).all()
    assert len(np.unique(room)) > 2


@pytest.mark.parametrize(("protocol", "sides"), [("mgsd", (96, 160)), ("", (256, 256))])
def test_a_checkpoint_with_pixels_per_cell_keeps_them_under_a_protocol(
    sets: tuple[str, str], tiny_folder: Path, protocol: str, sides: tuple[int, int]
) -> None:
    settings = protocol_defaults("mgsd") | {"tasks": MGSD_TASKS[1:], "protocol": protocol}
    model = {"agent": "hf", "model": str(tiny_folder)}
    config = PlanningConfig(out=Path(), benchmark=sets, **settings, **model)
    agent = make_agent(config, own_scale=bool(protocol))
    given = given_cases(config, agent, "plan")
    assert given
    shown = [prompt_of(case, agent.view).images[0] for case in given.cases]
    assert tuple(len(picture) for picture in shown) == sides
    assert (shown[0] == 7).all()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--rules", "env"), "--protocol mgsd means --rules mgsd-eval (not env)"),
        (("--reader", "tolerant"), "--reader mgsd (not tolerant)"),
        (("--temperature", "1"), "--temperature 0.0 (not 1.0)"),
        (("--max-new-tokens", "256"), "--max-new-tokens 4096 (not 256)"),
        (("--pictures", "rendered"), "--pictures available (not rendered)"),
        (("--input", "text"), "--input image (not text)"),
        (("--act", "step"), "--act plan, one reply"),
        (("--agent", "human", "--model", "x"), "the boards of its sets (a recording holds its own"),
        (("--levels", "3"), "no --levels"),
        (("--tasks", "frozenlake@visualplanning"), "--tasks frozenlake@vsp maze@visualplanning"),
        (("--rules", "env", "--input", "text"), "--input image (not text); --rules mgsd-eval"),
    ],
)
def test_what_contradicts_the_protocol_is_refused(
    sets: tuple[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    said: str,
) -> None:
    asked = ("--protocol", "mgsd", "--agent", "oracle", "--out", str(tmp_path / "run"))
    assert said in run(capsys, *asked, "--benchmark", *sets, *arguments, code=2)
    assert not (tmp_path / "run").exists()


def test_a_protocol_without_its_sets_and_an_unknown_one_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("--agent", "oracle", "--out", str(tmp_path / "run"))
    said = run(capsys, *asked, "--protocol", "mgsd", code=2)
    assert "--benchmark vsp:ROOT visualplanning:ROOT" in said
    assert "Did you mean 'mgsd'?" in run(capsys, *asked, "--protocol", "mgds", code=2)


# Published numbers


def finished(tmp_path: Path, protocol: str, name: str = "ours") -> Run:
    """A run that claims the protocol, with a board of each of its levels."""
    sources = PROTOCOLS[protocol].sources
    levels = {
        task: {str(each): {} for each in TASKS[task].paper_levels if protocol == "mgsd" or each < 7}
        for task in sources
    }
    rate = {"success": {"value": 0.5, "n": 4, "low": 0.3, "high": 0.7}}
    results = {
        "goal": "plan",
        "tasks": {task: {"levels": levels[task]} for task in sources},
        "pooled": {"tasks": dict.fromkeys(sources, rate), "all_tasks_macro_avg": rate},
        "macro": rate,
    }
    return Run(name, {"settings": {"protocol": protocol}}, results, [])


def test_published_numbers_stand_beside_runs_of_their_protocol_alone(tmp_path: Path) -> None:
    ours, theirs = finished(tmp_path, "mgsd", "one"), finished(tmp_path, "visualplanning", "two")
    planning.evaluate(Oracle(), [("maze", 3)], episodes=1, out=tmp_path / "other")  # type: ignore[list-item]
    other = read_run(tmp_path / "other")
    for paper in PUBLISHED:
        names = [row.model.split()[0] for row in beside(paper, [ours, theirs, other]).ours]
        assert names == {"mgsd": ["one"], "visualplanning": ["two"], "vsp": []}[paper.protocol]
    three = beside(PUBLISHED[1], [theirs]).ours[0].value
    assert three.count("50.0") == 3


def test_every_published_set_names_a_protocol_and_how_to_measure_so() -> None:
    for paper in PUBLISHED:
        assert paper.protocol in PROTOCOLS
        assert f"--protocol {paper.protocol} --benchmark" in beside(paper, []).command
