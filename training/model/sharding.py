"""Weights spread over processes: held whole to generate with, and a frozen teacher's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from accelerate.state import AcceleratorState
from torch import distributed
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

PLACEMENTS = ("replicated", "sharded")


def place_model(model: Any, placement: str, device: Any) -> Any:
    """A frozen model whole on every process (`replicated`), or spread over all of them.

    Spread, each block is put together where it runs and dropped again: less memory, more traffic.
    A single process has nothing to spread.
    """
    if placement == "replicated" or not is_distributed():
        return model.to(device)
    for block in blocks(model):
        fully_shard(block)
    return fully_shard(model)


@contextmanager
def unsharded(model: Any) -> Iterator[None]:
    """Hold all weights on every process, so that each can generate at its own pace.

    FSDP2 would put every block together again for every token. It costs the memory of the model
    in the precision it computes in. A model that FSDP2 has not sharded is left alone; under ZeRO-3
    transformers generates in step on all processes, gathering block by block.
    """
    sharded = [module for module in model.modules() if isinstance(module, FSDPModule)]
    inner = [block for block in blocks(model) if isinstance(block, FSDPModule)]
    for module in sharded:
        module.unshard()
    for block in inner:
        block.set_reshard_after_forward(False, recurse=False)
    try:
        yield
    finally:
        for block in inner:
            block.set_reshard_after_forward(reshards(), recurse=False)
        for module in sharded:
            module.reshard()


def keep_float32(accelerator: Any) -> None:
    """Under FSDP2 in bfloat16, sum gradients over processes and leave outputs in float32.

    accelerate's own policy rounds both: the sums lose small gradients, and of a loss that is made
    inside the model three digits are left.
    """
    plugin = getattr(accelerator.state, "fsdp_plugin", None)
    if plugin is not None and accelerator.mixed_precision == "bf16":
        plugin.mixed_precision_policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32)


def blocks(model: Any) -> list[Any]:
    """The layers of a transformers model, which are gathered one at a time."""
    names = {*model._no_split_modules}
    return [
        module
        for module in model.modules()
        # FSDP2 puts its name before that of the class.
        if type(module).__name__.removeprefix("FSDP") in names
    ]


def reshards() -> bool:
    """Whether the launcher's FSDP drops a block's gathered weights after its forward."""
    plugin = getattr(AcceleratorState(), "fsdp_plugin", None)
    return plugin is None or bool(plugin.reshard_after_forward)


def is_distributed() -> bool:
    """Whether this is one process of several."""
    return distributed.is_initialized() and distributed.get_world_size() > 1
