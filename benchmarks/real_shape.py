"""One step of OPCD and of SFT at Qwen3-VL-4B's real shape, with random weights, phase by phase.

`python -m benchmarks.training --gpu` runs it on a CUDA device. Weights, gradients and optimizer
states are bf16, and the backward pass recomputes the layers: student and teacher take 44 GB before
any activation. The tokenizer is our small one; the output layer has all of Qwen's 151 936 entries.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForImageTextToText

from agents.agent import View
from agents.vlm.checkpoint import Loaded
from agents.vlm.encoding import encode_prompts
from agents.vlm.patch_embedding import embed_by_product
from benchmarks.measure import Row
from benchmarks.steppers import Scale, Stepper, opcd_stepper, sft_stepper, share
from training.data.layout_stream import live_boards
from training.model.shapes import shape_config
from training.model.tiny import build_tiny

REAL = Scale(batch=32, new_tokens=512)
MFU = 0.4
"""Share of the measured peak that the update is to reach, see `model_flops`."""
_TOKENS = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")


def rows(shape: str, scale: Scale, out: Path, steps: int = 3) -> Iterator[Row]:
    """The phases of OPCD with their memory, its update beside the peak, and the same for SFT."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    peak, pair = matmul_peak(device), (random_model(shape, device), random_model(shape, device))
    work = f"OPCD at the shape of {shape}, {scale.batch} × {scale.new_tokens} tokens"
    with closing(opcd_stepper(pair[0], pair[1].model, scale, out)) as stepper:
        take(stepper, steps)
        for phase in ("generation", "teacher", "update", "data"):
            yield share(stepper, work, phase)
        yield from memory(stepper, work)
        tokens = sequence_tokens(pair[0], stepper, scale)
        yield utilisation(stepper, work, model_flops(pair[0].model, tokens, scale), peak)
    del pair, stepper
    gc.collect()
    loaded, work = random_model(shape, device), f"SFT at the shape of {shape}, batch {scale.batch}"
    with closing(sft_stepper(loaded, scale, out)) as stepper:
        take(stepper, steps)
        total = sum(stepper.watch.seconds.values())
        alone = stepper.watch.seconds["update"]
        length = sequence_tokens(loaded, stepper, scale._replace(new_tokens=0))
        counted = scale.batch * length * steps
        yield Row(
            work, "its forward, backward and optimizer alone", counted / total, counted / alone,
            "prompt token", alone / total, 0.95,
        )  # fmt: skip
        yield from memory(stepper, work)


def random_model(shape: str, device: str) -> Loaded:
    """A model of that shape with random weights, and a view of 256 px with full prompts."""
    config, tiny = shape_config(shape), build_tiny("S")
    for name in _TOKENS:
        setattr(config, name, getattr(tiny.model.config, name))
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    with torch.device(device):
        model = AutoModelForImageTextToText.from_config(config, dtype=dtype)
    model.generation_config = tiny.model.generation_config
    model.gradient_checkpointing_enable()
    return Loaded(embed_by_product(model), tiny.processor, View())


def take(stepper: Stepper, steps: int) -> None:
    """Take some steps, after one that fills caches."""
    stepper.step()
    stepper.watch.seconds.clear()
    stepper.watch.peak.clear()
    stepper.steps = 0
    for _ in range(steps):
        stepper.step()


def memory(stepper: Stepper, work: str) -> Iterator[Row]:
    """Peak memory of each phase beside the device's."""
    if not torch.cuda.is_available():
        return
    device = torch.cuda.get_device_properties(0).total_memory / 1e9
    for phase, peak in stepper.watch.peak.items():
        name = f"{work}: peak memory in {phase}"
        yield Row(name, "the device's", peak / 1e9, device, "GB", peak / 1e9 / device, None)


def utilisation(stepper: Stepper, work: str, flops: float, peak: float) -> Row:
    """Operations per second of the update beside those of a large matrix product."""
    speed = flops * stepper.steps / stepper.watch.seconds["update"]
    name, peer = f"{work}: update", "a matrix product of bf16 on this device"
    return Row(name, peer, speed / 1e12, peak / 1e12, "TFLOP", speed / peak, MFU)


def sequence_tokens(loaded: Loaded, stepper: Stepper, scale: Scale) -> float:
    """Mean tokens of a prompt with its completion."""
    boards = live_boards(stepper.trainer.config, loaded.view).__getitems__(range(scale.batch))
    prompts = [board.prompt("image", "plan", loaded.view) for board in boards]
    attended = encode_prompts(loaded.processor, prompts)["attention_mask"].sum()
    return int(attended) / scale.batch + scale.new_tokens


def model_flops(model: Any, tokens: float, scale: Scale) -> float:
    """Floating-point operations of forward and backward: six per weight and token.

    Attention scores and recomputed layers are not counted.
    """
    parts, inner = {"layers": 0, "visual": 0}, model.base_model
    parts["layers"] = sum(each.numel() for each in inner.language_model.layers.parameters())
    parts["visual"] = sum(each.numel() for each in inner.visual.blocks.parameters())
    head, patches = model.get_output_embeddings().weight.numel(), (256 // 16) ** 2
    met = parts["layers"] * tokens + parts["visual"] * patches + head * scale.new_tokens
    return 6 * scale.batch * met


def matmul_peak(device: str, times: int = 20) -> float:
    """Floating-point operations per second of a large matrix product."""
    side, dtype = (8192, torch.bfloat16) if device == "cuda" else (256, torch.float32)
    one, other = torch.randn(2, side, side, device=device, dtype=dtype)
    best = 0.0
    for _ in range(3):
        _wait()
        began = time.perf_counter()
        for _ in range(times):
            one @ other
        _wait()
        best = max(best, times * 2 * side**3 / (time.perf_counter() - began))
    return best


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
