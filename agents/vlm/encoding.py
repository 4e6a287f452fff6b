"""Prompts → model inputs: the one way in, for generation, SFT and OPCD alike."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn.functional import pad
from transformers.image_utils import SizeDict
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from agents.agent import Prompt
from agents.vlm.processor import ImageTextProcessor

ModelInputs = dict[str, torch.Tensor]


def encode_prompts(
    processor: Any,
    prompts: Sequence[Prompt],
    prefills: Sequence[str] | None = None,
    packed: bool = False,
) -> ModelInputs:
    """Left-padded inputs that end in the generation prefix, and in a prefill if given.

    `input_ids`, `attention_mask` and `mm_token_type_ids` are [batch, prompt]; with images also
    `pixel_values` [patches of all images, features] and `image_grid_thw` [images, 3].
    With `packed`, our processor leaves pictures as bytes for `agents.vlm.image_patches.unpack`.
    """
    texts = chat_texts(processor, prompts)
    if prefills is not None:
        texts = [text + prefill for text, prefill in zip(texts, prefills, strict=True)]
    images = [image for prompt in prompts for image in prompt.images]
    if isinstance(processor, ImageTextProcessor):
        return processor.encode(texts, images, packed)
    # Gemma 3 wants to know which text an image is of; others take no text without one then.
    own = [list(prompt.images) for prompt in prompts]
    inputs = processor(
        text=texts,
        images=(own if all(own) else images) or None,
        padding=True,
        padding_side="left",
        return_tensors="pt",
        return_mm_token_type_ids=True,
    )
    return dict(inputs)


_TEXT = "\0text\0"


def chat_texts(processor: Any, prompts: Sequence[Prompt]) -> list[str]:
    """The chats in the model's template, which is filled in once for prompts of the same form.

    These have a single turn with one text, which Qwen's templates copy unchanged; visual prompts
    differ only in their images. Other prompts are filled in one by one.
    """
    forms: dict[str, str] = {}
    texts = []
    for prompt in prompts:
        form, text = prompt, ""
        if isinstance(processor, ImageTextProcessor) and len(prompt.messages) == 1:
            [message] = prompt.messages
            said = [item["text"] for item in message["content"] if item["type"] == "text"]
            if len(said) == 1:
                [text] = said
                blank = [
                    {"type": "text", "text": _TEXT} if item["type"] == "text" else item
                    for item in message["content"]
                ]
                form = Prompt([{**message, "content": blank}])
        key = repr(form.messages)
        if key not in forms:
            forms[key] = chat_text(processor, form)
        texts.append(forms[key].replace(_TEXT, text))
    return texts


def chat_text(processor: Any, prompt: Prompt) -> str:
    """The chat in the model's template, up to the start of the answer."""
    return processor.tokenizer.apply_chat_template(
        prompt.messages,
        chat_template=processor.chat_template,
        tokenize=False,
        add_generation_prompt=True,
    )


def answer_opening(processor: Any) -> str:
    """What parts an answer from the generation prefix: the end of the thought, where the template
    of a thinking model has opened one; else nothing."""
    said = [{"type": "text", "text": ""}]
    prefix = chat_text(processor, Prompt([{"role": "user", "content": said}]))
    return "\n</think>\n\n" if prefix.rstrip().endswith("<think>") else ""


def resized(processor: Any, prompt: Prompt) -> Prompt:
    """The prompt with its pictures resized as the processor will resize them.

    Another processor may resize with other arithmetic, but leaves a picture that fits unchanged.
    """
    images = processor.image_processor
    if not isinstance(images, Qwen2VLImageProcessorPil):
        return prompt
    size, factor = SizeDict(**dict(images.size)), images.patch_size * images.merge_size
    fitting = [
        images.resize(image.transpose(2, 0, 1), size, images.resample, factor).transpose(1, 2, 0)
        for image in prompt.images
    ]
    return prompt._replace(pictures=tuple(map(np.ascontiguousarray, fitting)))


def select_rows(inputs: ModelInputs, rows: Sequence[int]) -> ModelInputs:
    """Some of the prompts with their pictures, in this order, without padding that none needs."""
    everything = range(len(inputs["input_ids"]))
    if list(rows) == list(everything):
        return inputs
    longest = int(inputs["attention_mask"][rows].sum(1).max())
    kept = {name: inputs[name][rows, -longest:] for name in TEXT_INPUTS}
    owners = picture_owners(inputs)
    pictures = [at for row in rows for at, owner in enumerate(owners) if owner == row]
    if not pictures:
        return kept
    shown = {}
    for name in inputs.keys() - kept.keys():
        each = inputs[name]
        if name == "pixel_values" and "image_grid_thw" in inputs:
            ends = inputs["image_grid_thw"].prod(1).cumsum(0).tolist()
            starts = [0, *ends]
            shown[name] = torch.cat([each[starts[at] : ends[at]] for at in pictures])
        elif name in SHARED_INPUTS:
            shown[name] = each
        else:
            shown[name] = each[pictures]
    return kept | shown


TEXT_INPUTS = ("input_ids", "attention_mask", "mm_token_type_ids")
SHARED_INPUTS = ("pixel_levels", "pixel_frames")
"""Inputs that are no row's own, see `agents.vlm.image_patches.Packed`."""


def picture_owners(inputs: ModelInputs) -> list[int]:
    """The row that each picture belongs to; a family may cut a picture into several.

    Pictures come row after row, and a row has the more image tokens the more of them are its own.
    """
    tokens = (inputs["mm_token_type_ids"] == 1).sum(1)
    if "pixel_values" not in inputs:
        return []
    if "image_grid_thw" in inputs:
        sizes = inputs["image_grid_thw"].prod(1)
    else:
        sizes = torch.ones(len(inputs["pixel_values"]), dtype=torch.int64)
        if len(sizes) == int((tokens > 0).sum()):  # however many tokens each of them has
            return tokens.nonzero()[:, 0].tolist()
    # The middle of a picture lies among the tokens of its row.
    middles = (2 * sizes.cumsum(0) - sizes).cpu() * int(tokens.sum())
    ends = 2 * tokens.cumsum(0).cpu() * int(sizes.sum())
    return torch.searchsorted(ends, middles).tolist()


def join_rows(parts: Sequence[ModelInputs], pad_id: int) -> ModelInputs:
    """All prompts of several inputs with their pictures, padded on the left to the longest."""
    if len(parts) == 1:
        return parts[0]
    widest = max(part["input_ids"].shape[1] for part in parts)
    joined = {
        name: torch.cat([
            pad(part[name], (widest - part[name].shape[1], 0), value=fill) for part in parts
        ])
        for name, fill in zip(TEXT_INPUTS, (pad_id, 0, 0), strict=True)
    }  # fmt: skip
    shown = dict.fromkeys(name for part in parts for name in part if name not in joined)
    seen = {name: [part[name] for part in parts if name in part] for name in shown}
    return joined | {name: torch.cat(each) for name, each in seen.items()}


class Completed(NamedTuple):
    """Prompts with completions appended: [left padding, prompt, completion, right padding]."""

    inputs: ModelInputs
    """What `forward` takes; [batch, prompt + completion]."""
    ids: torch.Tensor
    """The completions alone, int64[batch, completion], padded on the right."""
    mask: torch.Tensor
    """Which of `ids` count, bool[batch, completion]: all up to the first end token, and it."""


def complete(
    prompts: ModelInputs,
    completions: Sequence[Sequence[int]],
    pad_id: int,
    given: Sequence[int] | None = None,
) -> Completed:
    """Append token ids to left-padded prompts. The ids are never decoded and read again.

    Of each row the first `given` tokens are read, and are none of the mask.
    """
    longest = max(1, *(len(each) for each in completions))
    ids = torch.full((len(completions), longest), pad_id)
    mask = torch.zeros(ids.shape, dtype=torch.bool)
    for row, completion in enumerate(completions):
        ids[row, : len(completion)] = torch.as_tensor(completion)
        mask[row, : len(completion)] = True
    ids, mask = ids.to(prompts["input_ids"].device), mask.to(prompts["input_ids"].device)
    inputs = dict(prompts)
    inputs["input_ids"] = torch.cat([prompts["input_ids"], ids], 1)
    attention = prompts["attention_mask"]
    inputs["attention_mask"] = torch.cat([attention, mask.to(attention.dtype)], 1)
    for row, count in enumerate(given or ()):
        mask[row, :count] = False
    kinds = prompts.get("mm_token_type_ids")
    if kinds is None:
        raise ValueError(
            "the processor of this model does not say in mm_token_type_ids which tokens are of "
            "pictures, as training needs; it can be evaluated"
        )
    inputs["mm_token_type_ids"] = torch.cat([kinds, torch.zeros_like(ids, dtype=kinds.dtype)], 1)
    return Completed(inputs, ids, mask)


def until_end(ids: Sequence[int], end_ids: Sequence[int]) -> list[int]:
    """A sampled completion up to its first end token, which stays."""
    ids = list(ids)
    first = next((index for index, token in enumerate(ids) if token in end_ids), len(ids))
    return ids[: first + 1]


def why_ended(ids: Sequence[int], end_ids: Container[int]) -> str:
    """`stop` if a completion ends in an end token, `length` if it was cut off, as endpoints say."""
    return "stop" if ids and ids[-1] in end_ids else "length"
