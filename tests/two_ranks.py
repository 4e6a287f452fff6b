"""What tests/training/test_distributed.py runs on one process and, started by a launcher, on two.

`python two_ranks.py JOBS`: a JSON list of jobs for `do`.
"""

import atexit
import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accelerate import PartialState
from fsdp_on_cpus import lift_the_gate
from short_recipe import short_recipe
from torch import distributed
from transformers.integrations.deepspeed import unset_hf_deepspeed_config

from agents.agent import Prompt, View
from agents.multi_turn import TurnPolicy
from agents.vlm.checkpoint import load_checkpoint
from training.data.layout_stream import Board, live_boards
from training.loop.run import leave_group_at_exit, run
from training.model.student import load_student
from training.opcd.config import OPCDConfig
from training.opcd.teachers import make_teacher
from training.opcd.trainer import train_opcd
from training.recipes import nano
from training.recipes.nano_settings import RECIPES, NanoConfig
from training.sft import Collate, SFTConfig, SFTTrainer, train_sft


class ShownAsText(Board):
    """A board whose prompt is text, whatever is asked for."""

    def prompt(self, input: str, goal: str, view: View, with_plan: bool = False) -> Prompt:
        return super().prompt("text", goal, view, with_plan)


class TextFirst(Collate):
    """Shows the first half of every step as text, so that one of two processes gets no image."""

    def __call__(self, boards: Sequence[Board]) -> dict[str, Any]:
        return super().__call__(
            [ShownAsText(*board) if board.stream_index % 8 < 4 else board for board in boards]
        )


def do(stage: str, **settings: Any) -> None:
    """Train: `sft`, `opcd`, or `mixed`: SFT whose first half of a step is text. `read` only loads;
    `nano` runs the first stages of a short recipe.

    `resume` is a folder and a step of its run to go on from.
    """
    settings |= {name: Path(value) for name, value in settings.items() if name == "out"}
    if stage == "nano":
        RECIPES["rehearsal"] = short_recipe("base", "sft")
        return nano.run(NanoConfig(recipe="rehearsal", size="nano-1m", **settings))
    settings["tasks"] = tuple(settings["tasks"])
    if "turn_policy" in settings:
        settings["turn_policy"] = TurnPolicy(**settings["turn_policy"])
    if resume := settings.pop("resume", None):
        go_on_from(*resume, settings["out"])
    if stage == "read":
        read(OPCDConfig(**settings))
    elif stage == "opcd":
        train_opcd(OPCDConfig(**settings))
    elif stage == "sft":
        train_sft(SFTConfig(**settings))
    else:
        train_mixed(SFTConfig(**settings))


def read(config: OPCDConfig) -> None:
    """Write what this process has of the student's weights and of the teacher's."""
    state = PartialState()
    student = load_student(config, config.model).model
    teacher = make_teacher("frozen", config.teacher, 0.0, student).model
    held = [
        sum(float(each.detach().abs().sum()) for each in of.parameters())
        for of in (student, teacher)
    ]
    config.out.mkdir(parents=True, exist_ok=True)
    (config.out / f"{state.process_index}.json").write_text(json.dumps(held))
    leave_group_at_exit()


def go_on_from(folder: str, step: int, out: Path) -> None:
    """Make `out` the folder of a run that was stopped after its checkpoint of that step."""
    name = f"checkpoints/checkpoint-{step}"
    with PartialState().main_process_first():
        if PartialState().is_main_process:
            shutil.copytree(Path(folder) / name, out / name)


def train_mixed(config: SFTConfig) -> None:
    """SFT of text and images, half of each step."""

    def begin() -> SFTTrainer:
        loaded = load_checkpoint(config.model, dtype="float32")
        boards = live_boards(config, loaded.view)
        collate = TextFirst(loaded.processor, loaded.view, "image")
        return SFTTrainer(config, loaded, boards, data_collator=collate)

    run(config, "mixed", begin)


def let_gloo_talk() -> None:
    """Keep DeepSpeed from compiling an exchange of its own, which serves CPUs of one machine."""
    import deepspeed

    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False


def check_left() -> None:
    """End badly if this process is in its group still, which aborts one end in a hundred."""
    if distributed.is_initialized():
        print("the process group is not left at exit", file=sys.stderr, flush=True)
        os._exit(1)


if __name__ == "__main__":
    atexit.register(check_left)  # the first that is registered is the last that is called
    if not {"ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED"}.isdisjoint(os.environ):
        lift_the_gate()
    if "ACCELERATE_USE_DEEPSPEED" in os.environ:
        let_gloo_talk()
    for job in json.loads(sys.argv[1]):
        do(**job)
        unset_hf_deepspeed_config()  # else the next job's models are loaded in pieces
