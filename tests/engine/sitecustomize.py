"""Lets the CPU build of torch live with torchvision's CUDA build, which vLLM's CPU build brings.

torchvision's compiled operators cannot load there, and its import then dies of describing operators
that do not exist. Python runs this file at its start, because the folder is on PYTHONPATH; it
declares those operators just before torchvision is first imported. Nothing here calls them. Its
decoder of pictures, which transformers' server calls, is Pillow's instead.
"""

import sys


class _DeclareOperators:
    """An import hook that finds nothing: it only sees torchvision coming."""

    declared = None

    def find_spec(self, name, path=None, target=None):
        if name == "transformers.image_utils":
            _decode_by_pillow()
        if name == "torchvision" and self.declared is None:
            import torch

            self.declared = torch.library.Library("torchvision", "DEF")
            if torch.version.cuda is None:
                for operator in ("nms", "qnms"):
                    self.declared.define(
                        f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
                    )


def _decode_by_pillow():
    import io

    import torch

    if torch.version.cuda is not None:
        return
    import torchvision.io
    from PIL import Image
    from torchvision.transforms.functional import pil_to_tensor

    def decode_image(input, mode="RGB", **_):
        content = io.BytesIO(input.numpy().tobytes()) if isinstance(input, torch.Tensor) else input
        return pil_to_tensor(Image.open(content).convert("RGB"))

    torchvision.io.decode_image = decode_image


sys.meta_path.insert(0, _DeclareOperators())
