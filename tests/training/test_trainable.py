"""What is trained and what is frozen, parameter by parameter, on the tiny and the real shapes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from training.config import TrainingConfig
from training.model.shapes import SHAPES, meta_model, shape_config
from training.model.trainable import PARTS, in_part, parameter_groups, trainable

CONFIG = TrainingConfig(out=Path("x"), learning_rate=1e-4, vision_learning_rate=2e-3)
VISION = ("patch_embedding", "position_embedding", "blocks", "merger", "deepstack_mergers")
LANGUAGE = ("embeddings", "layers", "head")
PARAMETERS = {"qwen3-vl-4b": 4_437_815_808, "qwen3-vl-8b": 8_767_123_696}


@pytest.fixture(params=SHAPES)
def build(request: pytest.FixtureRequest) -> Callable[[], Any]:
    config = shape_config(request.param)
    config.text_config.num_hidden_layers = 2  # the others have the same names
    return lambda: meta_model(config)


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_real_shapes_have_the_published_number_of_parameters(name: str) -> None:
    model = meta_model(shape_config(name))
    assert sum(weight.numel() for weight in model.parameters()) == PARAMETERS[name]


def test_every_parameter_is_in_one_part_of_vision_or_language(build: Callable[[], Any]) -> None:
    for name, _ in build().named_parameters():
        fine = [part for part in (*VISION, *LANGUAGE) if in_part(name, part)]
        coarse = [part for part in ("vision", "language") if in_part(name, part)]
        assert len(fine) == len(coarse) == 1, name
        assert (fine[0] in VISION) == (coarse == ["vision"]), name


@pytest.mark.parametrize("part", PARTS)
def test_freezing_a_part_closes_its_parameters_and_no_other(
    build: Callable[[], Any], part: str
) -> None:
    model = trainable(build(), replace(CONFIG, freeze=(part,)))
    modules = {
        "vision": model.model.visual,
        "patch_embedding": model.model.visual.patch_embed,
        "position_embedding": model.model.visual.pos_embed,
        "blocks": model.model.visual.blocks,
        "merger": model.model.visual.merger,
        "deepstack_mergers": model.model.visual.deepstack_merger_list,
        "embeddings": model.model.language_model.embed_tokens,
        "layers": torch.nn.ModuleList(
            [model.model.language_model.layers, model.model.language_model.norm]
        ),
        "head": model.lm_head,
        "language": torch.nn.ModuleList([model.model.language_model, model.lm_head]),
    }
    expected = {id(weight) for weight in modules[part].parameters()}
    if part == "head" and model.config.tie_word_embeddings:
        expected = set()  # it is the embeddings, and stays open with them
    closed = {id(weight) for weight in model.parameters() if not weight.requires_grad}
    assert closed == expected


@pytest.mark.parametrize("vision", [False, True])
def test_adapters_are_on_every_linear_layer_asked_for_and_only_they_are_trained(
    build: Callable[[], Any], vision: bool
) -> None:
    plain = build()
    linear = {
        name
        for name, module in plain.named_modules()
        if isinstance(module, torch.nn.Linear)
        and (".language_model." in name or (vision and ".visual." in name))
    }
    model = trainable(plain, replace(CONFIG, lora_rank=8, lora_vision=vision))
    adapted = {
        name.removeprefix("base_model.model.").partition(".lora_")[0]
        for name, weight in model.named_parameters()
        if weight.requires_grad
    }
    assert adapted == linear
    assert all("lora_" in name for name, w in model.named_parameters() if w.requires_grad)


def test_each_learning_rate_has_its_parameters_and_none_is_left_out(
    build: Callable[[], Any],
) -> None:
    model = trainable(build(), replace(CONFIG, freeze=("patch_embedding", "merger")))
    language, vision = parameter_groups(model, CONFIG)
    assert (language["lr"], vision["lr"]) == (1e-4, 2e-3)
    open_ = {id(weight) for weight in model.parameters() if weight.requires_grad}
    tower = {id(weight) for weight in model.model.visual.parameters()}
    assert {id(weight) for weight in vision["params"]} == open_ & tower
    assert {id(weight) for weight in language["params"]} == open_ - tower


def test_adapters_keep_the_two_learning_rates_apart(build: Callable[[], Any]) -> None:
    config = replace(CONFIG, lora_rank=4, lora_vision=True)
    model = trainable(build(), config)
    language, vision = parameter_groups(model, config)
    names = {id(weight): name for name, weight in model.named_parameters()}
    assert all(".visual." in names[id(weight)] for weight in vision["params"])
    assert all(".language_model." in names[id(weight)] for weight in language["params"])


def test_a_model_with_nothing_left_to_train_and_an_unknown_part_are_refused() -> None:
    model = meta_model(shape_config("tiny"))
    with pytest.raises(ValueError, match="nothing is left to train after --freeze vision language"):
        trainable(model, replace(CONFIG, freeze=("vision", "language")))
    with pytest.raises(ValueError, match=r"unknown part of the model 'mergers'"):
        trainable(model, replace(CONFIG, freeze=("mergers",)))
