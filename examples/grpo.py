"""TRL's GRPO on live boards, with our reward: no data set, every prompt is a fresh layout.

    python -m training.base --size S --steps 300 --out runs/weak    # a tiny model that plans a bit
    python -m examples.grpo --model runs/weak --steps 60 --out runs/grpo

The board is given as text. `--model` is a folder or a name on the hub; a model that cannot plan at
all gets no reward and learns nothing.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agents.vlm.checkpoint import load_checkpoint
from examples import missing
from examples._boards import live_layouts
from vsp_envs import load_layout, score_reply
from vsp_envs.prompts.question import text_prompt

NEEDS = missing("datasets", "trl")
if not NEEDS:
    from datasets import IterableDataset
    from trl import GRPOConfig, GRPOTrainer


def prompts(
    tokenizer: Any, style: str, tasks: list[str], split: str, seed: int
) -> Iterator[dict[str, str]]:
    """The prompt of each board, and the board for the reward."""
    for layout in live_layouts(tasks, split, seed):
        messages = text_prompt(layout, "plan", style).messages
        yield {
            "prompt": tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True
            ),
            "task": layout.task,
            "layout": json.dumps(layout.to_data()),
        }


def success(completions: list[str], task: list[str], layout: list[str], **_: Any) -> list[float]:
    """1 for a reply whose plan succeeds, else 0. TRL hands over the columns of the data."""
    boards = [load_layout(*each) for each in zip(task, map(json.loads, layout), strict=True)]
    return [
        float(score_reply(board, reply, "mgsd-train").success)
        for board, reply in zip(boards, completions, strict=True)
    ]


def main(args: list[str] | None = None) -> list[float]:
    """Train; returns the mean reward of each logged step."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], epilog=NEEDS)
    parser.add_argument("--model", required=True)
    parser.add_argument("--tasks", nargs="+", default=["frozenlake:3"], help="as in evaluation")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch-size", type=int, default=128, help="replies a step")
    parser.add_argument("--group", type=int, default=8, help="replies to the same board")
    parser.add_argument("--max-new-tokens", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(args)
    if NEEDS:
        parser.error(NEEDS)
    model, processor, view = load_checkpoint(options.model, dtype="float32")
    tokenizer = processor.tokenizer
    trainer = GRPOTrainer(
        model=model,
        processing_class=tokenizer,
        reward_funcs=success,
        train_dataset=IterableDataset.from_generator(
            prompts, gen_kwargs=dict(tokenizer=tokenizer, style=view.style,
                                     tasks=options.tasks, split="train", seed=0),
        ),
        args=GRPOConfig(
            output_dir=str(options.out),
            max_steps=options.steps,  # a stream has no length
            per_device_train_batch_size=options.batch_size,
            num_generations=options.group,
            max_completion_length=options.max_new_tokens,
            learning_rate=options.learning_rate,
            bf16=options.device == "cuda",
            use_cpu=options.device == "cpu",
            gradient_checkpointing=False,
            save_strategy="no",
            logging_steps=5,
            report_to="none",
        ),
    )  # fmt: skip
    trainer.train()
    trainer.save_model(str(options.out))
    processor.save_pretrained(options.out)
    return [log["reward"] for log in trainer.state.log_history if "reward" in log]


if __name__ == "__main__":
    main()
