"""Two processes train what one trains: the same boards, answers, losses and weights.

The processes are started by `accelerate launch` with the project's own configurations, on CPUs with
gloo; what only a GPU can show (NCCL, memory, speed) is not tested.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.commands.config.config_args import load_config_from_file
from safetensors.torch import load_file
from short_recipe import short_recipe
from two_ranks import do

from agents.vlm.checkpoint import load_checkpoint
from training.data.step_batches import StepBatches, count_micro_batches
from training.merge import MergeConfig, merge
from training.model.tiny import TINY_VIEW, build_tiny
from training.recipes import nano
from training.recipes.nano_settings import RECIPES, NanoConfig

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "training/launch"

COMPARED = ("sft", "lora", "mixed", "opcd", "turns")
"""Runs that are the same number for number; in bfloat16 only about the same."""
ROUNDING = 3e-5
"""Most by which a weight may differ: 3 % of the learning rate. Losses and norms of the gradients
agree to 1e-5, but Adam divides by gradients near 0, where the order of a sum shows."""

Job = dict[str, Any]


@pytest.fixture(scope="module")
def jobs(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Job]:
    """The runs to compare, by name."""
    teacher = tmp_path_factory.mktemp("teacher")
    model, processor, _ = build_tiny("S", seed=1)
    model.save_pretrained(teacher)
    processor.save_pretrained(teacher)
    common: Job = {
        "model": str(tiny_folder), "tasks": ["frozenlake:3"], "steps": 3, "save_every": 2,
        "eval_every": 0, "log_every": 1, "learning_rate": 1e-3,
    }  # fmt: skip
    sft: Job = common | {"stage": "sft", "tasks": ["frozenlake:3", "maze:3"]}
    return {
        # 10 boards in micro-batches of 3 or 2; the two processes take 5 each.
        "sft": sft | {"batch_size": 10, "micro_batch_size": 3},
        "bfloat16": sft
        | {"batch_size": 8, "precision": "bfloat16", "gradient_checkpointing": True},
        # In turns, and measured in turns.
        "lora": common
        | {
            "stage": "sft", "batch_size": 8, "lora_rank": 2, "target": "answer", "detours": 0.5,
            "eval_every": 2, "eval_episodes": 3,
            "turn_policy": {"act": "step", "malformed": "skip", "history": 1, "max_turns": 2},
        },
        # One process is shown text alone, the other images alone.
        "mixed": common | {"stage": "mixed", "batch_size": 8},
        # The processes sample, and ask the teacher, a different number of times: 9 boards and 8.
        "opcd": common
        | {
            "stage": "opcd", "teacher": str(teacher), "batch_size": 17, "max_new_tokens": 6,
            "seed_per_board": True, "rollout_batch_size": 8, "eval_every": 2, "eval_episodes": 3,
        },
        # Played in turns; the reader finds actions in what an untrained model says, so that the
        # episodes of the two processes end at different ones.
        "turns": common
        | {
            "stage": "opcd", "teacher": str(teacher), "batch_size": 5, "max_new_tokens": 4,
            "seed_per_board": True, "reader": "mgsd", "learning_rate": 1e-4, "eval_every": 2,
            "eval_episodes": 3, "turn_policy": {"act": "step", "history": 1, "max_turns": 3},
        },
        "read": {"stage": "read", "model": str(tiny_folder), "teacher": str(teacher), "tasks": []},
    }  # fmt: skip


@pytest.fixture(scope="module")
def alone(jobs: dict[str, Job], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs on one process, a folder each."""
    folder = tmp_path_factory.mktemp("alone")
    for name, job in jobs.items():
        do(**job, out=folder / name)
    return folder


OPTIONS: dict[str, dict[str, Job]] = {
    "ddp": {"opcd": {"teacher_placement": "sharded"}},
    # Memory is what FSDP2 is for; neither of the two may change what is learned.
    "fsdp2": {"opcd": {"teacher_placement": "sharded", "gradient_checkpointing": True}},
    "zero2": {},
    "zero3": {},
}
"""Settings of a run beside those of the run alone."""


@pytest.fixture(scope="module", params=OPTIONS)
def together(
    request: pytest.FixtureRequest,
    jobs: dict[str, Job],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The runs on two processes, and again from their checkpoints after step 2."""
    if request.param.startswith("zero"):
        pytest.importorskip("deepspeed", reason="no DeepSpeed here: make test-deepspeed")
    folder = tmp_path_factory.mktemp(request.param)
    todo = []
    for name, job in jobs.items():
        job = job | OPTIONS[request.param].get(name, {})
        todo.append(job | {"out": str(folder / name)})
        if name in COMPARED:
            again = {"out": str(folder / "again" / name), "resume": [str(folder / name), 2]}
            todo.append(job | again)
    launch(request.param, todo)
    return folder


def launch(config: str, todo: list[Job]) -> None:
    """Do the jobs on two processes."""
    command = [
        sys.executable, "-m", "accelerate.commands.launch",
        "--config_file", str(CONFIGS / f"{config}.yaml"), "--num_processes", "2",
        "--main_process_port", "0", str(ROOT / "tests/two_ranks.py"), json.dumps(todo),
    ]  # fmt: skip
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {
        "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu",
    }  # fmt: skip
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]


def history(folder: Path, name: str) -> list[float]:
    entries = json.loads((folder / "run.json").read_text())["history"]
    return [entry[name] for entry in entries if name in entry]


def largest_difference(first: Path, second: Path) -> float:
    one, two = weights(first), weights(second)
    assert one.keys() == two.keys()
    return max((one[name] - two[name]).abs().max().item() for name in one)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """Of the whole model, or of the adapter."""
    [file] = folder.glob("*model.safetensors")
    return load_file(file)


@pytest.mark.parametrize("name", COMPARED)
def test_two_processes_learn_what_one_learns(alone: Path, together: Path, name: str) -> None:
    for curve in ("loss", "grad_norm"):
        expected = history(alone / name, curve)
        assert len(expected) == 3
        assert history(together / name, curve) == pytest.approx(expected, rel=1e-5, abs=1e-5)
    assert largest_difference(alone / name, together / name) < ROUNDING


def test_in_bfloat16_weights_and_losses_stay_float32(alone: Path, together: Path) -> None:
    expected, found = (history(folder / "bfloat16", "loss") for folder in (alone, together))
    assert found == pytest.approx(expected, rel=5e-3)
    assert any(loss != torch.tensor(loss).bfloat16().item() for loss in found)
    kept = weights(together / "bfloat16").values()
    # DeepSpeed keeps float32 to itself and hands over what it computes with.
    kind = torch.bfloat16 if together.name.startswith("zero") else torch.float32
    assert {weight.dtype for weight in kept} == {kind}


@pytest.mark.parametrize("name", ["lora", "opcd", "turns"])
def test_two_processes_share_out_the_validation_boards(
    alone: Path, together: Path, name: str
) -> None:
    assert history(together / name, "success") == history(alone / name, "success") != []


def test_under_fsdp2_the_first_process_alone_reads_the_student_and_each_its_teacher(
    alone: Path, together: Path
) -> None:
    held = json.loads((alone / "read/0.json").read_text())
    whole = pytest.approx(held, rel=1e-6)  # sums of float32, by other numbers of threads
    first, second = (json.loads((together / f"read/{rank}.json").read_text()) for rank in (0, 1))
    assert first == whole and 0 not in held
    alone_reads = together.name.startswith("fsdp2")
    assert second == (pytest.approx([0, held[1]], rel=1e-6) if alone_reads else whole)


@pytest.mark.parametrize("name", COMPARED)
def test_two_processes_resume_to_the_bit(together: Path, name: str) -> None:
    assert largest_difference(together / name, together / "again" / name) == 0
    assert len(history(together / "again" / name, "loss")) == 3


def test_the_final_checkpoint_is_whole_and_tied(together: Path, alone: Path) -> None:
    loaded = load_checkpoint(together / "opcd")
    model = loaded.model
    assert model.lm_head.weight is model.get_input_embeddings().weight
    assert type(model).__name__ == "Qwen3VLForConditionalGeneration"
    assert model.config.architectures == ["Qwen3VLForConditionalGeneration"]
    assert loaded.view == TINY_VIEW


@pytest.mark.parametrize("name", COMPARED)
def test_a_middle_checkpoint_is_exported_whole(
    alone: Path, together: Path, tmp_path: Path, name: str
) -> None:
    one, two = (
        merge(MergeConfig(str(runs / name), tmp_path / runs.name, step=2, dtype="float32"))
        for runs in (alone, together)
    )
    assert largest_difference(one, two) < ROUNDING
    assert load_checkpoint(two).view == TINY_VIEW


def test_several_processes_train_the_stages_of_a_recipe_and_one_plays_its_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = short_recipe("base", "sft")
    monkeypatch.setitem(RECIPES, "rehearsal", recipe)
    config = NanoConfig(out=tmp_path, recipe="rehearsal", size="nano-1m")
    launch("ddp", [{"stage": "nano", "out": str(tmp_path)}])
    plan = nano.Plan(config)
    assert list(plan.done) == list(recipe.stages)
    assert all(found["history"] for found in plan.done.values())
    nano.run(config)
    assert not nano.Plan(config).left()


@pytest.mark.parametrize("config", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_accelerate_reads_every_configuration(config: Path) -> None:
    assert load_config_from_file(str(config)).num_processes == 8
    assert config.stem in OPTIONS


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("largest", [None, 4, 2])
def test_a_step_is_the_same_boards_however_they_are_dealt(
    processes: int, largest: int | None
) -> None:
    count = count_micro_batches(12, largest, kinds=2, processes=processes)
    dealt = list(StepBatches(steps=3, batch_size=12, parts=processes * count))
    assert len(dealt) == len(StepBatches(3, 12, processes * count)) == 3 * processes * count
    for step in range(3):
        parts = dealt[step * processes * count : (step + 1) * processes * count]
        assert [index for part in parts for index in part] == list(range(12 * step, 12 * step + 12))
        assert max(map(len, parts)) <= (largest or 12)
        # The first kind is boards 0 to 5, the second 6 to 11: no part holds both.
        assert all(part[0] % 12 // 6 == part[-1] % 12 // 6 for part in parts)


@pytest.mark.parametrize(
    ("batch_size", "largest", "processes", "message"),
    [
        (1, None, 2, "--batch-size 1 .* 2 processes; take at least 2"),
        (7, 1, 2, "--batch-size 7 .* multiple of 2"),
    ],
)
def test_a_batch_that_cannot_be_dealt_is_refused(
    batch_size: int, largest: int | None, processes: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        count_micro_batches(batch_size, largest, kinds=1, processes=processes)
