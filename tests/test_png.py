"""PNG files of boards hold the very pixels of `render`."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from vsp_envs import TASKS, LayoutSpec, draw_distinct, render
from vsp_envs.png import png_bytes
from vsp_envs.solve import compile_layout

THEMES = [(task.name, theme) for task in TASKS.values() for theme in task.themes]


@pytest.mark.parametrize("size", [64, 256, 333])
@pytest.mark.parametrize(("task", "theme"), THEMES)
def test_a_file_holds_the_pixels_of_render(task: str, theme: str, size: int) -> None:
    for layout in draw_distinct(LayoutSpec(task, 5), 3, seed=0):
        machine = compile_layout(layout)
        for state in (machine.start, max(machine.next_state[machine.start])):
            image = render(layout, size, theme, state)
            for bands in (1, 5, 7):
                file = Image.open(io.BytesIO(png_bytes(image, bands)))
                assert file.mode == "RGB" and np.array_equal(np.array(file), image)
