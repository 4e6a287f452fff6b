"""Print what a run would do instead of doing it: prompts, aligned tokens, memory."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from agents.vlm.encoding import Completed
from training.loop.arguments import micro_batches, processes
from training.loop.memory_estimate import GIB, Sizes, answers_at_once, estimate
from training.loop.trainer import CompletionTrainer


def dry_run(trainer: CompletionTrainer) -> None:
    """Print the prompts and tokens of the first board, and the memory of the run."""
    boards: Any = trainer.train_dataset
    sides = trainer.read_by(boards[0])
    if not trainer.is_world_process_zero():
        return
    tokenizer = trainer.processor.tokenizer
    for name, side in sides.items():
        print(f"— {name}'s prompt, {prompt_length(side)} tokens\n{prompt_text(tokenizer, side)}\n")
    print("— the answer: each token, its index in each sequence, and the token before it there")
    print(aligned(tokenizer, sides))
    print(f"\n— memory\n{memory_text(trainer, sides)}")


def prompt_length(side: Completed) -> int:
    """Tokens of the first prompt, padding left out."""
    return int(side.inputs["attention_mask"][0].sum() - side.mask[0].sum())


def prompt_text(tokenizer: Any, side: Completed) -> str:
    """The first prompt as the model reads it, with runs of image tokens as a count."""
    width = side.ids.shape[1]
    ids = side.inputs["input_ids"][0, :-width]
    text = tokenizer.decode(ids[side.inputs["attention_mask"][0, :-width].bool()])
    return re.sub(r"(<\|image_pad\|>)+", lambda run: f"<|image_pad|> × {run[0].count('pad')}", text)


def aligned(tokenizer: Any, sides: Mapping[str, Completed]) -> str:
    """One line per token: its index in each sequence, and the token before it there."""
    names, first = list(sides), next(iter(sides.values()))
    heads = [f"{name + ' index':>14} {'after':<16}" for name in names]
    lines = [f"{'token':<18}" + "".join(heads)]
    for token in range(int(first.mask[0].sum())):
        cells = []
        for side in sides.values():
            sequence = side.inputs["input_ids"][0]
            index = len(sequence) - side.ids.shape[1] + token
            if sequence[index] != first.ids[0, token]:
                raise ValueError(f"token {token} of the answer differs between {names}")
            before = repr(tokenizer.decode(sequence[index - 1 : index]))
            cells.append(f"{index:>14} {before:<16}")
        text = repr(tokenizer.decode(first.ids[0, token : token + 1]))
        lines.append(f"{text:<18}" + "".join(cells))
    return "\n".join(map(str.rstrip, lines))


def memory_text(trainer: CompletionTrainer, sides: Mapping[str, Completed]) -> str:
    """The estimate for the settings and processes of this run, one part per line."""
    config, side = trainer.config, sides["student"]
    of_picture = patches(side, trainer.model.config.vision_config)
    sizes = sizes_of(config, prompt_length(side), side.ids.shape[1], of_picture)
    found = estimate(trainer.model.config, config, sizes, processes(), "teacher" in sides)
    lines = [f"{name:<12}{value / GIB:10.3f} GiB" for name, value in found.parts().items()]
    at_once = f"{found.total / GIB:10.3f} GiB on each of {processes()} device(s)"
    lines.append(f"{'at once':<12}{at_once}; the host's memory is that at the start")
    return "\n".join(lines)


def sizes_of(config: Any, prompt: int, answer: int, of_picture: int) -> Sizes:
    """The largest forward pass of a process, from the first board's prompt and answer.

    OPCD has in it all plays of its boards and all turns of these, each with as many earlier turns
    as its prompt may hold.
    """
    policy, longest = config.turn_policy, getattr(config, "max_new_tokens", answer)
    plays = getattr(config, "rollouts", 1)
    turns = policy.max_turns if hasattr(config, "rollouts") and not policy.one_reply else 1
    earlier = min(policy.history, turns - 1)
    prompt += earlier * (prompt + longest)
    boards: float = -(-config.batch_size // (processes() * micro_batches(config))) * plays * turns
    if config.micro_batch_tokens:
        boards = config.micro_batch_tokens / (prompt + longest)
    return Sizes(
        boards, prompt, longest, of_picture * (1 + earlier), answers_at_once(config, processes())
    )


def patches(side: Completed, vision: Any) -> int:
    """Patches of the pictures of a single prompt."""
    if "image_grid_thw" in side.inputs:
        return int(side.inputs["image_grid_thw"].prod(1).sum())
    if "pixel_values" not in side.inputs:
        return 0
    size = vision.patch_size
    height, width = (size, size) if isinstance(size, int) else size
    return side.inputs["pixel_values"].numel() // (3 * height * width)
