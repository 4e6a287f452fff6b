"""Supervised fine-tuning on live boards: `python -m training.sft`.

Stage 1 of MGSD (arXiv 2606.06076): the model learns to read the board before it plans on it. Each
example is a fresh reset; its target is written from the symbolic state, which the model never
sees. With `--target plan` it is the direct-plan baseline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.agent import View
from agents.encoding import Completed, complete, encode_prompts
from agents.loading import Loaded, load_checkpoint
from agents.prompts import perception_target, planning_target
from agents.rollouts import INPUTS
from training.boards import Board, LiveBoards
from training.losses import cross_entropy
from training.measure import measure
from training.trainer import CompletionTrainer, Measure, TrainingConfig, micro_batch_size, run
from vsp_envs.task import pick_name

TARGETS = {"perception": ("perceive", perception_target), "plan": ("plan", planning_target)}
"""Target → what the prompt asks for, and the reference answer."""


@dataclass(frozen=True)
class SFTConfig(TrainingConfig):
    """Perception SFT: image in, state of the board out."""

    model: str = ""
    """Checkpoint to start from."""
    input: str = "image"
    """What the model sees: `image`, or `text` (the symbolic state)."""
    target: str = "perception"
    """What it learns to answer: `perception`, or `plan` (state, route and answer)."""


class SFTTrainer(CompletionTrainer):
    """Cross-entropy of the reference answer."""

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Mean over the step's answer tokens."""
        completed = Completed(**inputs)
        logits = self.completion_logits(model, completed)
        return self.over_ranks(
            cross_entropy(logits, completed.ids, completed.mask, num_items_in_batch)
        )


class Collate:
    """Boards → prompts with their reference answers appended, ended by the end token."""

    def __init__(self, processor: Any, view: View, input: str, target: str) -> None:
        """See `SFTConfig` for `input` and `target`."""
        self.processor, self.view, self.input = processor, view, input
        self.goal, self.answer = TARGETS[pick_name("target", target, TARGETS)]

    def __call__(self, boards: Sequence[Board]) -> dict[str, Any]:
        """One micro-batch, the fields of `Completed`."""
        tokenizer = self.processor.tokenizer
        prompts = [board.prompt(self.input, self.goal, self.view) for board in boards]
        answers = tokenizer([self.answer(board.layout) for board in boards]).input_ids
        answers = [[*ids, tokenizer.eos_token_id] for ids in answers]
        inputs = encode_prompts(self.processor, prompts)
        return complete(inputs, answers, tokenizer.pad_token_id)._asdict()


def train(config: SFTConfig, loaded: Loaded | None = None) -> Path:
    """Run the stage; returns the folder of the final checkpoint."""
    pick_name("target", config.target, TARGETS)
    pick_name("input", config.input, INPUTS)
    loaded = loaded or load_checkpoint(config.model, dtype="float32")
    size = config.steps * config.batch_size
    boards = LiveBoards(
        config.kinds(), loaded.view, config.split, config.seed, size, micro_batch_size(config)
    )
    collate = Collate(loaded.processor, loaded.view, config.input, config.target)
    trainer = SFTTrainer(config, loaded, boards, data_collator=collate)
    goal = TARGETS[config.target][0]
    trainer.add_callback(
        Measure(trainer, config.eval_every, lambda: measure(loaded, config, config.input, goal))
    )
    return run(trainer, loaded)


if __name__ == "__main__":
    from vsp_envs.cli import main

    main(train, SFTConfig)
