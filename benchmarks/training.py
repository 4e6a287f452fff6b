"""Speed of training: `python -m benchmarks.training [--quick] [--json FILE] [--gpu]`.

Ours and TRL's trainers take turns, step by step, in one process: the same tiny Qwen3-VL with random
weights, the same boards. Where TRL is not installed (see `benchmarks.peers`) the rows with it are
left out. With `--gpu` it times Qwen3-VL-4B's shape instead, see `benchmarks.real_shape`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import torch

from agents.agent import View
from agents.multi_turn import TurnPolicy
from agents.vlm.checkpoint import Loaded
from benchmarks import peers, real_shape
from benchmarks.ahead import ahead_row
from benchmarks.loss_memory import memory_row
from benchmarks.measure import Race, Row, run, save, table
from benchmarks.steppers import (
    REST,
    STEPS,
    TASKS,
    Scale,
    Stepper,
    opcd_stepper,
    sft_stepper,
    share,
    without_end_tokens,
)
from training.data.layout_stream import LiveBoards, live_boards
from training.model.tiny import build_tiny
from training.opcd.config import OPCDConfig
from training.opcd.teachers import Teacher
from training.opcd.trainer import OPCDTrainer
from training.sft import Collate
from vsp_envs.core.task_level import TaskLevel, select_task_levels
from vsp_envs.prompts.targets import perception_target

QUICK = Scale("S", 8, 8, 0, 32, 256)


def sft_rows(scale: Scale, out: Path) -> Iterator[Row]:
    """Tokens per second beside TRL's SFTTrainer, and the model's share of a step."""
    work, tokens = "SFT, frozenlake 4", tokens_of_a_step(scale)
    with ExitStack() as stack:
        ours = stack.enter_context(closing(sft_stepper(build_tiny(scale.size), scale, out)))
        theirs = None
        if peers.INSTALLED:
            loaded = build_tiny(scale.size)
            boards = live_boards(ours.trainer.config, loaded.view, ("perceive",))
            peer = peers.sft_peer(loaded, boards, scale.batch, perception_target, out)
            theirs = stack.enter_context(closing(Stepper(peer)))
        yield from race(ours, theirs, work, "TRL SFTTrainer", "token", tokens, scale)
        yield whole(ours, work, "its forward, backward and optimizer alone")


def opcd_rows(scale: Scale, out: Path) -> Iterator[Row]:
    """Sampled tokens per second beside TRL's DistillationTrainer, and where a step's time goes."""
    work = f"OPCD, frozenlake 4, {scale.new_tokens} new tokens"

    def pair() -> tuple[Loaded, Any]:
        return build_tiny(scale.size), build_tiny(scale.size, seed=1).model

    with ExitStack() as stack:
        ours = stack.enter_context(closing(opcd_stepper(*pair(), scale, out)))
        theirs = None
        if peers.INSTALLED:
            student, teacher = pair()
            boards = live_boards(ours.trainer.config, student.view)
            peer = peers.opcd_peer(student, teacher, boards, scale.batch, scale.new_tokens, out)
            theirs = stack.enter_context(closing(Stepper(peer)))
        tokens = scale.batch * scale.new_tokens
        name = "TRL DistillationTrainer, teacher on text"
        yield from race(ours, theirs, work, name, "sampled token", tokens, scale)
        yield whole(ours, work, "all of it but the data")
        for phase in ("generation", "teacher", "update"):
            yield share(ours, work, phase)


def rollout_rows(scale: Scale, out: Path) -> Iterator[Row]:
    """OPCD's step in micro-batches of a board: answers sampled at once, one by one, and by TRL."""
    scale = scale._replace(batch=min(32, scale.batch))
    work = f"OPCD, {scale.batch} micro-batches of a board"
    tokens = scale.batch * scale.new_tokens

    def pair() -> tuple[Loaded, Any]:
        return build_tiny(scale.size), build_tiny(scale.size, seed=1).model

    def stepper(rollout_batch_size: int) -> Stepper:
        student, teacher = pair()
        return opcd_stepper(
            student, teacher, scale, out, micro_batch_size=1, rollout_batch_size=rollout_batch_size
        )

    with ExitStack() as stack:
        ours = stack.enter_context(closing(stepper(scale.batch)))
        single = stack.enter_context(closing(stepper(1)))
        peer = "--rollout-batch-size 1"
        yield from race(ours, single, work, peer, "sampled token", tokens, scale, 4.0)
        if peers.INSTALLED:
            student, teacher = pair()
            boards = live_boards(ours.trainer.config, student.view)
            theirs = peers.opcd_peer(
                student, teacher, boards, scale.batch, scale.new_tokens, out, scale.batch
            )
            theirs = stack.enter_context(closing(Stepper(theirs)))
            peer = "TRL DistillationTrainer, teacher on text"
            yield from race(ours, theirs, work, peer, "sampled token", tokens, scale)


def turn_row(scale: Scale, out: Path) -> Row:
    """OPCD's rollout in several turns: boards side by side, and one board after another."""
    count = min(32, scale.batch)
    config = OPCDConfig(
        out, tasks=TASKS, steps=STEPS, batch_size=count, max_new_tokens=scale.new_tokens,
        turn_policy=TurnPolicy(act="step", malformed="skip", history=0, max_turns=4),
    )  # fmt: skip
    student, teacher = without_end_tokens(build_tiny(scale.size)), build_tiny("S").model
    trainer = OPCDTrainer(config, student, Teacher(teacher), live_boards(config, student.view))
    boards = trainer.train_dataset.__getitems__(range(count))

    def side_by_side() -> int:
        return len(trainer.policy.play(boards, 0).requests)

    def one_by_one() -> int:
        return sum(len(trainer.policy.play([board], 0).requests) for board in boards)

    work, least = f"rollout in turns, {count} boards", 8.0 if count == 32 else None
    race = Race(work, "one board at a time", "turn", side_by_side, one_by_one, least)
    return run(race, scale.seconds)


def race(
    ours: Stepper, theirs: Stepper | None, work: str, peer: str, unit: str, units: int,
    scale: Scale, least: float = 1.0,
) -> Iterator[Row]:  # fmt: skip
    """A row of both trainers, step by step in turns; without the peer ours runs alone.

    `least` is how many times as fast ours is to be.
    """

    def stepping(stepper: Stepper) -> Callable[[], int]:
        def one() -> int:
            stepper.step()
            return units

        return one

    ours.step()  # the first step makes caches and optimizer states
    ours.watch.seconds.clear()
    ours.steps = 0
    if theirs is None:
        print(f"TRL is not installed here: {work} beside it is left out", file=sys.stderr)
        began = time.perf_counter()
        while ours.steps < 3 or time.perf_counter() - began < scale.seconds / 2:
            ours.step()
        return
    yield run(Race(work, peer, unit, stepping(ours), stepping(theirs), least), scale.seconds)


def whole(stepper: Stepper, work: str, peer: str) -> Row:
    """A step against its model and optimizer alone, which take at least 95 % of it."""
    seconds = stepper.watch.seconds
    total = sum(seconds.values())
    alone = total - seconds[REST]
    steps = stepper.steps
    return Row(f"{work}: a step", peer, steps / total, steps / alone, "step", alone / total, 0.95)


def tokens_of_a_step(scale: Scale) -> int:
    """Tokens of prompts and answers in a mean batch."""
    loaded, first = build_tiny("S"), range(scale.samples)
    collate = Collate(loaded.processor, loaded.view, "image")
    boards = perceiving(select_task_levels(TASKS), loaded.view)
    [batch] = collate(boards.__getitems__(first))
    counted = batch["inputs"]["attention_mask"].sum()
    return round(int(counted) / len(first) * scale.batch)


def perceiving(task_levels: Sequence[TaskLevel], view: View) -> LiveBoards:
    """Boards to be described."""
    return LiveBoards(task_levels, view, "train", 0, STEPS, STEPS, goals=("perceive",))


def sample_rows(scale: Scale, per_cpu_second: float = 500) -> Iterator[Row]:
    """Perception samples that one core prepares: boards, images, patches, tokens."""
    processor = build_tiny("S").processor
    views = (("32 px a cell", View("brief", cell_pixels=32)), ("256 px", View("brief")))
    for pixels, view in views:
        for each in select_task_levels(["frozenlake:4", "maze:6", "minibehaviour:6"]):
            collate, boards = Collate(processor, view, "image"), perceiving([each], view)
            speed = prepared(boards, collate, scale.samples)
            name = f"prepared samples per CPU second, {each.task} {each.level}, {pixels}"
            ratio = speed / per_cpu_second
            yield Row(name, "2 ms a sample", speed, per_cpu_second, "sample", ratio, 1)


def prepared(
    boards: LiveBoards, collate: Callable[[Any], Any], samples: int, batch: int = 32, warm: int = 1
) -> float:
    """Samples per second of CPU time, all threads, after `warm` batches that fill caches."""
    starts = range(0, warm * batch + samples, batch)
    for number, first in enumerate(starts):
        if number == warm:
            before = time.process_time()
        collate(boards.__getitems__(range(first, first + batch)))
    return samples / (time.process_time() - before)


def main() -> None:
    """Run all races, print the table, and write the files that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few small steps, within a minute")
    parser.add_argument("--json", type=Path, help="file for the rows")
    parser.add_argument("--gpu", action="store_true", help="Qwen3-VL-4B's shape on a CUDA device")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = list(all_rows(QUICK if options.quick else Scale(), Path(folder), options.gpu))
    print(table(rows))
    if options.json:
        save(rows, options.json)


def all_rows(scale: Scale, out: Path, gpu: bool) -> Iterator[Row]:
    """All rows, of the CPU or of the GPU."""
    if gpu:
        if not torch.cuda.is_available():
            raise SystemExit("--gpu needs a CUDA device, and there is none here")
        yield from real_shape.rows("qwen3-vl-4b", real_shape.REAL, out)
        return
    yield from sample_rows(scale)
    yield from sft_rows(scale, out)
    yield from opcd_rows(scale, out)
    yield from rollout_rows(scale, out)
    yield ahead_row(scale, out)
    yield turn_row(scale, out)
    yield memory_row(scale.loss_tokens)


if __name__ == "__main__":
    main()
