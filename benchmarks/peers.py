"""TRL's trainers on our boards: the peers of `benchmarks.training`. A benchmark dependency only.

`pip install --constraint constraints.txt --group bench` installs TRL; its imports stand inside
functions because it may be missing. Its DistillationTrainer gives teacher and student the same
inputs, so a text-only teacher needs the small subclass here.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import torch

from agents.vlm.checkpoint import Loaded, end_token_ids, vision_token_ids
from training.data.layout_stream import Board, LiveBoards
from vsp_envs.prompts.question import text_prompt

INSTALLED = importlib.util.find_spec("trl") is not None


def sft_peer(loaded: Loaded, boards: LiveBoards, batch: int, answer: Any, out: Path) -> Any:
    """TRL's SFTTrainer: the boards' visual prompts and their reference answers."""
    from trl import SFTConfig, SFTTrainer

    def row(board: Board) -> dict[str, Any]:
        completion = [{"role": "assistant", "content": answer(board.layout)}]
        return {**_prompt(board, loaded, "perceive"), "completion": completion}

    loaded = with_convolution(loaded)
    # TRL refuses packing with images; the other settings are the fastest here.
    args = SFTConfig(max_length=None, **_arguments(batch, out))
    return SFTTrainer(
        loaded.model, args, train_dataset=_stream(boards, batch, row),
        processing_class=loaded.processor,
    )  # fmt: skip


def opcd_peer(
    student: Loaded, teacher: Any, boards: LiveBoards, batch: int, new_tokens: int, out: Path,
    micro_batches: int = 1,
) -> Any:  # fmt: skip
    """TRL's DistillationTrainer, doing OPCD: reverse KL to a teacher that reads the board.

    It samples a step's answers at once and divides them into `micro_batches`.
    """
    from trl import DistillationConfig

    student = with_convolution(student)
    student.processor.tokenizer.padding_side = "left"

    def row(board: Board) -> dict[str, Any]:
        teacher_prompt = student.processor.apply_chat_template(
            text_prompt(board.layout, "plan", student.view.style).messages,
            add_generation_prompt=True,
        )
        return {**_prompt(board, student, "plan"), "teacher_prompt": teacher_prompt}

    suppressed_ids = [*vision_token_ids(student.model.config), *end_token_ids(student.model)]
    # Without end tokens all completions have their full length, as ours have.
    args = DistillationConfig(
        beta=1.0, temperature=1.0, top_k=0, top_p=1.0, max_completion_length=new_tokens,
        shuffle_dataset=False,
        generation_kwargs={"suppress_tokens": suppressed_ids},
        **_arguments(batch, out, micro_batches),
    )  # fmt: skip
    return text_teacher(student.processor.tokenizer)(
        student.model, teacher, args, train_dataset=_stream(boards, batch, row),
        processing_class=student.processor,
    )  # fmt: skip


def text_teacher(tokenizer: Any) -> Any:
    """The class of a DistillationTrainer whose teacher reads the column `teacher_prompt`."""
    from trl import DistillationTrainer

    class TextTeacher(DistillationTrainer):
        """The teacher is given its own prompt, and no image, before the student's tokens."""

        def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
            made = super()._generate_and_score_completions(inputs)
            prompts = [each["teacher_prompt"] for each in inputs]
            read = tokenizer(prompts, padding=True, return_tensors="pt")
            read = read.to(made["prompt_ids"].device)
            return {**made, "teacher_ids": read.input_ids, "teacher_mask": read.attention_mask}

        def _compute_loss(self, student: Any, inputs: Any, items: Any) -> Any:
            self._inputs = inputs
            return super()._compute_loss(student, inputs, items)

        def _get_last_hidden_state(
            self, model: Any, ids: Any, mask: Any, keep: int, **pictures: Any
        ) -> Any:
            if model is self.accelerator.unwrap_model(self.teacher_model):
                batch, pictures = self._inputs, {}
                ids = torch.cat([batch["teacher_ids"], batch["completion_ids"]], 1)
                mask = torch.cat([batch["teacher_mask"], batch["completion_mask"]], 1)
            return super()._get_last_hidden_state(model, ids, mask, keep, **pictures)

    return TextTeacher


def with_convolution(loaded: Loaded) -> Loaded:
    """The model with its patch embedding as a convolution, as transformers makes it."""
    loaded.model.model.visual.patch_embed.proj.__class__ = torch.nn.Conv3d
    return loaded


def _arguments(batch: int, out: Path, micro_batches: int = 1) -> dict[str, Any]:
    return {
        "output_dir": str(out), "max_steps": 1_000_000,
        "per_device_train_batch_size": batch // micro_batches,
        "gradient_accumulation_steps": micro_batches,
        "save_strategy": "no", "report_to": "none", "bf16": torch.cuda.is_available(),
        "gradient_checkpointing": False, "learning_rate": 1e-4, "logging_steps": 10,
        "use_cpu": not torch.cuda.is_available(),
    }  # fmt: skip


def _prompt(board: Board, loaded: Loaded, goal: str) -> dict[str, Any]:
    prompt = board.prompt("image", goal, loaded.view)
    return {"prompt": [{"role": "user", "content": prompt.text}], "images": list(prompt.images)}


def _stream(boards: LiveBoards, batch: int, row: Callable[[Board], dict[str, Any]]) -> Any:
    from datasets import IterableDataset

    def rows() -> Iterator[dict[str, Any]]:
        for first in count(0, batch):  # a batch of boards at a time, as fast as ours are made
            yield from map(row, boards.__getitems__(range(first, first + batch)))

    return IterableDataset.from_generator(rows)
