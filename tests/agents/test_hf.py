"""The `hf` backend: batches, precisions, adapters, placement, and models of another family."""

from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from strange_settings import KEPT, STRANGE
from transformers import (
    CLIPVisionConfig,
    GenerationConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava.processing_llava import LlavaProcessor

from agents.backends.hf import HFAgent, SeededSampling, sample
from agents.multi_turn import TurnPolicy
from agents.rollout import Case, play, prompt_of
from agents.sampling import Sampling
from agents.vlm.checkpoint import CheckpointError, load_checkpoint
from agents.vlm.encoding import encode_prompts
from training.model.tiny import CHAT_TEMPLATE, build_tokenizer
from vsp_envs import TASKS, LayoutSpec, draw_distinct, get_task

SHORT = Sampling(max_new_tokens=12)
CASES = [
    Case(layout, input)
    for task in TASKS
    for layout in draw_distinct(LayoutSpec(task, get_task(task).paper_levels[0]), 2, seed=0)
    for input in ("image", "text")
]


def replies(agent: HFAgent) -> list[str]:
    return [episode.reply for episode in play(agent, CASES, batch_size=agent.batch_size)]


def test_a_batch_answers_as_one_by_one(tiny_folder: Path) -> None:
    whole, single = (
        HFAgent.load(str(tiny_folder), dtype="float32", sampling=SHORT, batch_size=size)
        for size in (64, 1)
    )
    assert replies(whole) == replies(single)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_weights_are_of_the_precision_asked_for(tiny_folder: Path, dtype: str) -> None:
    agent = HFAgent.load(str(tiny_folder), dtype=dtype, sampling=SHORT)
    assert {weight.dtype for weight in agent.model.parameters()} == {getattr(torch, dtype)}
    assert len(replies(agent)) == len(CASES)


def test_layers_are_spread_where_asked(tiny_folder: Path) -> None:
    agent = HFAgent.load(str(tiny_folder), device="map", dtype="float32", sampling=SHORT)
    assert replies(agent) == replies(
        HFAgent.load(str(tiny_folder), dtype="float32", sampling=SHORT)
    )


def test_an_adapter_is_added_into_the_weights(tiny_folder: Path, tmp_path: Path) -> None:
    base = load_checkpoint(tiny_folder, "float32")
    inputs = encode_prompts(base.processor, [prompt_of(CASES[0], base.view)])
    torch.manual_seed(0)
    adapted = get_peft_model(base.model, LoraConfig(target_modules=["q_proj"], r=2)).eval()
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    adapted.save_pretrained(tmp_path)
    with torch.no_grad():
        expected = adapted(**inputs).logits
        agent = HFAgent.load(str(tiny_folder), dtype="float32", adapter=str(tmp_path))
        plain = HFAgent.load(str(tiny_folder), dtype="float32")
        assert torch.allclose(agent.model(**inputs).logits, expected, atol=1e-4)
        assert not torch.allclose(plain.model(**inputs).logits, expected, atol=1e-2)
    assert agent.name.endswith(f"+{tmp_path}")
    assert agent.settings()["weights"] != plain.settings()["weights"]


def test_what_cannot_be_loaded_is_named(tiny_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"there is no adapter_config\.json"):
        HFAgent.load(str(tiny_folder), adapter=str(tmp_path))
    with pytest.raises(ValueError, match="unknown dtype 'fp8'"):
        HFAgent.load(str(tiny_folder), dtype="fp8")


def test_it_acts_in_closed_loop_on_several_images(tiny_folder: Path) -> None:
    agent = HFAgent.load(str(tiny_folder), dtype="float32", sampling=SHORT)
    turn_policy = TurnPolicy(act="chunk:2", malformed="skip", history=2, max_turns=3)
    episodes = list(play(agent, CASES, turn_policy=turn_policy))
    assert all(1 <= len(episode.turns) <= 3 and not episode.error for episode in episodes)


def llava(folder: Path) -> None:
    """A LLaVA with random weights: another vision tower, language model and processor."""
    tokenizer = build_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    vision = CLIPVisionConfig(**shape, num_attention_heads=2, image_size=64, patch_size=16)
    text = LlamaConfig(**shape, vocab_size=len(tokenizer), num_attention_heads=2)
    image_token = tokenizer.convert_tokens_to_ids("<image>")
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration(
        LlavaConfig(vision_config=vision, text_config=text, image_token_index=image_token)
    )
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder)
    crop = {"height": 64, "width": 64}
    qwen = "<|vision_start|><|image_pad|><|vision_end|>"
    LlavaProcessor(
        CLIPImageProcessorPil(size={"shortest_edge": 64}, crop_size=crop),
        tokenizer,
        patch_size=16,
        vision_feature_select_strategy="default",
        chat_template=CHAT_TEMPLATE.replace(qwen, "<image>"),
        num_additional_image_tokens=1,
    ).save_pretrained(folder)


def test_a_model_of_another_family_answers_too(tmp_path: Path) -> None:
    llava(tmp_path)
    agent = HFAgent.load(str(tmp_path), dtype="float32", sampling=SHORT)
    episodes = list(play(agent, CASES))
    assert all(episode.tokens and not episode.error for episode in episodes)
    assert agent.view.style == "full" and "FrozenLake is a square lake" in episodes[0].prompt


def test_an_answer_with_a_seed_of_its_own_does_not_depend_on_what_is_beside_it(
    tiny_folder: Path,
) -> None:
    model, processor, view = load_checkpoint(tiny_folder, "float32")
    prompts = [prompt_of(case, view) for case in CASES[:4]]

    def answers(*indices: int) -> list[list[int]]:
        inputs = encode_prompts(processor, [prompts[index] for index in indices])
        seeds = [100 + index for index in indices]
        return sample(model, inputs, Sampling(1.0, 8), processor.tokenizer.pad_token_id, seeds)

    together = answers(0, 1, 2, 3)
    assert answers(3, 0) == [together[3], together[0]]
    assert len(set(map(tuple, together))) == 4


def test_seeded_draws_follow_the_distribution_at_its_temperature() -> None:
    scores = torch.tensor([0.5, -1.0, 2.0, -torch.inf]).expand(20_000, 4)
    draws = SeededSampling(range(20_000), 2.0, torch.device("cpu"))(torch.empty(0), scores).argmax(
        1
    )
    shares = draws.bincount(minlength=4) / len(draws)
    assert torch.allclose(shares, (scores[0] / 2).softmax(0), atol=0.015)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("adapted", [False, True])
@pytest.mark.parametrize("seeds", [None, [1, 2]])
def test_no_field_of_a_checkpoints_generation_config_changes_what_is_sampled(
    tiny_folder: Path, temperature: float, adapted: bool, seeds: list[int] | None
) -> None:
    assert STRANGE.keys() == GenerationConfig().to_dict().keys() - KEPT
    model, processor, view = load_checkpoint(tiny_folder, "float32")
    if adapted:
        model = get_peft_model(model, LoraConfig(target_modules=["q_proj"], r=2))
    inputs = encode_prompts(processor, [prompt_of(case, view) for case in CASES[:2]])
    settings = Sampling(temperature, 12, seed=3)
    pad = processor.tokenizer.pad_token_id
    expected = sample(model, inputs, settings, pad, seeds)
    bare = model.get_base_model() if adapted else model
    for name, value in STRANGE.items():
        setattr(bare.generation_config, name, value)
    assert sample(model, inputs, settings, pad, seeds) == expected
    assert bare.generation_config.repetition_penalty == 5.0
