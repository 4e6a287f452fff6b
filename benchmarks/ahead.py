"""An OPCD step whose answers a server samples while the step before is updated."""

from __future__ import annotations

import json
import statistics
import time
from contextlib import closing
from pathlib import Path

from agents.vlm.encoding import encode_prompts
from benchmarks.endpoint import running
from benchmarks.measure import Row
from benchmarks.steppers import TASKS, Scale, opcd_stepper
from training.data.layout_stream import live_boards
from training.model.tiny import build_tiny
from training.opcd.config import OPCDConfig

SLOWEST = 1.15
"""Most that a step may take, as a multiple of the longer of generation and update."""


def ahead_row(scale: Scale, out: Path) -> Row:
    """Steps with `--rollouts-ahead 1`, where generation takes as long as the update does."""
    update = step_seconds(scale, out / "update", 0.0, ahead=0)
    both = step_seconds(scale, out / "both", update, ahead=0)
    ahead = step_seconds(scale, out / "ahead", update, ahead=1)
    longer = max(update, both - update)
    work = f"OPCD with rollouts ahead, batch {scale.batch}, generation as long as the update"
    peer = "the longer of the two alone"
    return Row(work, peer, 1 / ahead, 1 / longer, "step", longer / ahead, 1 / SLOWEST)


def step_seconds(scale: Scale, out: Path, generation: float, ahead: int, steps: int = 5) -> float:
    """The median of a step, with a server that answers after `generation` seconds."""
    student, teacher = build_tiny(scale.size), build_tiny(scale.size, seed=1).model
    config = OPCDConfig(out, tasks=TASKS, steps=1, batch_size=1)
    board = live_boards(config, student.view)[0]
    prompt = encode_prompts(student.processor, [board.prompt("image", "plan", student.view)])
    body = sampled(scale.new_tokens, prompt["input_ids"].shape[1])
    with running(str(generation), body) as url:
        stepper = opcd_stepper(
            student, teacher, scale, out, loss="sampled", rollout="server", rollout_urls=(url,),
            rollouts_ahead=ahead,
        )  # fmt: skip
        with closing(stepper):
            stepper.step()  # nothing is ahead yet
            taken = []
            for _ in range(steps):
                began = time.perf_counter()
                stepper.step()
                taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def sampled(tokens: int, prompt_tokens: int) -> str:
    """The body of vLLM's answer to a chat, with so many tokens."""
    choice = {
        "message": {"role": "assistant", "content": "a"},
        "finish_reason": "length",
        "token_ids": [7] * tokens,
        "logprobs": {"content": [{"logprob": -6.0}] * tokens},
    }
    return json.dumps({"choices": [choice], "prompt_token_ids": [0] * prompt_tokens})
