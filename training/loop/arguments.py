"""The Trainer's arguments from a run's settings, and how processes share a step."""

from __future__ import annotations

import os
from math import ceil
from typing import Any

import torch
from transformers import TrainingArguments

from training.config import TrainingConfig
from training.data.step_batches import count_micro_batches
from training.loop.trackers import trackers

SCHEDULES: dict[str, str] = {
    "cosine": "cosine",
    "constant": "constant_with_warmup",
    "half-linear": "warmup_stable_decay",
}
"""Our schedule → the Trainer's."""


def training_arguments(config: TrainingConfig) -> TrainingArguments:
    """The Trainer's arguments. What a launcher has set for the processes stays."""
    accumulation = micro_batches(config)
    schedule: dict[str, Any] = {"lr_scheduler_type": SCHEDULES[config.schedule]}
    if config.schedule == "half-linear":
        decay = {"num_decay_steps": config.steps // 2, "decay_type": "linear", "min_lr_ratio": 0.0}
        schedule["lr_scheduler_kwargs"] = decay
    return TrainingArguments(
        output_dir=str(config.out / "checkpoints"),
        max_steps=config.steps,
        per_device_train_batch_size=ceil(config.batch_size / (processes() * accumulation)),
        gradient_accumulation_steps=accumulation,
        gradient_checkpointing=config.gradient_checkpointing,
        # A step without pictures leaves the vision tower without gradients.
        ddp_find_unused_parameters=True,
        learning_rate=config.learning_rate,
        warmup_steps=int(config.warmup * config.steps),
        max_grad_norm=config.clip,
        save_steps=config.save_every,
        save_total_limit=config.keep + config.keep_best,
        logging_steps=config.log_every,
        logging_nan_inf_filter=False,
        dataloader_num_workers=config.workers,
        remove_unused_columns=False,
        report_to=trackers(config.report_to),
        run_name=config.out.name,
        seed=config.seed,
        use_cpu=not torch.cuda.is_available(),
        # For autocast FSDP2 would turn bfloat16 weights into float32, and they need none.
        bf16=computes_in_bfloat16(config) and not is_pure_bfloat16(config),
        **schedule,
    )


def computes_in_bfloat16(config: TrainingConfig) -> bool:
    """Whether the forward and backward pass run in bfloat16."""
    return config.precision == "bfloat16" or (
        config.precision == "auto" and torch.cuda.is_available()
    )


def is_pure_bfloat16(config: TrainingConfig) -> bool:
    """Whether trained weights, their gradients and the optimizer are bfloat16."""
    return config.dtype == "bfloat16" and not config.lora_rank


def processes() -> int:
    """Processes that train together, as the launcher says."""
    return int(os.environ.get("WORLD_SIZE", 1))


def is_first() -> bool:
    """Whether this is the first of them, which writes what is written once."""
    return int(os.environ.get("RANK", 0)) == 0


def micro_batches(config: TrainingConfig) -> int:
    """Batches of each process in a step. Under a budget of tokens it is one, which is divided."""
    parts = config.parts()
    if config.micro_batch_tokens:
        return count_micro_batches(config.batch_size, None, 1, processes())
    return count_micro_batches(config.batch_size, config.micro_batch_size, parts, processes())
