"""Pictures → patches of a Qwen-VL model, the same as transformers' processor makes, but faster.

A board is rendered in bytes and in the size that the model sees. What the processor does to it
(rescale, normalise, convert to floats) is then a function of each byte alone. The processor is
asked once for the values of all 256 bytes; the rest is a table look-up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np


class Patches(NamedTuple):
    """Pictures as `forward` takes them."""

    pixel_values: np.ndarray  # float32[patches of all pictures, features]
    image_grid_thw: np.ndarray  # int64[picture, 3]: frames, rows and columns of patches


class Packed(NamedTuple):
    """Pictures on their way to a GPU, in an eighth of the bytes. See `unpack`."""

    pixel_values: np.ndarray  # uint8[patches of all pictures, features of one frame]
    pixel_levels: np.ndarray  # float32[256]: the value of each byte
    pixel_frames: np.ndarray  # uint8[1, frames]: the frames that a still picture stands for
    image_grid_thw: np.ndarray  # int64[picture, 3]


def patches(processor: Any, images: Sequence[np.ndarray]) -> Patches:
    """What `processor(images)` returns, a Qwen2VLImageProcessorPil, bit for bit."""
    table = _table(processor, images)
    if table is None:
        made = processor(list(images), return_tensors="np")
        return Patches(made["pixel_values"], made["image_grid_thw"])
    patch, frames = processor.patch_size, processor.temporal_patch_size
    sides, ends = _sizes(images, patch)
    values = np.empty((ends[-1], 3, frames, patch * patch), np.float32)
    for image, first, end in zip(images, [0, *ends], ends, strict=False):
        # One picture at a time, so that it stays in the CPU's cache.
        looked_up = table.take(_in_patches(image, patch, processor.merge_size))
        values[first:end] = looked_up.reshape(end - first, 3, 1, -1)
    return Patches(values.reshape(ends[-1], -1), _grid(sides))


def packed_patches(processor: Any, images: Sequence[np.ndarray]) -> Packed | Patches:
    """What `unpack` turns into `patches`; or `patches` itself if a table look-up is not enough."""
    table = _table(processor, images)
    if table is None:
        return patches(processor, images)
    patch, frames = processor.patch_size, processor.temporal_patch_size
    sides, ends = _sizes(images, patch)
    values = np.empty((ends[-1], 3 * patch * patch), np.uint8)
    for image, first, end in zip(images, [0, *ends], ends, strict=False):
        values[first:end] = _in_patches(image, patch, processor.merge_size).reshape(end - first, -1)
    return Packed(values, table, np.zeros((1, frames), np.uint8), _grid(sides))


def unpack(batch: Any) -> Any:
    """A batch with the floats of `Packed` pictures looked up, on the device of the batch."""
    if not isinstance(batch, Mapping) or "pixel_levels" not in batch:
        return batch
    batch = dict(batch)
    levels, frames = batch.pop("pixel_levels"), batch.pop("pixel_frames").shape[1]
    values = levels[batch["pixel_values"].int()]
    count, size = values.shape
    by_channel = values.view(count, 3, 1, size // 3).expand(-1, -1, frames, -1)
    return batch | {"pixel_values": by_channel.reshape(count, frames * size)}


def _sizes(images: Sequence[np.ndarray], patch: int) -> tuple[np.ndarray, list[int]]:
    """Rows and columns of patches of each picture, and where its patches end."""
    sides = np.array([image.shape[:2] for image in images]) // patch
    return sides, sides.prod(1).cumsum().tolist()


def _grid(sides: np.ndarray) -> np.ndarray:
    return np.concatenate([np.ones((len(sides), 1), np.int64), sides], axis=1)


def _in_patches(image: np.ndarray, patch: int, merge: int) -> np.ndarray:
    """Patches by squares of merge × merge: [row, col, row in it, col in it, channel, patch …]."""
    height, width, _ = image.shape
    step = patch * merge
    parts = image.reshape(height // step, merge, patch, width // step, merge, patch, 3)
    return np.ascontiguousarray(parts.transpose(0, 3, 1, 4, 6, 2, 5))


def _table(processor: Any, images: Sequence[np.ndarray]) -> np.ndarray | None:
    """The value of each byte: float32[256]. None if a look-up is not enough."""
    alike = all(len(set(each)) == 1 for each in (processor.image_mean, processor.image_std))
    if not alike or not all(_as_it_is(processor, shape) for shape in {i.shape for i in images}):
        return None
    if any(image.dtype != np.uint8 for image in images):
        return None
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)  # channel, row, col
    if processor.do_rescale:
        levels = processor.rescale(levels, processor.rescale_factor)
    if processor.do_normalize:
        levels = processor.normalize(levels, processor.image_mean[:1], processor.image_std[:1])
    return np.asarray(levels, np.float32).ravel()


def _as_it_is(processor: Any, shape: tuple[int, ...]) -> bool:
    """Whether a picture of that shape has three channels and is not resized."""
    if len(shape) != 3 or shape[2] != 3:
        return False
    height, width, _ = shape
    step = processor.patch_size * processor.merge_size
    whole = height % step == 0 and width % step == 0
    size = processor.size
    return whole and size["shortest_edge"] <= height * width <= size["longest_edge"]
