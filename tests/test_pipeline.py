"""From an index to a model's inputs, many at a time: the same as one at a time, only sooner."""

import numpy as np
import pytest

from agents.agent import View
from agents.rollouts import live_env
from training.boards import LiveBoards
from vsp_envs.select import select_kinds


@pytest.mark.parametrize("view", [View(cell_pixels=32), View(image_size=64, theme="random")])
def test_a_batch_of_boards_holds_what_live_environments_show_one_by_one(view: View) -> None:
    kinds = select_kinds(["frozenlake:3-4", "maze:3", "minibehaviour:5"])
    boards = LiveBoards(kinds, view, "train", seed=3, size=24, block=3)
    for index, board in enumerate(boards.__getitems__(range(24))):
        kind = kinds[index // 3 % len(kinds)]
        env = live_env(kind.task, kind.level, view, "train")
        seed = np.random.SeedSequence([3, index]).generate_state(1)[0]
        image, _ = env.reset(seed=int(seed))
        assert board.layout == env.unwrapped.layout  # type: ignore[attr-defined]
        assert np.array_equal(board.image, image)
