"""Tiles cut out of a set's own pictures, and themes per task."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from vsp_envs import Layout, LayoutSpec, draw_distinct, render
from vsp_envs.prompts.prompt import View
from vsp_envs.public_sets import read_boards
from vsp_envs.rendering.renderer import check_theme, theme_of
from vsp_envs.tasks.frozenlake.sprites import TILES
from vsp_envs.tiles import main, redraw_error

LETTERS = {"S": "@", "G": "*", "H": "#", "F": "_"}


COLOURS = {"ice": "azure", "hole": "navy", "goal": "gold", "player": "red", "start": (0, 0, 0, 0)}


def paint_tiles(folder: Path) -> str:
    """A theme of somebody's own: squares in the middle of tiles of ice."""
    folder.mkdir(parents=True)
    for name, colour in COLOURS.items():
        tile = Image.new("RGBA", (64, 64), "azure" if name == "ice" else (0, 0, 0, 0))
        tile.paste(Image.new("RGBA", (32, 32), colour), (16, 16))
        tile.save(folder / f"{name}.png")
    return f"tiles:{folder}"


def write_set(folder: Path, layouts: list[Layout]) -> Path:
    """A set as VSP's, drawn by a theme of its own."""
    theme = paint_tiles(folder.with_name("painted"))
    for number, layout in enumerate(layouts):
        place = folder / f"level{layout.level}"
        (place / "img").mkdir(parents=True, exist_ok=True)
        (place / "table").mkdir(exist_ok=True)
        rows = [[LETTERS[letter] for letter in row] for row in layout.to_data()["map"]]
        head = "|  | " + " | ".join(f"Col {n + 1}" for n in range(layout.level)) + " |"
        lines = [f"| Row {n + 1} | {' | '.join(row)} |" for n, row in enumerate(rows)]
        (place / "table" / f"{number}.txt").write_text("\n".join([head, *lines]))
        picture = Image.fromarray(render(layout, 64 * layout.level, theme))
        picture.save(place / "img" / f"{number}.png")
    return folder


@pytest.fixture
def lakes(tmp_path: Path) -> Path:
    layouts = [
        each
        for level in (3, 5)
        for each in draw_distinct(LayoutSpec("frozenlake", level, frozen_prob=0.7), 6, seed=1)
    ]
    return write_set(tmp_path / "set", layouts)


def test_the_five_tiles_redraw_the_pictures_that_they_were_cut_from(
    lakes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "tiles"
    assert main([f"vsp:{lakes}", "--out", str(out)]) == 0
    assert {path.stem for path in out.iterdir()} == set(TILES)
    said = capsys.readouterr().out
    assert "five tiles of 64 px from 12 pictures" in said and "0.00 grey levels" in said
    assert f"--theme frozenlake=tiles:{out}" in said
    boards = read_boards(lakes, "vsp")
    assert redraw_error(boards, f"tiles:{out}") == 0
    assert redraw_error(boards, "classic") > 20


def test_a_player_on_the_goal_hides_neither(lakes: Path, tmp_path: Path) -> None:
    main([f"vsp:{lakes}", "--out", str(tmp_path / "tiles")])
    [lake] = draw_distinct(LayoutSpec("frozenlake", 3), 1, seed=4)
    states = [render(lake, 192, f"tiles:{tmp_path / 'tiles'}", state) for state in range(9)]
    assert len({picture.tobytes() for picture in states}) == 9


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: path.unlink(), "0 of 4 kinds"),
        (lambda path: path.write_bytes(b"no picture"), "is no picture to show"),
        (lambda path: Image.new("RGB", (100, 64)).save(path), "cells of whole pixels"),
        (lambda path: Image.new("RGB", (3, 3)).save(path), "image_size 3 is out of range"),
    ],
)
def test_pictures_that_cannot_be_cut_are_named_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change, said: str
) -> None:
    [lake] = draw_distinct(LayoutSpec("frozenlake", 3), 1, seed=0)
    folder = write_set(tmp_path / "set", [lake])
    change(folder / "level3" / "img" / "0.png")
    assert main([f"vsp:{folder}", "--out", str(tmp_path / "tiles")]) == 2
    error = capsys.readouterr().err
    assert said in error and error.startswith("error: ") and error.count("\n") == 1


@pytest.mark.slow
@pytest.mark.skipif("VSP_BENCHMARKS" not in os.environ, reason="VSP_BENCHMARKS names no folder")
def test_the_tiles_of_vsp_redraw_all_of_its_pictures_within_two_grey_levels(tmp_path: Path) -> None:
    root = Path(os.environ["VSP_BENCHMARKS"]) / "vsp_frozenlake"
    assert main([f"vsp:{root}", "--out", str(tmp_path)]) == 0
    boards = [board for board in read_boards(root, "vsp") if board.picture]
    assert len(boards) >= 300
    assert redraw_error(boards, f"tiles:{tmp_path}") < 2


# Themes per task


def test_a_theme_can_be_named_for_each_task() -> None:
    themes = "frozenlake=gymnasium maze=thin"
    assert [theme_of(themes, task) for task in ("frozenlake", "maze", "minibehaviour")] == [
        "gymnasium", "thin", "classic",
    ]  # fmt: skip
    assert View(theme=themes).theme_of("maze") == "thin"
    assert theme_of("frozenlake=tiles:/my tiles/a maze=thin", "frozenlake") == "tiles:/my tiles/a"


@pytest.mark.parametrize(
    ("base", "theme", "seen"),
    [
        ("classic", "maze=thin", "maze=thin"),
        ("gymnasium", "maze=thin", "maze=thin frozenlake=gymnasium"),
        ("gymnasium", "frozenlake=classic", "frozenlake=classic"),  # no other task has it
        ("frozenlake=tiles:/a b maze=thin", "maze=classic", "maze=classic frozenlake=tiles:/a b"),
        ("tiles:/a", "minibehaviour=minigrid", "minibehaviour=minigrid frozenlake=tiles:/a"),
        ("frozenlake=gymnasium", "classic", "classic"),
        ("frozenlake=gymnasium", "", "frozenlake=gymnasium"),
        ("frozenlake=gymnasium", "random", "random"),
    ],
)
def test_a_task_without_a_name_keeps_the_theme_that_it_had(
    base: str, theme: str, seen: str
) -> None:
    assert View(theme=base).with_theme(theme).theme == seen
    assert View(theme=base).with_theme(theme).with_theme(theme).theme == seen


@pytest.mark.parametrize("theme", ["", "grey", "random", "tiles:/some where/a=b"])
def test_a_plain_name_is_every_tasks(theme: str) -> None:
    assert {theme_of(theme, task) for task in ("frozenlake", "maze")} == {theme}


def test_a_theme_for_no_task_or_of_another_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown task 'mase'"):
        theme_of("mase=thin", "maze")
    with pytest.raises(ValueError, match="unknown frozenlake theme 'thin'"):
        check_theme("frozenlake", theme_of("frozenlake=thin", "frozenlake"))
    with pytest.raises(ValueError, match="names themes of maze twice"):
        theme_of("maze=thin frozenlake=classic maze=classic", "frozenlake")
