"""A vision tower's patch embedding as a matrix product.

Qwen-VL cuts the patches first and embeds them by a convolution whose kernel is a whole patch, so
every patch is multiplied by one matrix. PyTorch's convolutions are slow at that.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F


class PatchLinear(nn.Conv3d):
    """A Conv3d with exactly one position, computed as a matrix product; same parameters."""

    def forward(self, patches: Tensor) -> Tensor:
        """[patch, channel, frame, row, col] → [patch, feature, 1, 1, 1]."""
        made = F.linear(patches.flatten(1), self.weight.flatten(1), self.bias)
        return made[..., None, None, None]


def embed_by_product(model: Any) -> Any:
    """The model with its patch embedding as a product; models of other families are unchanged.

    Parameters, their names, hooks and checkpoints stay as they are.
    """
    embedding = getattr(getattr(model.base_model, "visual", None), "patch_embed", None)
    convolution = getattr(embedding, "proj", None)
    if type(convolution) is nn.Conv3d and convolution.kernel_size == convolution.stride:
        convolution.__class__ = PatchLinear
    return model
