"""Qwen3-VL's processor without its video half, which needs torchvision."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer, Qwen3VLProcessor

# Imported by module path: the class picker at the top of transformers wants torchvision.
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from agents.vlm.image_patches import packed_patches, patches
from vsp_envs.utils.words import counted


class ImageTextProcessor(Qwen3VLProcessor):
    """`Qwen3VLProcessor` for images and text; calls, chat template, save and load are the same."""

    def __init__(
        self, image_processor: Any, tokenizer: Any, chat_template: str | None = None
    ) -> None:
        """Same parts as the parent, without the video processor."""
        super().__init__(image_processor, tokenizer, None, chat_template=chat_template)

    def encode(
        self, texts: Sequence[str], images: Sequence[np.ndarray], packed: bool = False
    ) -> dict[str, torch.Tensor]:
        """The same as a call that pads on the left, but faster: equal texts are tokenised once.

        The chats of visual prompts differ only in their pictures. With `packed` these stay bytes
        for `agents.vlm.image_patches.unpack`.
        """
        cut = packed_patches if packed else patches
        pictures = cut(self.image_processor, images)._asdict() if images else {}
        parts = [text.split(self.image_token) for text in texts]
        if sum(map(len, parts)) - len(parts) != len(images):
            raise ValueError(
                f"{counted(len(images), 'image')}, but another number of {self.image_token}"
            )
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
        for row, text in enumerate(whole):
            begin = longest - len(rows[text])
            ids[row, begin:], attended[row, begin:] = rows[text], 1
        seen = (ids == self.image_token_id).astype(np.int64)
        made = {"input_ids": ids, "attention_mask": attended, "mm_token_type_ids": seen, **pictures}
        return {name: torch.from_numpy(each) for name, each in made.items()}

    def save_pretrained(self, save_directory: str | Path, **options: Any) -> Any:
        """Save with a video configuration too, which vLLM and the stock processor need to load.

        It only says that patches of videos are cut as those of images are.
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
        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
        images = Qwen2VLImageProcessorPil.from_pretrained(path)
        settings, _ = cls.get_processor_dict(path)  # with what chat_template.json holds, as Qwen's
        return cls(images, tokenizer, settings.get("chat_template") or tokenizer.chat_template)


# Under this name it is saved: whoever loads the folder finds transformers' own class by it.
ImageTextProcessor.__name__ = Qwen3VLProcessor.__name__
