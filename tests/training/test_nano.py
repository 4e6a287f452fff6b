"""The small model for all tasks: its shape, its stream, its plan in pieces, and what it exports."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from short_recipe import short_recipe

from agents.backends.hf import HFAgent
from agents.scripted import SCRIPTED
from training.data.layout_stream import excluded, live_boards
from training.loop.deadline import TimeIsUp
from training.model.tiny import NANO_VIEW, SIZES, build_tiny
from training.recipes import nano, nano_training
from training.recipes.nano_playing import cases
from training.recipes.nano_report import ExportConfig, export, level_rates
from training.recipes.nano_settings import RECIPES
from training.recipes.nano_training import settings
from training.sft import SFTConfig, train_sft
from vsp_envs import Layout
from vsp_envs.core.layout import canonical_id
from vsp_envs.scoring.describe import symbolic_state
from vsp_envs.utils.cli import main


@pytest.mark.parametrize("size", [name for name in SIZES if name.startswith("nano")])
def test_the_model_fits_into_the_repository_and_reads_pictures_of_any_size(size: str) -> None:
    model, processor, view = build_tiny(size)
    assert sum(each.numel() for each in model.parameters()) <= 10_000_000
    assert view == NANO_VIEW
    for side in (192, 256, 320, 512):
        inputs = processor.encode(["<|image_pad|>"], [np.zeros((side, side, 3), np.uint8)])
        assert inputs["input_ids"].shape == (1, 64)
        assert inputs["image_grid_thw"].tolist() == [[1, 16, 16]]


def in_a_mirror(layout: Layout) -> str:
    """A FrozenLake, left and right exchanged, as VSP writes it."""
    letters = np.array(list("?_#*@"))[symbolic_state(layout)["grid"][:, ::-1]]
    return "| |\n" + "".join(f"| Row | {' | '.join(row)} |\n" for row in letters)


def test_no_public_board_nor_its_mirror_image_is_in_the_stream_of_any_stage(tmp_path: Path) -> None:
    folder = tmp_path / "level3" / "table"
    folder.mkdir(parents=True)
    stages = {
        name: replace(stage.config, tasks=("frozenlake:3",), steps=1, batch_size=200)
        for name, stage in RECIPES["full"].stages.items()
    }
    free = [board.layout for board in live_boards(stages["base"], NANO_VIEW)]
    for number, layout in enumerate(free[:40]):
        (folder / f"{number}.txt").write_text(in_a_mirror(layout))
    public = excluded([f"vsp:{tmp_path}"])
    assert public and public <= {canonical_id(layout) for layout in free}
    for config in stages.values():
        asked = replace(config, exclude=(f"vsp:{tmp_path}",))
        drawn = {canonical_id(board.layout) for board in live_boards(asked, NANO_VIEW)}
        assert len(drawn) > 40 and not drawn & public


def test_stages_that_see_pictures_draw_with_vsps_tiles_where_vsp_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(boards: str, folder: Path) -> None:
        assert boards == "vsp:x", "cut once for all stages"
        folder.mkdir()

    monkeypatch.setattr(nano_training, "pictured_boards", lambda source: source)
    monkeypatch.setattr(nano_training, "write_tiles", cut)
    for benchmarks in ((), ("vsp:x",)):
        out = tmp_path / f"of {len(benchmarks)}"
        config = nano.NanoConfig(out=out, recipe="levels", benchmarks=benchmarks)
        plan = nano.Plan(config)
        for name in RECIPES["levels"].stages:
            plan.model(name).mkdir(parents=True)
        themes = {name: settings(plan, name).theme for name in RECIPES["levels"].stages}
        assert themes.pop("first") == themes.pop("base") == ""
        tiles = f"frozenlake=classic,tiles:{plan.carry / 'tiles'}" if benchmarks else ""
        assert set(themes.values()) == {tiles}


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_line_plays_a_model_of_its_recipe_or_a_scripted_agent(recipe: str) -> None:
    stages = RECIPES[recipe].stages
    for line in RECIPES[recipe].lines:
        assert line.model in stages if line.model else line.name in SCRIPTED
    assert all({stage.model, stage.teacher} <= {"", *stages} for stage in stages.values())


def test_a_public_set_is_played_at_the_levels_that_it_has_of_those_that_are_trained(
    tmp_path: Path,
) -> None:
    for side in (2, 3, 5):
        (tmp_path / f"level{side}" / "table").mkdir(parents=True)
        rows = [["_"] * side for _ in range(side)]
        rows[0][0], rows[-1][-1] = "@", "*"
        table = "".join(f"| Row | {' | '.join(row)} |\n" for row in rows)
        (tmp_path / f"level{side}" / "table" / "0.txt").write_text(f"| |\n{table}")
    plan = nano.Plan(nano.NanoConfig(out=tmp_path / "run", recipe="levels"))
    for line in plan.recipe.lines:
        shown = cases(plan, f"vsp:{tmp_path}", line._replace(pictures="rendered"))
        assert sorted(case.layout.level for case in shown) == [3, 5]


def test_processes_with_other_stages_share_a_run(tmp_path: Path) -> None:
    config = nano.NanoConfig(out=tmp_path, recipe="levels")
    base, rest = nano.Plan(replace(config, stages=("base",))), nano.Plan(config)
    todo = [step.name for step in base.todo()]
    assert todo == ["base", "symbolic-input bound · test"]
    names = [step.name for step in rest.todo()]
    assert set(todo) < set(names) and "blind · test" in names
    for plan in (base, rest):
        step = plan.todo()[-1]
        plan.finish(step, {"by": step.name})
    found = nano.Plan(config)
    assert found.done == {name: {"by": name} for name in (todo[-1], names[-1])}
    assert [step.name for step in found.left()] == [n for n in names if n not in found.done]
    with pytest.raises(ValueError, match="the stage sft needs the model of base"):
        nano.run(replace(config, out=tmp_path / "other", stages=("sft",)))
    with pytest.raises(ValueError, match="unknown stage 'opdc'"):
        nano.Plan(replace(config, stages=("opdc",)))


def test_the_page_shows_each_level_of_a_task_that_has_several() -> None:
    def rate(value: float) -> dict[str, float]:
        return {"value": value, "n": 8, "low": 0.0, "high": 1.0}

    def found(measure: str) -> dict[str, Any]:
        levels = {level: {measure: rate(int(level) / 10)} for level in ("5", "6")}
        task = {measure: rate(0.5), "levels": levels}
        tasks = {"minibehaviour": task, "maze": {**task, "levels": {"5": levels["5"]}}}
        goal = {"success": "plan", "exact": "perceive"}[measure]
        return {"goal": goal, "tasks": tasks, "macro": {measure: rate(0.5)}}

    done = {
        f"{name} · test": {"results": found(measure)}
        for name, measure in {"OPCD": "success", "SFT": "exact"}.items()
    }
    [table] = level_rates(done, "test")
    assert table.columns == ["minibehaviour 5", "minibehaviour 6"]
    shown = {row.name: [cell["value"] for cell in row.cells] for row in table.rows}
    assert shown == {"OPCD": [0.5, 0.6], "SFT": [0.5, 0.6]}


@pytest.mark.slow
def test_none_of_the_public_sets_is_in_the_stream_of_any_stage() -> None:
    root = os.environ.get("VSP_BENCHMARKS")
    if not root:
        pytest.skip("VSP_BENCHMARKS names no folder with the public test sets")
    sets = (f"vsp:{root}/vsp_frozenlake", f"visualplanning:{root}/visualplanning")
    public = excluded(sets)
    config = RECIPES["full"].stages["base"].config
    drawn: dict[bool, set[str]] = {}
    for exclude in (False, True):
        asked = replace(config, steps=1, batch_size=1200, exclude=sets if exclude else ())
        boards = live_boards(asked, NANO_VIEW)
        drawn[exclude] = {canonical_id(board.layout) for board in boards}
    assert drawn[False] & public, "without the list the stream does show them"
    assert not drawn[True] & public


@pytest.mark.slow
def test_a_run_in_pieces_ends_as_one_in_one_piece(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = SFTConfig(
        out=tmp_path / "whole", model=str(tiny_folder), tasks=("frozenlake:3", "maze:3"), steps=3,
        batch_size=4, eval_every=0, mix_kinds=True,
    )  # fmt: skip
    whole = load_file(train_sft(config) / "model.safetensors")
    pieces = replace(config, out=tmp_path / "pieces", minutes=1e-9)
    for step in (1, 2):
        with pytest.raises(TimeIsUp, match=f"time is up at step {step} of 3"):
            train_sft(pieces)
    found = load_file(train_sft(pieces) / "model.safetensors")
    assert all(torch.equal(weight, found[name]) for name, weight in whole.items())
    again = replace(config, out=tmp_path / "status", minutes=1e-9)
    with pytest.raises(SystemExit) as end:
        main(train_sft, SFTConfig, [], default=again)
    assert end.value.code == 3 and "error" not in capsys.readouterr().err


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, "rehearsal", short_recipe())


@pytest.mark.slow
@pytest.mark.usefixtures("short")
def test_the_plan_goes_on_from_what_was_carried_and_exports_a_model(tmp_path: Path) -> None:
    config = nano.NanoConfig(out=tmp_path / "nano", size="nano-1m", recipe="rehearsal")
    with pytest.raises(TimeIsUp):
        nano.run(replace(config, minutes=1e-9))
    plan = nano.Plan(config)
    assert not plan.done
    nano.run(config)
    names = [step.name for step in plan.steps()]
    assert list(nano.Plan(config).done) == names and len(names) == 11
    assert [file.name for file in (config.out / "carry" / "models").iterdir()] == []
    carried = sum(file.stat().st_size for file in (config.out / "carry").rglob("*.safetensors"))
    assert carried == 0
    page = (config.out / "nano.md").read_text()
    assert "| OPCD + reward |" in page and "| blind |" in page
    out = export(ExportConfig(config.out, tmp_path / "vsp-nano"))
    agent = HFAgent.load(str(out))
    assert agent.view == NANO_VIEW and agent.model.dtype == torch.bfloat16
    assert "hardly trained" in (out / "README.md").read_text()
    teacher = export(ExportConfig(config.out, tmp_path / "teacher", stage="base"))
    for folder, given in ((out, "plans on pictures of"), (teacher, "plans on boards as text of")):
        card = (folder / "README.md").read_text()
        assert given in card and f"--model models/{folder.name} " in card
    with pytest.raises(ValueError, match="seed '0', now '1'"):
        nano.Plan(replace(config, seed=1))
