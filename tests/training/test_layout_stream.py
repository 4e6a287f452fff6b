"""The training stream: weights, goals, curricula, drawings and excluded boards, all by index."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from safetensors.torch import load_file

from training.config import TrainingConfig
from training.data.layout_stream import LiveBoards, excluded, live_boards
from training.model.student import student_view
from training.model.tiny import TINY_VIEW
from training.sft import TARGETS, SFTConfig, train_sft
from vsp_envs import get_task, render, split_of
from vsp_envs.core.layout import canonical_id
from vsp_envs.core.task_level import TaskLevel, select_mixture
from vsp_envs.wrappers import Perturbed

CONFIG = TrainingConfig(out=Path("x"), tasks=("frozenlake:3", "maze:3"), steps=10, batch_size=8)


def kinds_of(boards: LiveBoards, step: int) -> list[str]:
    start = step * boards.period
    return [str(boards.part(start + place).kind) for place in range(boards.period)]


def test_a_weight_holds_for_all_levels_of_its_name() -> None:
    mixture = select_mixture(["frozenlake:3-4@2", "maze:3"])
    assert mixture == {
        TaskLevel("frozenlake", 3): 2,
        TaskLevel("frozenlake", 4): 2,
        TaskLevel("maze", 3): 1,
    }


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["maze:3@0"], "a weight is a whole number"),
        (["maze:3@half"], "a weight is a whole number"),
        (["maze:3-4", "maze:3@2"], "maze:3 has the weights 1 and 2"),
        ([], "no task given"),
        (["maze:5-3"], "levels are numbers such as 3, 3-8 or 3,5; got 'maze:5-3'"),
        (["maze:3-"], "got 'maze:3-'"),
    ],
)
def test_a_weight_that_cannot_be_is_refused(names: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        select_mixture(names)


def test_a_step_holds_every_kind_in_order_by_its_weight() -> None:
    boards = live_boards(replace(CONFIG, tasks=("frozenlake:3@3", "maze:3")), TINY_VIEW)
    assert kinds_of(boards, 0) == ["frozenlake:3"] * 6 + ["maze:3"] * 2
    assert kinds_of(boards, 7) == kinds_of(boards, 0)


def test_a_step_that_cannot_be_divided_evenly_gives_each_kind_its_share_in_the_long_run() -> None:
    config = replace(CONFIG, tasks=("frozenlake:3-5",), steps=400)
    boards = live_boards(config, TINY_VIEW)
    steps = [Counter(kinds_of(boards, step)) for step in range(config.steps)]
    assert {count for step in steps for count in step.values()} == {2, 3}
    total = sum(steps, Counter())
    assert all(total[kind] / 3200 == pytest.approx(1 / 3, abs=0.01) for kind in total)
    assert kinds_of(boards, 3) == sorted(kinds_of(boards, 3))


def test_both_targets_share_the_boards_and_stay_apart_in_a_step() -> None:
    boards = live_boards(CONFIG, TINY_VIEW, TARGETS["both"])
    goals = [boards[place].goal for place in range(8)]
    assert goals == ["perceive"] * 2 + ["plan"] * 2 + ["perceive"] * 2 + ["plan"] * 2


def test_a_curriculum_opens_the_levels_of_each_task_one_by_one() -> None:
    config = replace(CONFIG, tasks=("frozenlake:3-5", "maze:3"), batch_size=12, curriculum=0.6)
    boards = live_boards(config, TINY_VIEW)
    levels = [sorted({kind for kind in kinds_of(boards, step)}) for step in range(10)]
    assert levels[0] == levels[1] == ["frozenlake:3", "maze:3"]
    assert levels[2] == ["frozenlake:3", "frozenlake:4", "maze:3"]
    assert levels[4] == levels[9] == ["frozenlake:3", "frozenlake:4", "frozenlake:5", "maze:3"]
    shares = [kinds_of(boards, step).count("maze:3") for step in range(10)]
    assert shares == [3] * 10, "a task keeps its share while its levels are closed"


def test_perturbed_boards_equal_those_of_the_wrapped_environment() -> None:
    kinds = ("noise", "blur")
    config = replace(CONFIG, tasks=("maze:3",), perturb=kinds)
    board = live_boards(config, TINY_VIEW)[5]
    env = Perturbed(
        gym.make("VSP/Maze-v0", level=3, image_size=96, split="train", observation="image"), kinds
    )
    image, _ = env.reset(seed=int(np.random.SeedSequence([0, 5]).generate_state(1)[0]))
    assert np.array_equal(board.image, image)
    plain = live_boards(replace(config, perturb=()), TINY_VIEW)[5]
    assert board.layout == plain.layout and not np.array_equal(board.image, plain.image)


@pytest.mark.parametrize("theme", ["random", "thin,classic", "maze=thin,classic"])
def test_sampled_themes_are_drawn_by_index_and_named_in_the_prompt(theme: str) -> None:
    config = replace(CONFIG, tasks=("maze:3",), theme=theme)
    kept = student_view(config, TINY_VIEW).theme_of("maze")
    assert kept == (TINY_VIEW.theme if theme == "random" else "thin")
    boards = live_boards(config, TINY_VIEW)
    themes = [boards[index].theme for index in range(20)]
    assert set(themes) == set(get_task("maze").themes)
    assert themes == [boards[index].theme for index in range(20)]
    full = replace(TINY_VIEW, style="full")
    for index, theme in enumerate(themes):
        legend = get_task("maze").theme_legend(theme)
        assert legend in boards[index].prompt("image", "plan", full).text


@pytest.mark.parametrize(
    ("trained", "theme"),
    [("classic", "frozenlake=gymnasium maze=thin"), ("frozenlake=gymnasium", "maze=thin")],
)
def test_each_task_is_drawn_in_the_theme_that_is_named_for_it(trained: str, theme: str) -> None:
    view = replace(TINY_VIEW, style="full", theme=trained)
    boards = live_boards(replace(CONFIG, theme=theme), view)
    for board in (boards[index] for index in range(8)):
        look = {"frozenlake": "gymnasium", "maze": "thin"}[board.layout.task]
        assert np.array_equal(board.image, render(board.layout, len(board.image), look))
        legend = get_task(board.layout.task).theme_legend(look)
        assert legend in board.prompt("image", "plan", boards.view).text


def test_excluded_boards_never_come_nor_their_mirror_images(tmp_path: Path) -> None:
    config = replace(CONFIG, tasks=("minibehaviour:5",), steps=20)
    drawn = {canonical_id(board.layout) for board in live_boards(config, TINY_VIEW)}
    file = tmp_path / "hashes.txt"
    file.write_text("\n".join(sorted(drawn)[::2]))
    left = live_boards(replace(config, exclude=(str(file),)), TINY_VIEW)
    seen = {canonical_id(board.layout) for board in left}
    assert not seen & set(sorted(drawn)[::2]) and len(seen) > len(drawn) / 4
    assert all(split_of(board.layout) == "train" for board in left)


def test_a_public_set_is_excluded_by_its_folder(tmp_path: Path) -> None:
    table = tmp_path / "level3" / "table" / "0.txt"
    table.parent.mkdir(parents=True)
    table.write_text(
        "| | Col 1 | Col 2 | Col 3 |\n| Row 1 | @ | _ | _ |\n"
        "| Row 2 | _ | # | _ |\n| Row 3 | _ | _ | * |\n"
    )
    assert len(excluded([f"vsp:{tmp_path}"])) == 1
    with pytest.raises(ValueError, match="no boards at"):
        excluded([f"visualplanning:{tmp_path}"])


@pytest.mark.slow
def test_workers_make_the_same_run_to_the_bit(tiny_folder: Path, tmp_path: Path) -> None:
    config = SFTConfig(
        out=tmp_path / "none", model=str(tiny_folder), tasks=("frozenlake:3-4",), steps=4,
        batch_size=4, eval_every=0, target="both", theme="random", perturb=("noise",),
    )  # fmt: skip
    alone = load_file(train_sft(config) / "model.safetensors")
    shared = train_sft(replace(config, out=tmp_path / "two", workers=2)) / "model.safetensors"
    assert all((weight == alone[name]).all() for name, weight in load_file(shared).items())
