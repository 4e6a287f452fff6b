"""Pictures: any size, always the same, and never two states that look alike."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest
from drawn import lake, maze, room
from PIL import Image

from vsp_envs import (
    TASKS,
    Layout,
    LayoutSpec,
    Outcome,
    PlanningEnv,
    draw_distinct,
    load_layout,
    render,  # fmt: skip
    shortest_plan,
)  # fmt: skip
from vsp_envs.core.solver import solve_layout
from vsp_envs.rendering.renderer import BoardRenderer

THEMES = [(task.name, theme) for task in TASKS.values() for theme in task.themes]
every_task = pytest.mark.parametrize("task", TASKS)
every_theme = pytest.mark.parametrize(("task", "theme"), THEMES)


def layouts(task: str, level: int, count: int) -> list[Layout]:
    return draw_distinct(LayoutSpec(task, level), count, seed=0)


def small(task: str) -> int:
    return TASKS[task].paper_levels[0]


def states(layout: Layout) -> list[int]:
    """Every state that play can reach, final ones included."""
    machine = solve_layout(layout)
    found, final = [machine.start], []
    for state in found:
        for action, outcome in enumerate(machine.outcome[state]):
            after = machine.next_state[state][action]
            if outcome == Outcome.RUNNING and after not in found:
                found.append(after)
            if outcome in (Outcome.SUCCESS, Outcome.FAILURE) and after not in final:
                final.append(after)
    return found + final


@every_theme
@pytest.mark.parametrize("image_size", [64, 65, 100, 256, 257, 512, 1023, 1024])
def test_a_picture_has_the_size_asked_for(task: str, theme: str, image_size: int) -> None:
    image = render(layouts(task, 5, 1)[0], image_size, theme)
    assert (image.shape, image.dtype) == ((image_size, image_size, 3), np.uint8)
    assert image.flags.writeable and image.flags.c_contiguous
    assert len(np.unique(image @ np.array([1, 256, 65536]))) >= 3  # colours


@every_task
def test_without_a_size_a_picture_has_256_pixels_and_the_classic_theme(task: str) -> None:
    layout = layouts(task, small(task), 1)[0]
    assert np.array_equal(render(layout), render(layout, 256, "classic", layout.cells[0]))


@every_task
@pytest.mark.parametrize("image_size", [0, -1, 63, 1025, 4096])
def test_a_size_beyond_the_range_gives_one_line_with_the_range(task: str, image_size: int) -> None:
    with pytest.raises(ValueError) as caught:
        render(layouts(task, 5, 1)[0], image_size)
    message = str(caught.value)
    assert f"image_size {image_size} is out of range" in message
    assert "64 to 1024" in message and "\n" not in message


@every_task
def test_an_unknown_theme_gives_one_line_with_the_themes(task: str) -> None:
    with pytest.raises(ValueError, match=rf"unknown {task} theme 'clasic'; .* are .*classic"):
        render(layouts(task, 5, 1)[0], theme="clasic")


@every_theme
def test_every_picture_is_memory_of_its_own(task: str, theme: str) -> None:
    layout = layouts(task, 5, 1)[0]
    first, second = render(layout, 100, theme), render(layout, 100, theme)
    assert not np.shares_memory(first, second)
    kept = second.copy()
    first[...] = 7
    assert np.array_equal(second, kept)
    assert np.array_equal(render(layout, 100, theme), kept)


@every_theme
def test_equal_boards_have_equal_pictures_however_they_were_made(task: str, theme: str) -> None:
    layout = layouts(task, 5, 1)[0]
    for again in (load_layout(task, layout.to_data()), pickle.loads(pickle.dumps(layout))):
        assert np.array_equal(render(layout, 128, theme), render(again, 128, theme))


def test_another_process_draws_the_same_pixels() -> None:
    code = (
        "import hashlib\n"
        "from vsp_envs import TASKS, LayoutSpec, draw_distinct, render\n"
        "for task in TASKS:\n"
        "    image = render(draw_distinct(LayoutSpec(task, 5), 1, seed=0)[0], 256)\n"
        "    print(hashlib.sha256(image.tobytes()).hexdigest())\n"
    )
    there = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    here = io.StringIO()
    with redirect_stdout(here):
        exec(code, {})
    assert there.stdout == here.getvalue()
    assert len(set(there.stdout.split())) == len(TASKS)


# Two distinct states never look the same.


@every_theme
@pytest.mark.slow
@pytest.mark.parametrize("image_size", [64, 256])
def test_no_two_states_of_a_board_look_alike(task: str, theme: str, image_size: int) -> None:
    drawn = [board for level in (small(task), small(task) + 1) for board in layouts(task, level, 4)]
    for layout in drawn:
        reached = states(layout)
        assert len(reached) == len(set(reached)) > 2
        pictures = {render(layout, image_size, theme, state).tobytes() for state in reached}
        assert len(pictures) == len(reached)


@every_theme
def test_in_every_board_of_the_smallest_level_no_two_states_look_alike(
    task: str, theme: str
) -> None:
    boards = TASKS[task].every(TASKS[task].min_level)
    drawn = [boards.layout(row) for row in range(len(boards))]
    solvable = [layout for layout in drawn if shortest_plan(layout)]
    assert len(solvable) == {"frozenlake": 44, "maze": 48, "minibehaviour": 12}[task]
    first = set()
    for layout in solvable:
        reached = states(layout)
        pictures = {render(layout, 64, theme, state).tobytes() for state in reached}
        assert len(pictures) == len(reached)
        first.add(render(layout, 64, theme).tobytes())
    assert len(first) == len(solvable)


@every_theme
@pytest.mark.parametrize("image_size", [64, 256])
def test_no_two_boards_look_alike(task: str, theme: str, image_size: int) -> None:
    drawn = layouts(task, small(task), 150)
    assert len({render(layout, image_size, theme).tobytes() for layout in drawn}) == len(drawn)


@pytest.mark.parametrize("level", [8, 12, 16])
@every_theme
def test_large_boards_can_be_told_apart_in_pictures_of_256_pixels(
    task: str, theme: str, level: int
) -> None:
    layout = layouts(task, level, 1)[0]
    reached = states(layout)
    pictures = {render(layout, 256, theme, state).tobytes() for state in reached[:: level // 4]}
    assert len(pictures) == len(reached[:: level // 4])


def differing(one: np.ndarray, other: np.ndarray, level: int) -> set[tuple[int, int]]:
    """The cells in which two pictures differ."""
    pixels = np.argwhere((one != other).any(axis=2)) * level // len(one)
    return {(int(row), int(col)) for row, col in pixels}


def test_the_goal_stays_visible_when_it_is_reached() -> None:
    lakes = lake("SG FF"), lake("SF FG")
    reached, elsewhere = (render(board, 256, state=1) for board in lakes)
    assert (0, 1) in differing(reached, elsewhere, 2)
    one = maze("""
        +-+-+
        |S G|
        + +-+
        |   |
        +-+-+
    """)
    blue = (render(one, 256, state=1) == (0, 0, 255)).all(axis=2)
    yellow = (render(one, 256, state=1) == (255, 255, 0)).all(axis=2)
    assert blue[:128, 128:].any() and yellow[:128, 128:].any()


def test_a_player_in_a_hole_does_not_look_like_one_on_ice() -> None:
    hole, ice = lake("SH FG"), lake("SF FG")
    assert differing(render(hole, 256, state=1), render(ice, 256, state=1), 2) == {(0, 1)}
    assert differing(render(hole, 256), render(hole, 256, state=1), 2) == {(0, 0), (0, 1)}


def test_the_printer_is_seen_on_the_floor_in_the_hand_and_on_the_table() -> None:
    layout = room("""AP...
                     .....
                     TTT..
                     TTT..
                     .....""")
    machine = solve_layout(layout)
    before = machine.start
    carrying = machine.next_state[before][4]
    beside = machine.next_state[carrying][1]
    delivered = machine.next_state[beside][5]
    pictures = [render(layout, 256, state=state) for state in (before, carrying, beside, delivered)]
    assert differing(pictures[0], pictures[1], 5) == {(0, 0), (0, 1)}  # off the floor, in the hand
    assert differing(pictures[1], pictures[2], 5) == {(0, 0), (1, 0)}  # carried along
    assert differing(pictures[2], pictures[3], 5) == {(1, 0), (2, 0)}  # from the hand to the table


def test_a_folder_of_tiles_is_a_theme(tmp_path: Path) -> None:
    colours = {"ice": "white", "hole": "black", "start": "green", "goal": "red", "player": "blue"}
    for name, colour in colours.items():
        side = 8 if name == "player" else 32
        tile = Image.new("RGBA", (32, 32))
        tile.paste(Image.new("RGBA", (side, side), colour), (12, 12) if side == 8 else (0, 0))
        tile.save(tmp_path / f"{name}.png")
    theme = f"tiles:{tmp_path}"
    layout = lake("SH FG")
    picture = render(layout, 64, theme)
    corners = [tuple(picture[r, c].tolist()) for r in (1, 62) for c in (1, 62)]
    assert corners == [(0, 128, 0), (0, 0, 0), (255, 255, 255), (255, 0, 0)]
    assert tuple(picture[16, 16].tolist()) == (0, 0, 255)
    reached = states(layout)
    assert len({render(layout, 64, theme, s).tobytes() for s in reached}) == len(reached)
    assert PlanningEnv("frozenlake", theme=theme).reset(seed=0)[0]["image"].shape == (256, 256, 3)
    (tmp_path / "hole.png").unlink()
    with pytest.raises(ValueError, match=r"is no folder of tiles: hole.png is missing"):
        render(layout, 65, f"tiles:{tmp_path}/")
    with pytest.raises(ValueError, match=r"unknown frozenlake theme 'tile:x'.*tiles:FOLDER"):
        render(layout, 64, "tile:x")


@pytest.mark.parametrize("task", TASKS)
def test_a_picture_can_change_to_another_board(task: str) -> None:
    one, other = layouts(task, 5, 2)
    picture = BoardRenderer(render(one, 100), one, "classic", one.cells[0])
    picture.change(other, other.cells[0])
    assert np.array_equal(picture.image, render(other, 100))


# One step redraws the cells that changed.


@every_theme
@pytest.mark.parametrize("image_size", [64, 256])
def test_a_redrawn_picture_equals_one_drawn_afresh(task: str, theme: str, image_size: int) -> None:
    layout = layouts(task, small(task), 1)[0]
    reached = states(layout)
    picture = BoardRenderer(render(layout, image_size, theme), layout, theme, reached[0])
    for state in [*reached, *reached[::-2]]:
        picture.show(state)
        assert np.array_equal(picture.image, render(layout, image_size, theme, state))
