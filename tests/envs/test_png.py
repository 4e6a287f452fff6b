"""PNG files of boards hold the very pixels of `render`."""

from __future__ import annotations

import importlib.util
import io
import sys

import numpy as np
import pytest
from PIL import Image

from vsp_envs import TASKS, LayoutSpec, draw_distinct, render
from vsp_envs.core.solver import solve_layout
from vsp_envs.rendering.png import LazyImage, png_bytes

THEMES = [(task.name, theme) for task in TASKS.values() for theme in task.themes]


@pytest.mark.parametrize("size", [64, 256, 333])
@pytest.mark.parametrize(("task", "theme"), THEMES)
def test_a_file_holds_the_pixels_of_render(task: str, theme: str, size: int) -> None:
    for layout in draw_distinct(LayoutSpec(task, 5), 3, seed=0):
        machine = solve_layout(layout)
        for state in (machine.start, max(machine.next_state[machine.start])):
            image = render(layout, size, theme, state)
            for bands in (1, 5, 7):
                file = Image.open(io.BytesIO(png_bytes(image, bands)))
                assert file.mode == "RGB" and np.array_equal(np.array(file), image)


@pytest.mark.parametrize(("task", "theme"), THEMES)
def test_a_drawing_is_the_picture_of_render_looked_at_and_as_a_file(task: str, theme: str) -> None:
    for layout in draw_distinct(LayoutSpec(task, 5), 3, seed=0):
        machine = solve_layout(layout)
        for state in (None, max(machine.next_state[machine.start])):
            for size in (64, 333):
                drawing, image = (
                    LazyImage(layout, size, theme, state),
                    render(layout, size, theme, state),
                )
                assert np.array_equal(drawing, image)
                for _ in range(2):  # the second time from rows that are known
                    assert np.array_equal(Image.open(io.BytesIO(drawing.png())), image)


def test_a_drawing_that_cannot_be_is_refused_before_anybody_looks() -> None:
    [layout] = draw_distinct(LayoutSpec("maze", 4), 1, seed=0)
    with pytest.raises(ValueError, match="unknown maze theme 'neon'"):
        LazyImage(layout, theme="neon")
    with pytest.raises(ValueError, match="image_size 2000 is out of range"):
        LazyImage(layout, 2000)


def test_files_hold_the_same_pixels_without_isal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "isal", None)
    spec = importlib.util.find_spec("vsp_envs.rendering.png")
    assert spec is not None and spec.loader is not None
    plain = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(plain)
    assert plain.zlib.__name__ == "zlib"
    for layout in draw_distinct(LayoutSpec("maze", 5), 3, seed=0):
        image = render(layout, 256)
        for file in (plain.LazyImage(layout).png(), plain.png_bytes(image, 5)):
            assert np.array_equal(Image.open(io.BytesIO(file)), image)
