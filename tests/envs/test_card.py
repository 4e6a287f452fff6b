"""The cards say what the code does."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from vsp_envs import TASKS
from vsp_envs import card as card_module
from vsp_envs.card import MOTION, SHEET, TITLE, card, folder, motion, sheet
from vsp_envs.envs.config import EnvConfig
from vsp_envs.utils.field_docs import field_docs

every_task = pytest.mark.parametrize("task", TASKS)
HEADINGS = [
    "Description", "Action Space", "Observation Space", "Starting State", "Rewards", "Episode End",
    "Information", "Arguments", "Differences", "Version History",
]  # fmt: skip


@every_task
def test_the_card_in_the_folder_is_what_the_code_makes(task: str) -> None:
    written = (folder(TASKS[task]) / "README.md").read_text()
    assert written == card(TASKS[task]), "run `python -m vsp_envs.card`"


@every_task
def test_a_card_has_gymnasiums_headings_and_names_every_action_key_and_theme(task: str) -> None:
    text = card(TASKS[task])
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == HEADINGS
    for action in TASKS[task].actions:
        assert f"| {action.value} | {action.name} |" in text
    for word in (*TASKS[task].themes, *TASKS[task].reasons, "is_success", "layout_id", "split"):
        assert f"`{word}`" in text


@every_task
def test_the_animated_picture_plays_a_shortest_plan(task: str) -> None:
    frames = motion(TASKS[task])
    with Image.open(folder(TASKS[task]) / MOTION) as file:
        assert file.n_frames == len(frames)
        for i in (0, len(frames) - 1):
            file.seek(i)
            kept = np.array(file.convert("RGB"), int)
            assert abs(kept - frames[i]).mean() < 3  # of 255: a GIF has few colours


@every_task
def test_the_contact_sheet_has_a_row_per_theme(task: str) -> None:
    if TASKS[task].missing_themes:
        pytest.skip(f"not all themes can be drawn here: {TASKS[task].missing_themes}")
    made = sheet(TASKS[task])
    with Image.open(folder(TASKS[task]) / SHEET) as file:
        assert (file.height, file.width) == made.shape[:2]
    assert made.shape[0] == len(TASKS[task].themes) * (256 + 12 + TITLE)


def test_every_argument_is_documented() -> None:
    documented = field_docs(EnvConfig)
    assert all(documented[name].endswith((".", "layouts.")) for name in documented)
    assert len(documented) == len(EnvConfig.__dataclass_fields__)


def test_the_pictures_are_small() -> None:
    folders = [folder(task) for task in TASKS.values()]
    files = [file for each in folders for file in (each / MOTION, each / SHEET)]
    assert files and all(file.stat().st_size < 250_000 for file in files)


def test_the_help_of_the_command_writes_nothing(monkeypatch, capsys) -> None:
    monkeypatch.setattr("sys.argv", ["card", "--help"])
    monkeypatch.setattr(card_module, "write", lambda: pytest.fail("it wrote"))
    with pytest.raises(SystemExit) as end:
        card_module.main()
    assert end.value.code == 0 and "card of every task" in capsys.readouterr().out


@every_task
def test_a_theme_without_a_legend_is_refused_in_words(task: str) -> None:
    with pytest.raises(ValueError, match=r"'unheard' of \w+ has no legend.*LEGEND in the task's"):
        TASKS[task].theme_legend("unheard")
