"""Which parameters are trained, and at what rate: LoRA, frozen parts, optimizer groups."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import torch

from training.config import TrainingConfig
from vsp_envs.utils.choices import pick_name

PARTS: dict[str, str] = {
    "vision": r"\.(visual|vision_tower|multi_modal_projector|image_newline)\b",
    "patch_embedding": r"\.visual\.patch_embed\.|\.vision_tower\..*\bpatch_embeddings?\.",
    "position_embedding": r"\.visual\.pos_embed\.|\.vision_tower\..*\bposition_embeddings?\b",
    "blocks": r"\.visual\.blocks\.|\.vision_tower\..*\blayers?\.",
    "merger": r"\.visual\.merger\.|\.multi_modal_projector\.",
    "deepstack_mergers": r"\.visual\.deepstack_merger_list\.",
    "language": r"\.language_model\.|\.lm_head\.",
    "embeddings": r"\.language_model\.embed_tokens\.",
    "layers": r"\.language_model\.(layers|norm)\.",
    "head": r"\.lm_head\.",
}
"""Part → a pattern for `.NAME` of its parameters. In a Qwen3-VL the vision tower is all of
`patch_embedding`, `position_embedding`, `blocks`, `merger` and `deepstack_mergers`; the language
model all of `embeddings`, `layers` and `head`. A tied head belongs to the embeddings. In families
with a projector, such as InternVL and LLaVA, that is the `merger`."""


def in_part(name: str, part: str) -> bool:
    """Whether a parameter belongs to a part; `name` is the model's own, bare or wrapped."""
    return re.search(PARTS[pick_name("part of the model", part, PARTS)], f".{name}") is not None


def trainable(model: Any, config: TrainingConfig) -> Any:
    """The model with only those parameters trainable that the settings select.

    Returns another object where adapters are added. Raises ValueError if nothing is left to train.
    """
    if config.lora_rank:
        model = with_adapters(model, config)
    freeze(model, config.freeze)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError(f"nothing is left to train after --freeze {' '.join(config.freeze)}")
    return model


def freeze(model: Any, parts: Iterable[str]) -> None:
    """Stop training the parameters of these parts. Raises ValueError if the model has no such."""
    for part in parts:
        found = [each for name, each in model.named_parameters() if in_part(name, part)]
        if not found and part in ("vision", "language"):
            raise ValueError(f"--freeze {part}: no {part} part is known in {type(model).__name__}")
        for parameter in found:
            parameter.requires_grad_(False)


def with_adapters(model: Any, config: TrainingConfig) -> Any:
    """A peft model: LoRA on the linear layers of the language model, and of the vision tower if
    asked; nothing else is trained."""
    # peft takes long to import, and runs without LoRA do not need it
    from peft import LoraConfig, get_peft_model

    parts = ("language", "vision") if config.lora_vision else ("language",)
    found = [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear)
        and not in_part(f"{name}.", "head")
        and any(in_part(f"{name}.", part) for part in parts)
    ]
    if not found:
        raise ValueError(f"{type(model).__name__} has no linear layers in {' or '.join(parts)}")
    alpha = config.lora_alpha or 2 * config.lora_rank
    lora = LoraConfig(r=config.lora_rank, lora_alpha=alpha, target_modules=found)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)  # processes that shard the adapter must begin with the same
        return get_peft_model(model, lora)


def parameter_groups(model: Any, config: TrainingConfig) -> list[dict[str, Any]]:
    """Trainable parameters by learning rate: the vision tower's, and all others."""
    groups: dict[bool, list[torch.nn.Parameter]] = {True: [], False: []}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups[in_part(name, "vision")].append(parameter)
    rates = {True: config.vision_learning_rate or config.learning_rate, False: config.learning_rate}
    return [{"params": groups[part], "lr": rates[part]} for part in (False, True) if groups[part]]
