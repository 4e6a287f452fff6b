"""Qwen3-VL's processor without its video half, which needs torchvision."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import Qwen3VLProcessor

# Imported by module path: the class picker at the top of transformers wants torchvision.
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from agents.vlm.image_patches import packed_patches, patches


class ImageTextProcessor(Qwen3VLProcessor):
    """`Qwen3VLProcessor` for images and text; call, chat template, save and load work as usual."""

    def __init__(
        self, image_processor: Any, tokenizer: Any, chat_template: str | None = None
    ) -> None:
        """Same parts as the parent, less the video processor."""
        super().__init__(image_processor, tokenizer, None, chat_template=chat_template)

    def encode(
        self, texts: Sequence[str], images: Sequence[np.ndarray], packed: bool = False
    ) -> dict[str, torch.Tensor]:
        """What a call returns that pads on the left, sooner: equal texts are tokenised once.

        The chats of visual prompts are equal but for their pictures, which with `packed` are left
        as bytes for `agents.vlm.image_patches.unpack`.
        """
        cut = packed_patches if packed else patches
        pictures = cut(self.image_processor, images)._asdict() if images else {}
        parts = [text.split(self.image_token) for text in texts]
        if sum(map(len, parts)) - len(parts) != len(images):
            raise ValueError(f"{len(images)} images for other than that many {self.image_token}")
        areas = pictures["image_grid_thw"].prod(1) if images else np.zeros(0, int)
        counts = iter((areas // self.image_processor.merge_size**2).tolist())
        whole = [
            first + "".join(self.image_token * next(counts) + part for part in rest)
            for first, *rest in parts
        ]
        different = list(dict.fromkeys(whole))
        rows = dict(zip(different, self.tokenizer(different).input_ids, strict=True))
        longest = max(map(len, rows.values()))
        ids = np.full((len(whole), longest), self.tokenizer.pad_token_id)
        attended = np.zeros_like(ids)
        for place, text in enumerate(whole):
            begin = longest - len(rows[text])
            ids[place, begin:], attended[place, begin:] = rows[text], 1
        seen = (ids == self.image_token_id).astype(np.int64)
        made = {"input_ids": ids, "attention_mask": attended, "mm_token_type_ids": seen, **pictures}
        return {name: torch.from_numpy(each) for name, each in made.items()}

    def save_pretrained(self, save_directory: str | Path, **options: Any) -> Any:
        """Save with a word on videos too, without which vLLM and the stock processor do not load.

        The stock video processor knows the rest; it has to cut patches as the images are cut.
        """
        saved = super().save_pretrained(save_directory, **options)
        video = {"video_processor_type": "Qwen3VLVideoProcessor"} | {
            name: getattr(self.image_processor, name)
            for name in ("patch_size", "temporal_patch_size", "merge_size")
        }
        file = Path(save_directory, "video_preprocessor_config.json")
        file.write_text(json.dumps(video, indent=2) + "\n")
        return saved

    @classmethod
    def load(cls, path: str) -> ImageTextProcessor:
        """The processor of a checkpoint folder or hub name."""
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
        images = Qwen2VLImageProcessorPil.from_pretrained(path)
        settings, _ = cls.get_processor_dict(path)  # with what chat_template.json holds, as Qwen's
        return cls(images, tokenizer, settings.get("chat_template") or tokenizer.chat_template)


# Under this name it is saved: whoever loads the folder finds transformers' own class by it.
ImageTextProcessor.__name__ = Qwen3VLProcessor.__name__
