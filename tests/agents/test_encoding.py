"""Prompts as model inputs: padding, alignment of student and teacher, generation."""

from pathlib import Path

import numpy as np
import pytest
import torch

from agents.agent import Prompt
from agents.backends.hf import HFAgent, sample
from agents.rollout import Case, prompt_of
from agents.sampling import Sampling
from agents.vlm.checkpoint import Loaded, load_checkpoint, vision_token_ids
from agents.vlm.encoding import chat_text, chat_texts, complete, encode_prompts, until_end
from agents.vlm.image_patches import unpack
from training.opcd.divergences import log_probs, of_tokens
from vsp_envs import Layout, LayoutSpec, draw_distinct
from vsp_envs.prompts.question import text_prompt
from vsp_envs.prompts.texts import STYLES


@pytest.fixture(scope="module")
def tiny(tiny_folder: Path) -> Loaded:
    return load_checkpoint(tiny_folder, dtype="float32")


@pytest.fixture(scope="module")
def layouts() -> list[Layout]:
    """Boards of several sizes: their prompts have several lengths."""
    kinds = [("frozenlake", 3), ("maze", 4), ("minibehaviour", 5), ("frozenlake", 6)]
    return [draw_distinct(LayoutSpec(task, level), 1, seed=1)[0] for task, level in kinds]


def visual_prompts(tiny: Loaded, layouts: list[Layout]) -> list[Prompt]:
    return [prompt_of(Case(layout), tiny.view) for layout in layouts]


def logits_of(model: object, completed: object) -> torch.Tensor:
    width = completed.ids.shape[1]  # type: ignore[attr-defined]
    return model(**completed.inputs, logits_to_keep=width + 1).logits[:, :-1]  # type: ignore


def test_one_visual_token_is_one_cell(tiny: Loaded, layouts: list[Layout]) -> None:
    inputs = encode_prompts(tiny.processor, visual_prompts(tiny, layouts))
    image_tokens = (inputs["input_ids"] == tiny.model.config.image_token_id).sum(1)
    assert image_tokens.tolist() == [layout.level**2 for layout in layouts]


def test_pictures_that_travel_as_bytes_become_the_same_floats(
    tiny: Loaded, layouts: list[Layout]
) -> None:
    prompts = visual_prompts(tiny, layouts)
    floats = encode_prompts(tiny.processor, prompts)
    packed = encode_prompts(tiny.processor, prompts, packed=True)
    assert packed["pixel_values"].dtype == torch.uint8
    assert packed["pixel_values"].nbytes * 8 == floats["pixel_values"].nbytes
    found = unpack(packed)
    assert found.keys() == floats.keys()
    assert all(torch.equal(found[name], floats[name]) for name in floats)
    assert unpack(floats) is floats


def test_a_template_that_is_filled_in_once_gives_the_chats_one_by_one(
    tiny: Loaded, layouts: list[Layout]
) -> None:
    prompts = visual_prompts(tiny, layouts)
    prompts += [text_prompt(layout, "plan", style) for layout in layouts for style in STYLES]
    prompts += [Prompt([*prompts[0].messages, *prompts[5].messages], prompts[0].pictures)]
    one_by_one = [chat_text(tiny.processor, prompt) for prompt in prompts]
    assert chat_texts(tiny.processor, prompts) == one_by_one


def test_prompts_are_padded_on_the_left_and_end_in_the_same_prefix(
    tiny: Loaded, layouts: list[Layout]
) -> None:
    student = encode_prompts(tiny.processor, visual_prompts(tiny, layouts))
    teacher = encode_prompts(
        tiny.processor, [text_prompt(layout, "plan", "brief") for layout in layouts]
    )
    prefix = tiny.processor.tokenizer("<|im_start|>assistant\n").input_ids
    for inputs in (student, teacher):
        assert inputs["attention_mask"][:, -1].all()
        assert inputs["input_ids"][:, -len(prefix) :].tolist() == [prefix] * len(layouts)


@torch.no_grad()
def test_left_padded_cached_generation_equals_unpadded_uncached(
    tiny: Loaded, layouts: list[Layout]
) -> None:
    prompts = visual_prompts(tiny, layouts)
    batch = encode_prompts(tiny.processor, prompts)
    together = sample(tiny.model, batch, Sampling(max_new_tokens=12), pad_id=0)
    for prompt, completion in zip(prompts, together, strict=True):
        alone = encode_prompts(tiny.processor, [prompt])
        drawn: list[int] = []
        for _ in completion:
            scored = complete(alone, [[*drawn, 0]], pad_id=0)
            logits = logits_of(tiny.model, scored)[0, -1]
            logits[vision_token_ids(tiny.model.config)] = -torch.inf
            drawn.append(int(logits.argmax()))
        assert drawn == completion


@torch.no_grad()
def test_student_and_teacher_score_the_same_tokens_whatever_the_padding(
    tiny: Loaded, layouts: list[Layout]
) -> None:
    rng = np.random.default_rng(0)
    answers = [rng.integers(0, 256, size=n).tolist() for n in (5, 1, 9, 3)]
    for prompts in (
        visual_prompts(tiny, layouts),
        [text_prompt(layout, "plan", "brief") for layout in layouts],
    ):
        together = complete(encode_prompts(tiny.processor, prompts), answers, pad_id=0)
        assert together.mask.sum(1).tolist() == [5, 1, 9, 3]
        scores = of_tokens(log_probs(logits_of(tiny.model, together)), together.ids)
        for row, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
            alone = complete(encode_prompts(tiny.processor, [prompt]), [answer], pad_id=0)
            assert alone.ids.tolist() == [answer]
            expected = of_tokens(log_probs(logits_of(tiny.model, alone)), alone.ids)[0]
            torch.testing.assert_close(scores[row, : len(answer)], expected, atol=2e-5, rtol=0)


@torch.no_grad()
def test_a_draw_hangs_on_its_seed_and_holds_no_vision_token(
    tiny: Loaded, layouts: list[Layout]
) -> None:
    batch = encode_prompts(tiny.processor, visual_prompts(tiny, layouts))
    answers = sample(tiny.model, batch, Sampling(1.0, 8, seed=3), pad_id=0)
    again = sample(tiny.model, batch, Sampling(1.0, 8, seed=3), pad_id=0)
    other = sample(tiny.model, batch, Sampling(1.0, 8, seed=4), pad_id=0)
    assert answers == again and answers != other
    scored = complete(batch, answers, pad_id=0)
    forbidden = set(vision_token_ids(tiny.model.config))
    assert not forbidden & set(scored.ids[scored.mask].tolist())


def test_a_completion_stops_at_its_first_end_token_and_keeps_it() -> None:
    assert until_end([5, 6, 9, 9, 7], [9]) == [5, 6, 9]
    assert until_end([5, 6], [9]) == [5, 6]
    assert until_end([9], [9]) == [9]


def test_sampling_leaves_the_training_random_state_alone(
    tiny: Loaded, layouts: list[Layout]
) -> None:
    batch = encode_prompts(tiny.processor, visual_prompts(tiny, layouts[:1]))
    before = torch.get_rng_state()
    sample(tiny.model, batch, Sampling(1.0, 3, seed=1), pad_id=0)
    assert torch.equal(before, torch.get_rng_state())


def test_an_opening_is_continued_and_is_part_of_the_reply(
    tiny: Loaded, layouts: list[Layout]
) -> None:
    agent = HFAgent(tiny, Sampling(max_new_tokens=2))
    [reply] = agent.answer(visual_prompts(tiny, layouts[:1]), ["size 3\nroute"])
    assert reply.text.startswith("size 3\nroute") and reply.tokens <= 2
