"""TRL's multi-turn GRPO with pictures: a model plays live boards by a tool call for each action.

    python -m examples.grpo_turns --model Qwen/Qwen3-VL-2B-Instruct --steps 60 --out runs/turns

TRL makes a `Board` for each rollout. Its `reset` shows the board, the tool `play` plays an action
and shows the board again, and `get_reward` is our score. The model's chat template has to know
tool calls, as that of Qwen3-VL does; a model that cannot plan at all gets no reward.
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
from vsp_envs import ClosedLoop, load_layout

NEEDS = missing("datasets", "trl")
if not NEEDS:
    from datasets import IterableDataset
    from PIL import Image
    from trl import GRPOConfig, GRPOTrainer

CALL = "Call the tool `play` with each answer, until the episode is over."


class Board:
    """A board that is played by tool calls. The methods' docstrings are what the model reads."""

    def reset(self, task: str, layout: str, **_: Any) -> list[dict[str, Any]]:
        """Begin with a board; returns what is shown and asked."""
        self._game = ClosedLoop(load_layout(task, json.loads(layout)))
        return self._content()

    def play(self, answer: str) -> list[dict[str, Any]]:
        """Play the next action and see the board.

        Args:
            answer: The action, in the format that was asked for.

        Returns:
            The board after the action, or that the episode is over.
        """
        if not self._game.over:
            self._game.take(answer)
        if self._game.over:
            return [{"type": "text", "text": "The episode is over."}]
        return self._content()

    def get_reward(self) -> float:
        """1 if the task was done, else 0."""
        return float(self._game.score().success)

    def _content(self) -> list[dict[str, Any]]:
        prompt = self._game.prompt()
        image = {"type": "image", "image": Image.fromarray(prompt.images[0])}
        return [image, {"type": "text", "text": prompt.text}]


def rows(tasks: list[str], split: str, seed: int) -> Iterator[dict[str, Any]]:
    """Endless boards; `reset` gets the columns."""
    for layout in live_layouts(tasks, split, seed):
        yield {
            "prompt": [{"role": "user", "content": CALL}],
            "task": layout.task,
            "layout": json.dumps(layout.to_data()),
        }


def make_trainer(model: Any, processor: Any, options: argparse.Namespace) -> GRPOTrainer:
    """The trainer of a model and its processor."""
    boards = dict(tasks=options.tasks, split="train", seed=0)
    return GRPOTrainer(
        model=model,
        processing_class=processor,
        environment_factory=Board,
        train_dataset=IterableDataset.from_generator(rows, gen_kwargs=boards),
        args=GRPOConfig(
            output_dir=str(options.out),
            max_steps=options.steps,  # a stream has no length
            per_device_train_batch_size=options.batch_size,
            num_generations=options.group,
            max_completion_length=options.max_new_tokens,
            max_tool_calling_iterations=options.turns,
            learning_rate=options.learning_rate,
            bf16=options.device == "cuda",
            use_cpu=options.device == "cpu",
            gradient_checkpointing=False,
            save_strategy="no",
            logging_steps=1,
            report_to="none",
        ),
    )


def main(args: list[str] | None = None) -> None:
    """Train, and save the model."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], epilog=NEEDS)
    parser.add_argument("--model", required=True)
    parser.add_argument("--tasks", nargs="+", default=["frozenlake:3"], help="as in evaluation")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch-size", type=int, default=32, help="episodes a step")
    parser.add_argument("--group", type=int, default=8, help="episodes on the same board")
    parser.add_argument("--turns", type=int, default=20, help="most actions of an episode")
    parser.add_argument("--max-new-tokens", type=int, default=4096, help="of all turns together")
    parser.add_argument("--learning-rate", type=float, default=1e-6)
    parser.add_argument("--device", default="cuda", choices=["cpu", "cuda"])
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(args)
    if NEEDS:
        parser.error(NEEDS)
    model, processor, _ = load_checkpoint(options.model, dtype="float32")
    trainer = make_trainer(model, processor, options)
    trainer.train()
    trainer.save_model(str(options.out))
    processor.save_pretrained(options.out)


if __name__ == "__main__":
    main()
