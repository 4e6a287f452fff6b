"""What is sent to a sampler: the policy's weights with LoRA merged, or the adapter alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch


def policy_weights(model: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """The weights under their names in a checkpoint, one at a time, with LoRA merged.

    The model itself does not change: merging and unmerging in place would leave a rounding error
    at every step, a large one in bf16. Weights that FSDP2 has sharded are gathered, so every
    process must iterate over all of them, in step with the others.
    """
    # Tied matrices come under both names: vLLM may hold the second as a separate copy.
    for name, weight in model.named_parameters(remove_duplicate=False):
        if _is_lora(name) or ".original_module." in name:
            continue
        layer, is_adapted, leaf = name.partition(".base_layer.")
        if is_adapted and leaf == "weight":
            weight = weight + _added(model.get_submodule(layer))
        yield _checkpoint_name(name), gathered(weight)


def save_adapter(model: Any, folder: Path, write: bool = True) -> None:
    """Write the LoRA adapter as peft does. Raises ValueError if anything else is trained.

    vLLM applies an adapter to the language model alone. Of several processes one has `write`, but
    all take part.
    """
    trained = [name for name, weight in model.named_parameters() if weight.requires_grad]
    outside = [name for name in trained if not _is_lora(name) or ".visual." in name]
    if outside or not trained:
        found = outside[0] if outside else "nothing"
        raise ValueError(
            f"{found} is trained: what is sent as an adapter is LoRA on the language model alone; "
            "send whole weights (--no-rollout-adapter)"
        )
    lora = {name: gathered(each) for name, each in model.named_parameters() if _is_lora(name)}
    if write:
        model.save_pretrained(folder, state_dict=lora, save_embedding_layers=False)


def gathered(weight: torch.Tensor) -> torch.Tensor:
    """The values of a parameter, gathered if they are sharded."""
    if hasattr(weight, "ds_status"):
        raise ValueError(
            "ZeRO-3 shards the weights in a way that cannot be sent to vLLM here; take FSDP2 or "
            "ZeRO-2, or --rollout hf"
        )
    weight = weight.detach()
    return weight.full_tensor() if isinstance(weight, torch.distributed.tensor.DTensor) else weight


def _is_lora(name: str) -> bool:
    return ".lora_" in name


@torch.no_grad()
def _added(layer: Any) -> torch.Tensor:
    if layer.merged or any(getattr(layer, "use_dora", {}).values()):
        raise ValueError("LoRA that is merged already, or DoRA, cannot be added into the weights")
    return sum(layer.get_delta_weight(adapter) for adapter in layer.active_adapters)


def _checkpoint_name(name: str) -> str:
    name = name.removeprefix("base_model.model.").replace(".base_layer.", ".")
    before, kept, after = name.partition(".modules_to_save.")
    return f"{before}.{after.partition('.')[2]}" if kept else name
