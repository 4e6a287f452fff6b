"""A blank picture without effect on the loss, for a process whose micro-batch has no picture.

Where weights are sharded, all processes must run the vision tower together or not at all. A process
that skips it waits at another collective call than the others, and the run hangs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn.functional import pad

from agents.agent import Prompt
from agents.vlm.encoding import Completed, encode_prompts

BLANK = Prompt(
    [{"role": "user", "content": [{"type": "image"}]}], (np.zeros((32, 32, 3), np.uint8),)
)


def with_blank_image(completed: Completed, processor: Any) -> Completed:
    """One row more: a black picture without an answer, so no loss reads it.

    The vision tower's gradients get zeros added, and the other rows are as they were.
    """
    fills = {"input_ids": processor.tokenizer.pad_token_id}
    blank = encode_prompts(processor, [BLANK])
    width = completed.ids.shape[1]
    inputs = {name: value.to(completed.ids.device) for name, value in blank.items()}
    for name in ("input_ids", "attention_mask", "mm_token_type_ids"):
        rows, fill = completed.inputs[name], fills.get(name, 0)
        row = pad(inputs[name], (0, width), value=fill)
        longest = max(rows.shape[1], row.shape[1])
        padded = [pad(each, (longest - each.shape[1], 0), value=fill) for each in (rows, row)]
        inputs[name] = torch.cat(padded)
    return Completed(inputs, pad(completed.ids, (0, 0, 0, 1)), pad(completed.mask, (0, 0, 0, 1)))
