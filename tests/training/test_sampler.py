"""Who draws the answers: what vLLM is sent, and what is said when it cannot be had."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from endpoint import Answer, nobody, serving, shown_images
from peft import LoraConfig, PeftModel, get_peft_model
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from agents.backends.hf import sample
from agents.rollout import Case, prompt_of
from agents.sampling import Sampling
from agents.vlm.checkpoint import Loaded, load_checkpoint, vision_token_ids
from agents.vlm.encoding import encode_prompts, resized
from training.opcd.rollout_config import RolloutConfig, make_sampler
from training.opcd.sampler import RolloutError, Sampler
from training.opcd.weight_sync import policy_weights, save_adapter
from vsp_envs import LayoutSpec, draw_distinct

LANGUAGE = r".*language_model.*(q_proj|down_proj)"


@pytest.fixture
def student(tiny_folder: Path) -> Loaded:
    return load_checkpoint(tiny_folder)


def with_lora(model: Any, places: str = LANGUAGE) -> PeftModel:
    """LoRA that does something: its second matrix begins at 0."""
    torch.manual_seed(0)
    adapted = get_peft_model(model, LoraConfig(r=2, target_modules=places)).eval()
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    return adapted


def same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> bool:
    return found.keys() == expected.keys() and all(
        torch.allclose(found[name], expected[name], atol=1e-6) for name in expected
    )


def test_weights_go_out_under_their_names_in_a_checkpoint_tied_ones_under_both(
    student: Loaded,
) -> None:
    sent = dict(policy_weights(student.model))
    assert same(sent, student.model.state_dict())
    assert {"lm_head.weight", "model.language_model.embed_tokens.weight"} < sent.keys()


def test_lora_goes_out_inside_the_weights_and_stays_apart_in_the_model(student: Loaded) -> None:
    plain = {name: weight.clone() for name, weight in student.model.state_dict().items()}
    adapted = with_lora(student.model)
    before = {name: weight.clone() for name, weight in adapted.state_dict().items()}
    sent = dict(policy_weights(adapted))
    after = adapted.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    merged = adapted.merge_and_unload().state_dict()
    assert same(sent, merged) and not same(sent, plain)


@pytest.fixture
def one_process(tmp_path: Path) -> Iterator[None]:
    store = distributed.FileStore(str(tmp_path / "store"), 1)
    distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.usefixtures("one_process")
def test_sharded_weights_are_put_together(student: Loaded) -> None:
    adapted = with_lora(student.model)
    expected = {name: weight.clone() for name, weight in policy_weights(adapted)}
    fully_shard(adapted, mesh=init_device_mesh("cpu", (1,)))
    assert isinstance(next(adapted.parameters()), distributed.tensor.DTensor)
    assert same(dict(policy_weights(adapted)), expected)


def test_an_adapter_is_written_as_peft_writes_it(
    student: Loaded, tiny_folder: Path, tmp_path: Path
) -> None:
    adapted = with_lora(student.model)
    save_adapter(adapted, tmp_path)
    loaded = load_checkpoint(tiny_folder, adapter=str(tmp_path))
    assert same(dict(policy_weights(adapted)), loaded.model.state_dict())


@pytest.mark.parametrize("places", [r".*visual.*qkv", None])
def test_what_an_adapter_cannot_say_is_refused(
    student: Loaded, tmp_path: Path, places: str | None
) -> None:
    model = with_lora(student.model, places) if places else student.model
    with pytest.raises(ValueError, match=r"is trained: .* send whole weights"):
        save_adapter(model, tmp_path)


def prompts_and_inputs(student: Loaded) -> tuple[list[Any], Any]:
    layouts = draw_distinct(LayoutSpec("frozenlake", 3), 2, seed=0)
    prompts = [prompt_of(Case(layout, "image"), student.view) for layout in layouts]
    return prompts, encode_prompts(student.processor, prompts)


def test_transformers_draws_as_it_does_alone(student: Loaded, tmp_path: Path) -> None:
    prompts, inputs = prompts_and_inputs(student)
    warm = Sampling(temperature=1.0, max_new_tokens=5, seed=3)
    sampler = make_sampler(RolloutConfig(), "", student, tmp_path)
    sampler.update(student.model)
    pad = student.processor.tokenizer.pad_token_id
    assert sampler.sample(prompts, inputs, warm) == (sample(student.model, inputs, warm, pad), None)


def test_a_model_with_lora_draws_as_it_does_with_lora_merged(student: Loaded) -> None:
    _, inputs = prompts_and_inputs(student)
    adapted, short = with_lora(student.model), Sampling(max_new_tokens=5)
    pad = student.processor.tokenizer.pad_token_id
    drawn = sample(adapted, inputs, short, pad)
    assert drawn == sample(adapted.merge_and_unload(), inputs, short, pad)


def test_an_unknown_way_is_named(student: Loaded, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown rollout 'sglang'"):
        make_sampler(RolloutConfig(rollout="sglang"), "", student, tmp_path)


def by_server(url: str, student: Loaded, out: Path, **options: Any) -> Sampler:
    config = RolloutConfig(rollout="server", rollout_urls=(url.removesuffix("/v1"),), **options)
    return make_sampler(config, "", student, out)


def served(length: int) -> dict[str, Any]:
    """What vLLM's server answers, to a prompt that it reads as so many tokens."""
    choice = {
        "message": {"content": "a"}, "token_ids": [7, 9],
        "logprobs": {"content": [{"logprob": -0.5}, {"logprob": -0.25}]},
    }  # fmt: skip
    return {"choices": [choice], "prompt_token_ids": [0] * length}


def test_a_server_is_asked_for_the_policy_itself_with_a_seed_for_each_answer(
    student: Loaded, tmp_path: Path
) -> None:
    prompts, inputs = prompts_and_inputs(student)
    length = inputs["input_ids"].shape[1]
    with serving(lambda _: Answer(served(length))) as endpoint:
        sampler = by_server(endpoint.url, student, tmp_path)
        drawn = sampler.sample(prompts, inputs, Sampling(0.7, 5, seed=3))
        again = sampler.sample(prompts, inputs, Sampling(0.7, 5, seed=3))
    assert drawn == again == ([[7, 9]] * 2, [[-0.5, -0.25]] * 2)
    first, second = sorted(endpoint.bodies[:2], key=lambda body: body["seed"])
    assert first["seed"] != second["seed"]
    assert {body["seed"] for body in endpoint.bodies} == {first["seed"], second["seed"]}
    # A server would take what is left out from the checkpoint's generation_config.json.
    asked = {"temperature": 0.7, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "max_tokens": 5}
    assert asked.items() <= first.items()
    never = {str(token) for token in vision_token_ids(student.model.config)}
    assert first["logit_bias"].keys() == never


def test_pictures_are_sent_at_the_size_they_are_read_at(student: Loaded, tmp_path: Path) -> None:
    bounds = {"shortest_edge": 32 * 32, "longest_edge": 64 * 64}
    student.processor.image_processor.size = bounds
    prompts, inputs = prompts_and_inputs(student)
    assert prompts[0].images[0].shape == (96, 96, 3)
    smaller = resized(student.processor, prompts[0])
    with serving(lambda _: Answer(served(inputs["input_ids"].shape[1]))) as endpoint:
        sampler = by_server(endpoint.url, student, tmp_path)
        sampler.sample(prompts[:1], {"attention_mask": inputs["attention_mask"][:1]}, Sampling())
    [sent] = shown_images(endpoint.bodies[0])
    assert sent.shape == (64, 64, 3) and np.array_equal(sent, smaller.images[0])
    again = encode_prompts(student.processor, [smaller])["pixel_values"]
    assert torch.equal(again, inputs["pixel_values"][: len(again)])


def test_a_server_that_reads_another_prompt_is_refused(student: Loaded, tmp_path: Path) -> None:
    prompts, inputs = prompts_and_inputs(student)
    with (
        serving(lambda _: Answer(served(3))) as endpoint,
        pytest.raises(RolloutError, match=r"prompts of \[3, 3\] tokens"),
    ):
        by_server(endpoint.url, student, tmp_path).sample(prompts, inputs, Sampling())


@pytest.mark.parametrize(
    ("adapter", "variable"),
    [(False, "VLLM_SERVER_DEV_MODE"), (True, "VLLM_ALLOW_RUNTIME_LORA_UPDATING")],
)
def test_a_server_that_takes_no_weights_is_told_how_to_start(
    student: Loaded, tmp_path: Path, adapter: bool, variable: str
) -> None:
    model = with_lora(student.model) if adapter else student.model
    refusal = Answer({"detail": "Not Found"}, status=404)
    with serving(lambda _: refusal, any_path=True) as endpoint:
        sampler = by_server(endpoint.url, student, tmp_path, rollout_adapter=adapter)
        with pytest.raises(RolloutError, match=f"HTTP 404.*{variable}=1"):
            sampler.update(model)


def test_a_server_that_is_gone_stops_the_run_with_one_word(student: Loaded, tmp_path: Path) -> None:
    prompts, inputs = prompts_and_inputs(student)
    with (
        nobody() as url,
        pytest.raises(RolloutError, match=r"127\.0\.0\.1:\d+ does not answer.*goes on from"),
    ):
        by_server(url, student, tmp_path).sample(prompts, inputs, Sampling())


def test_what_a_server_is_left_is_a_whole_checkpoint(student: Loaded, tmp_path: Path) -> None:
    with serving(lambda _: Answer({}), any_path=True) as endpoint:
        by_server(endpoint.url, student, tmp_path).update(student.model)
    left = load_checkpoint(tmp_path / "weights")
    assert same(left.model.state_dict(), student.model.state_dict())
    assert endpoint.bodies[0] == {
        "method": "reload_weights", "kwargs": {"weights_path": str(tmp_path / "weights")},
    }  # fmt: skip
    assert json.loads((tmp_path / "weights" / "config.json").read_text())["vsp_view"]
