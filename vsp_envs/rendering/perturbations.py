"""Changes to an image before a model sees it: colour, noise, blur, JPEG and more."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageFilter

from vsp_envs.core.layout import UInt8

Perturbation = Callable[[UInt8, np.random.Generator], UInt8]
"""Picture, generator for its strength → a fresh picture of the same shape."""


def colour(image: UInt8, rng: np.random.Generator) -> UInt8:
    """Each channel brighter or darker by up to a third, and shifted by up to 24 of 255."""
    changed = image * rng.uniform(0.67, 1.33, 3) + rng.uniform(-24, 24, 3)
    return np.clip(changed, 0, 255).astype(np.uint8)


def noise(image: UInt8, rng: np.random.Generator) -> UInt8:
    """Gaussian noise with a deviation of 8 to 32 of 255 on every value."""
    changed = image + rng.normal(0, rng.uniform(8, 32), image.shape)
    return np.clip(changed, 0, 255).astype(np.uint8)


def blur(image: UInt8, rng: np.random.Generator) -> UInt8:
    """A Gaussian blur whose radius is 1/256 to 1/96 of the side."""
    radius = len(image) * rng.uniform(1 / 256, 1 / 96)
    return np.array(Image.fromarray(image).filter(ImageFilter.GaussianBlur(radius)))


def jpeg(image: UInt8, rng: np.random.Generator) -> UInt8:
    """Saved as JPEG of quality 15 to 60 and read again."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=int(rng.integers(15, 61)))
    return np.array(Image.open(file))


def scale(image: UInt8, rng: np.random.Generator) -> UInt8:
    """Shrunk to 70–95 % and placed anywhere on a grey background."""
    side = len(image)
    small = round(side * rng.uniform(0.7, 0.95))
    top, left = rng.integers(side - small + 1, size=2).tolist()
    changed = np.full_like(image, 128)
    picture = Image.fromarray(image).resize((small, small), Image.Resampling.LANCZOS)
    changed[top : top + small, left : left + small] = np.array(picture)
    return changed


def rotate(image: UInt8, rng: np.random.Generator) -> UInt8:
    """Rotated by 90, 180 or 270 degrees."""
    return np.rot90(image, int(rng.integers(1, 4))).copy()


PERTURBATIONS: dict[str, Perturbation] = {
    each.__name__: each for each in (colour, noise, blur, jpeg, scale, rotate)
}


def perturb(image: UInt8, kinds: Sequence[str], episode: int) -> UInt8:
    """The picture after each of `kinds` in turn, as strongly as the number of the episode says."""
    for number, kind in enumerate(kinds):
        image = PERTURBATIONS[kind](image, np.random.default_rng([episode, number]))
    return image


def episode_of(rng: np.random.Generator) -> int:
    """The number of an episode, sampled from the generator of its seed."""
    return int(rng.integers(1 << 32))
