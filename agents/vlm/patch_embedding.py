"""A vision tower's patch embedding as the matrix product that it is.

Qwen-VL cuts patches beforehand and embeds them by a convolution whose kernel is a whole patch:
every patch is multiplied by one matrix. PyTorch's convolutions are slow at that.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F


class PatchLinear(nn.Conv3d):
    """A Conv3d that sees exactly one position: same parameters, same result, a matrix product."""

    def forward(self, patches: Tensor) -> Tensor:
        """[patch, channel, frame, row, col] → [patch, feature, 1, 1, 1]."""
        made = F.linear(patches.flatten(1), self.weight.flatten(1), self.bias)
        return made[..., None, None, None]


def embed_by_product(model: Any) -> Any:
    """The model, its patch embedding no convolution any more; others are left as they are.

    Parameters and their names stay, hooks and checkpoints do too.
    """
    embedding = getattr(getattr(model.base_model, "visual", None), "patch_embed", None)
    convolution = getattr(embedding, "proj", None)
    if type(convolution) is nn.Conv3d and convolution.kernel_size == convolution.stride:
        convolution.__class__ = PatchLinear
    return model
