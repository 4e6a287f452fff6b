"""Qwen3-VL's processor without its video half, which needs torchvision."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers import Qwen3VLProcessor

# Imported by module path: the class picker at the top of transformers wants torchvision.
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil


class ImageTextProcessor(Qwen3VLProcessor):
    """`Qwen3VLProcessor` for images and text; call, chat template, save and load work as usual."""

    def __init__(
        self, image_processor: Any, tokenizer: Any, chat_template: str | None = None
    ) -> None:
        """Same parts as the parent, less the video processor."""
        super().__init__(image_processor, tokenizer, None, chat_template=chat_template)

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

        tokenizer = AutoTokenizer.from_pretrained(path)
        images = Qwen2VLImageProcessorPil.from_pretrained(path)
        return cls(images, tokenizer, getattr(tokenizer, "chat_template", None))
