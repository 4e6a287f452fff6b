"""Other image-text families of transformers, tiny and untrained, with the project's tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3Processor,
    GenerationConfig,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionProcessor,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
)
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import (
    LlavaOnevisionImageProcessorPil,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from training.model.tiny import CHAT_TEMPLATE, END, PAD, build_tokenizer

FAMILIES = ("qwen2_5_vl", "internvl", "llava_onevision")
IMAGE, VIDEO = "<|image_pad|>", "<|video_pad|>"
VISION_START, VISION_END = "<|vision_start|>", "<|vision_end|>"
# The other two families put an image's first and last token around it by themselves.
PLAIN_TEMPLATE = CHAT_TEMPLATE.replace(VISION_START + IMAGE + VISION_END, IMAGE)


def without_videos(processor: Any) -> type:
    """A processor class of transformers without its video half, which needs torchvision."""

    def parts(cls: type) -> list[str]:
        return [each for each in processor.get_attributes() if each != "video_processor"]

    return type(processor.__name__, (processor,), {"get_attributes": classmethod(parts)})


PROCESSORS = {
    "qwen2_5_vl": without_videos(Qwen2_5_VLProcessor),
    "internvl": without_videos(InternVLProcessor),
    "llava_onevision": without_videos(LlavaOnevisionProcessor),
    "gemma3": Gemma3Processor,  # evaluated, not trained
}


class VideolessProcessor:
    """Stands for `AutoProcessor` where there is no torchvision."""

    @staticmethod
    def from_pretrained(path: str, trust_remote_code: bool = False) -> Any:
        kind = AutoConfig.from_pretrained(path).model_type
        return PROCESSORS[kind].from_pretrained(path, trust_remote_code=trust_remote_code)


def save_family(name: str, folder: Path) -> Path:
    """A checkpoint folder of that family."""
    tokenizer = build_tokenizer()
    token = tokenizer.convert_tokens_to_ids
    text = {
        "vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 64,
        "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
        "pad_token_id": token(PAD), "eos_token_id": token(END),
    }  # fmt: skip
    places = {"image_token_id": token(IMAGE), "video_token_id": token(VIDEO)}
    tower = {
        "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }  # fmt: skip
    normal = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    torch.manual_seed(0)
    if name == "qwen2_5_vl":
        rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e4}
        vision = {
            "depth": 1, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2,
            "out_hidden_size": 32, "patch_size": 16, "fullatt_block_indexes": [0],
        }  # fmt: skip
        ends = {
            "vision_start_token_id": token(VISION_START), "vision_end_token_id": token(VISION_END),
        }  # fmt: skip
        config = Qwen2_5_VLConfig(
            text_config=text | {"rope_parameters": rope}, vision_config=vision, **places, **ends
        )
        model = Qwen2_5_VLForConditionalGeneration(config)
        images = Qwen2VLImageProcessorPil(
            patch_size=16, min_pixels=32 * 32, max_pixels=96 * 96, **normal
        )
        processor = PROCESSORS[name](images, tokenizer, chat_template=CHAT_TEMPLATE)
    elif name == "internvl":
        tokenizer._set_model_specific_special_tokens(
            {
                "start_image_token": VISION_START, "end_image_token": VISION_END,
                "context_image_token": IMAGE, "video_token": VIDEO,
            }
        )  # fmt: skip
        sizes = {"image_size": [64, 64], "patch_size": [16, 16]}
        config = InternVLConfig(
            text_config=text | {"model_type": "qwen2"}, vision_config=tower | sizes,
            image_token_id=token(IMAGE), image_seq_length=4,
        )  # fmt: skip
        model = InternVLForConditionalGeneration(config)
        images = GotOcr2ImageProcessorPil(size={"height": 64, "width": 64}, **normal)
        processor = PROCESSORS[name](
            images, tokenizer, chat_template=PLAIN_TEMPLATE, image_seq_length=4
        )
    elif name == "gemma3":
        tokenizer._set_model_specific_special_tokens(
            {"boi_token": VISION_START, "eoi_token": VISION_END, "image_token": IMAGE}
        )
        config = Gemma3Config(
            text_config=text | {"head_dim": 16},
            vision_config=tower | {"image_size": 64, "patch_size": 16},
            image_token_id=token(IMAGE), boi_token_index=token(VISION_START),
            eoi_token_index=token(VISION_END), mm_tokens_per_image=4,
        )  # fmt: skip
        model = Gemma3ForConditionalGeneration(config)
        images = Gemma3ImageProcessorPil(size={"height": 64, "width": 64}, **normal)
        template = CHAT_TEMPLATE.replace(VISION_START + IMAGE + VISION_END, VISION_START)
        processor = PROCESSORS[name](images, tokenizer, chat_template=template, image_seq_length=4)
    else:
        sizes = {"image_size": 64, "patch_size": 16, "vision_use_head": False}
        pinpoints = [[64, 64], [128, 128]]
        config = LlavaOnevisionConfig(
            text_config=text | {"model_type": "qwen2"},
            vision_config=tower | sizes | {"model_type": "siglip_vision_model"},
            image_grid_pinpoints=pinpoints, **places,
        )  # fmt: skip
        model = LlavaOnevisionForConditionalGeneration(config)
        images = LlavaOnevisionImageProcessorPil(
            size={"height": 64, "width": 64}, image_grid_pinpoints=pinpoints, **normal
        )
        processor = PROCESSORS[name](
            images, tokenizer, chat_template=PLAIN_TEMPLATE, num_image_tokens=16,
            vision_feature_select_strategy="full", image_token=IMAGE, video_token=VIDEO,
        )  # fmt: skip
    model.generation_config = GenerationConfig(eos_token_id=token(END), pad_token_id=token(PAD))
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
