"""Weights that are sharded over processes: gathered for generation, and the teacher's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from accelerate.state import AcceleratorState
from torch import distributed
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from transformers.integrations import is_deepspeed_zero3_enabled

from training.config import Placement


def place_model(model: Any, placement: Placement, device: Any) -> Any:
    """Put a frozen model on every process (`replicated`), or shard it over all of them.

    If sharded, each block is gathered when it runs and dropped again: less memory, more traffic.
    A single process shards nothing.
    """
    if placement == "replicated" or not is_distributed():
        return model.to(device)
    for block in blocks(model):
        fully_shard(block)
    return fully_shard(model)


@contextmanager
def reading(first_alone: bool) -> Iterator[None]:
    """Under FSDP2, let transformers read weights on a machine's first process alone, or on all.

    The others hold zeros that take no memory, until FSDP2 deals the weights out: right for the
    model that it shards, and wrong for every other. Without FSDP all processes read.
    """
    before = os.environ.get(READS_ON_FIRST)
    os.environ[READS_ON_FIRST] = str(first_alone)
    try:
        yield
    finally:
        if before is None:
            del os.environ[READS_ON_FIRST]
        else:
            os.environ[READS_ON_FIRST] = before


READS_ON_FIRST = "FSDP_CPU_RAM_EFFICIENT_LOADING"
"""The variable by which accelerate's launcher tells transformers."""


@contextmanager
def at_own_pace(model: Any) -> Iterator[None]:
    """Let each process call `model.generate` as often and as long as it likes, at least once.

    Weights that FSDP2 has sharded are held whole meanwhile: otherwise every block would be gathered
    again for every token, on all processes at once. It costs the memory of the model in its compute
    precision. Under ZeRO-3 a process that is done waits for the others, see `_in_step`.
    """
    sharded = [module for module in model.modules() if isinstance(module, FSDPModule)]
    if not sharded:
        with _in_step(model) if is_deepspeed_zero3_enabled() else nullcontext():
            yield
        return
    inner = [block for block in blocks(model) if isinstance(block, FSDPModule)]
    for module in sharded:
        module.unshard()
    for block in inner:
        block.set_reshard_after_forward(False, recurse=False)
    # The Trainer's hooks around `generate` would shard the root again at the end of each call; what
    # they do at the first one is left to do here.
    hooked = vars(model).pop("generate", None)
    model._get_fsdp_state()._lazy_init()
    model.generate = partial(model.generate, synced_gpus=False)
    try:
        yield
    finally:
        del model.generate
        if hooked:
            model.generate = hooked
        for block in inner:
            block.set_reshard_after_forward(reshards(), recurse=False)
        for module in sharded:
            module.reshard()


@contextmanager
def _in_step(model: Any) -> Iterator[None]:
    """Let a process that has generated all it wants go on until all processes have.

    ZeRO-3 gathers weights block by block, so all have to call `generate` equally often. Within a
    call transformers itself goes on until all have ended.
    """
    generate, last = model.generate, dict[str, Any]()

    def announced(**options: Any) -> Any:
        last.update(options)
        _does_any(True, model.device)
        return generate(**options)

    model.generate = announced
    try:
        yield
    finally:
        del model.generate
    while _does_any(False, model.device):
        generate(**{**last, "max_new_tokens": 1, "do_sample": False, "logits_processor": None})


def _does_any(mine: bool, device: Any) -> bool:
    """Whether a mark is set on any process."""
    mark = torch.tensor(int(mine), device=device)
    distributed.all_reduce(mark, distributed.ReduceOp.MAX)
    return bool(mark)


def set_up_fsdp(accelerator: Any) -> None:
    """Under FSDP2, sum gradients in float32, leave outputs as they are, and deal weights out.

    accelerate's own policy rounds sums and outputs to bfloat16: the sums lose small gradients, and
    a loss that is computed inside the model keeps three digits. The student's weights come from
    the first process, see `reading`.
    """
    plugin = getattr(accelerator.state, "fsdp_plugin", None)
    if plugin is not None:
        dtype = torch.bfloat16 if accelerator.mixed_precision == "bf16" else None
        plugin.mixed_precision_policy = MixedPrecisionPolicy(dtype, torch.float32)
        plugin.cpu_ram_efficient_loading = True


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
