"""From an index to a model's inputs, many at a time: the same as one at a time, only sooner."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from agents.agent import View
from agents.vlm.encoding import chat_text, encode_prompts
from agents.vlm.image_patches import patches
from agents.vlm.patch_embedding import PatchLinear
from training.data.layout_stream import LiveBoards
from training.model.tiny import build_tiny
from vsp_envs import get_task
from vsp_envs.core.task_level import select_task_levels


@pytest.mark.parametrize("view", [View(cell_pixels=32), View(image_size=64, theme="random")])
def test_a_batch_of_boards_holds_what_live_environments_show_one_by_one(view: View) -> None:
    kinds = select_task_levels(["frozenlake:3-4", "maze:3", "minibehaviour:5"])
    boards = LiveBoards(kinds, view, "train", seed=3, size=24, block=3)
    for index, board in enumerate(boards.__getitems__(range(24))):
        kind = kinds[index // 3 % len(kinds)]
        env = gym.make(
            get_task(kind.task).id, level=kind.level, image_size=view.pixels(kind.level),
            theme=view.theme, split="train", observation="image",
        )  # fmt: skip
        seed = np.random.SeedSequence([3, index]).generate_state(1)[0]
        image, _ = env.reset(seed=int(seed))
        assert board.layout == env.unwrapped.layout  # type: ignore[attr-defined]
        assert np.array_equal(board.image, image)


@pytest.mark.parametrize("sides", [[96, 96], [256], [64, 96, 128]])
def test_pictures_become_the_patches_of_the_stock_processor(sides: list[int]) -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (side, side, 3), np.uint8) for side in sides]
    stock = build_tiny("S").processor.image_processor
    ours, theirs = patches(stock, images), stock(images, return_tensors="np")
    for name, part in ours._asdict().items():
        assert np.array_equal(part, theirs[name]) and part.dtype == theirs[name].dtype


def test_prompts_become_the_inputs_of_the_stock_processor() -> None:
    processor = build_tiny("S").processor
    kinds = select_task_levels(["frozenlake:3-4", "maze:3"])
    small = View(style="brief", cell_pixels=32)
    boards = LiveBoards(kinds, small, "train", 0, 9, 3).__getitems__(range(9))
    for view in (small, View()):
        for input in ("image", "text"):
            prompts = [board.prompt(input, "plan", view) for board in boards]
            ours = encode_prompts(processor, prompts)
            theirs = processor(
                text=[chat_text(processor, prompt) for prompt in prompts],
                images=[image for prompt in prompts for image in prompt.images] or None,
                padding=True, padding_side="left", return_tensors="pt",
                return_mm_token_type_ids=True,
            )  # fmt: skip
            assert ours.keys() == theirs.keys()
            for name, part in ours.items():
                assert torch.equal(part, theirs[name]) and part.dtype == theirs[name].dtype


def test_patches_are_embedded_by_a_matrix_product_as_by_the_convolution() -> None:
    embedding = build_tiny("S").model.model.visual.patch_embed
    patches = torch.randn(8, 3 * 2 * 16 * 16, generator=torch.Generator().manual_seed(0))
    ours = embedding(patches)
    assert isinstance(embedding.proj, PatchLinear)
    embedding.proj.__class__ = torch.nn.Conv3d
    assert torch.allclose(ours, embedding(patches), atol=1e-4)
    assert [name for name, _ in embedding.named_parameters()] == ["proj.weight", "proj.bias"]
