"""The trainers on a tiny model: losses fall, runs resume to the bit, errors are one line."""

import itertools
import json
import shlex
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import tyro
from safetensors.torch import load_file

from agents.multi_turn import TurnPolicy
from agents.vlm.checkpoint import CheckpointError, load_checkpoint
from evaluation.options import task_levels_of
from evaluation.perception import PerceptionConfig
from evaluation.planning import PlanningConfig
from training.base import BaseConfig, train_base
from training.config import TrainingConfig
from training.data.layout_stream import LiveBoards
from training.loop.run import next_command
from training.model.tiny import TINY_VIEW, build_tokenizer
from training.model.trainable import parameter_groups
from training.opcd.config import OPCDConfig
from training.opcd.trainer import train_opcd
from training.sft import SFTConfig, SFTTrainer, train_sft
from vsp_envs import split_of
from vsp_envs.core.task_level import TaskLevel, select_task_levels
from vsp_envs.prompts.question import text_prompt
from vsp_envs.utils.cli import is_user_error, one_line

LAKE = ("frozenlake:3",)
STEPS = TurnPolicy(act="step", history=0, max_turns=20, feedback=True)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def same(first: Path, second: Path) -> bool:
    one, two = weights(first), weights(second)
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def history(folder: Path, name: str) -> list[float]:
    entries = json.loads((folder / "run.json").read_text())["history"]
    return [entry[name] for entry in entries if name in entry]


def interrupted(folder: Path, step: int, copy: Path) -> None:
    """Make `copy` the folder of a run that was stopped after its checkpoint of that step."""
    (copy / "checkpoints").mkdir(parents=True)
    name = f"checkpoints/checkpoint-{step}"
    shutil.copytree(folder / name, copy / name)


@pytest.fixture(scope="module")
def sft_config(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> SFTConfig:
    return SFTConfig(
        out=tmp_path_factory.mktemp("sft") / "run", model=str(tiny_folder), tasks=LAKE, steps=6,
        batch_size=8, learning_rate=1e-3, save_every=3, eval_every=0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def opcd_config(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> OPCDConfig:
    return OPCDConfig(
        out=tmp_path_factory.mktemp("opcd") / "run", model=str(tiny_folder),
        teacher=str(tiny_folder), tasks=("frozenlake:3", "maze:3"), steps=4, batch_size=8,
        max_new_tokens=8, save_every=2, eval_every=0,
    )  # fmt: skip


@pytest.mark.slow
def test_a_finished_run_goes_on_to_more_steps_if_its_schedule_allows(
    sft_config: SFTConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    constant = replace(sft_config, schedule="constant", warmup=0.0)
    whole = train_sft(replace(constant, out=tmp_path / "whole"))
    said = capsys.readouterr().out
    assert f"model: {whole}" in said
    asked = (
        f"--agent hf --model {whole} --tasks {' '.join(constant.tasks)} --out {whole}-perception"
    )
    assert f"next: python -m evaluation.perception {asked}\n" in said
    parts = replace(constant, out=tmp_path / "parts", steps=3)
    train_sft(parts)
    assert same(whole, train_sft(replace(parts, steps=6)))
    ended = replace(sft_config, out=tmp_path / "ended", steps=3)
    train_sft(ended)
    for steps, why in ((6, "the schedule cosine has brought its learning rate to an end"),
                       (2, "it has more steps already")):  # fmt: skip
        with pytest.raises(ValueError, match=rf"{why}. Start a new run from its model: --model "):
            train_sft(replace(ended, steps=steps))
    with pytest.raises(ValueError, match="--learning-rate"):
        train_sft(replace(parts, steps=9, learning_rate=0.5))


@pytest.mark.parametrize(
    ("config", "module", "sees"),
    [
        (BaseConfig(Path("a b/base")), "planning", "text"),
        (SFTConfig(Path("sft")), "perception", "image"),
        (SFTConfig(Path("sft"), turn_policy=STEPS), "perception", "image"),
        (SFTConfig(Path("plan"), target="plan"), "planning", "image"),
        (SFTConfig(Path("both"), target="both", turn_policy=STEPS), "planning", "image"),
        (OPCDConfig(Path("opcd")), "planning", "image"),
        (OPCDConfig(Path("steps"), turn_policy=STEPS), "planning", "image"),
    ],
)
def test_what_a_run_names_next_measures_what_it_taught(
    config: TrainingConfig, module: str, sees: str
) -> None:
    """The command parses to an evaluation of the model, on its kinds of boards, in its turns."""
    config = replace(config, tasks=("frozenlake:3-5@2", "maze"))
    python, flag, named, *flags = shlex.split(next_command(config).removeprefix("next: "))
    assert (python, flag, named) == ("python", "-m", f"evaluation.{module}")
    asked = tyro.cli(PlanningConfig if module == "planning" else PerceptionConfig, args=flags)
    assert (asked.agent, asked.model, asked.input) == ("hf", str(config.out), sees)
    assert task_levels_of(asked) == config.kinds()
    if isinstance(asked, PlanningConfig):
        assert asked.turn_policy in (config.turn_policy, TurnPolicy())
        assert asked.turn_policy.act == config.turn_policy.act


def test_a_dry_run_leaves_nothing_behind(sft_config: SFTConfig, tmp_path: Path) -> None:
    train_sft(replace(sft_config, out=tmp_path / "runs" / "dry", dry_run=True))
    assert not list(tmp_path.iterdir())


def test_a_forgotten_model_is_named_by_its_flag(sft_config: SFTConfig, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="--model is missing: name a checkpoint folder"):
        train_sft(replace(sft_config, model="", out=tmp_path / "run"))


def ctrl_c(monkeypatch: pytest.MonkeyPatch, *calls: int) -> None:
    """Ctrl-C in the steps of these numbers, a step having one micro-batch."""
    compute_loss, step = SFTTrainer.compute_loss, itertools.count(1)

    def struck(*args: Any, **options: Any) -> Any:
        now = next(step)
        for _ in range(calls.count(now)):
            signal.raise_signal(signal.SIGINT)
        return compute_loss(*args, **options)

    monkeypatch.setattr(SFTTrainer, "compute_loss", struck)


@pytest.mark.slow
def test_ctrl_c_keeps_the_steps_that_are_done(
    sft_config: SFTConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, out = train_sft(sft_config), tmp_path / "run"
    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patched:
        ctrl_c(patched, 2)
        with pytest.raises(KeyboardInterrupt, match="stopped at step 2 of 6; run the same command"):
            train_sft(replace(sft_config, out=out))
    assert signal.getsignal(signal.SIGINT) is before
    assert same(done, train_sft(replace(sft_config, out=out)))


@pytest.mark.parametrize(("step", "begin"), [(2, 0), (5, 3)])
def test_a_second_ctrl_c_stops_at_once_and_says_where_the_next_run_starts(
    sft_config: SFTConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, begin: int
) -> None:
    ctrl_c(monkeypatch, step, step)
    said = f"stopped at step {step - 1}; the next run starts at step {begin}"
    with pytest.raises(KeyboardInterrupt, match=said):
        train_sft(replace(sft_config, out=tmp_path / "run"))


@pytest.mark.slow
def test_sft_resumes_to_the_bit(
    sft_config: SFTConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = map(float, itertools.count())
    clock = SimpleNamespace(perf_counter=lambda: next(ticks))
    monkeypatch.setattr("training.loop.trainer.time", clock)
    done = train_sft(replace(sft_config, out=tmp_path / "whole"))
    interrupted(done, 3, tmp_path / "again")
    again = train_sft(replace(sft_config, out=tmp_path / "again"))
    assert same(done, again)
    assert history(again, "process_seconds") == history(done, "process_seconds") != []


@pytest.mark.slow
def test_opcd_resumes_to_the_bit(opcd_config: OPCDConfig, tmp_path: Path) -> None:
    done = train_opcd(opcd_config)
    interrupted(done, 2, tmp_path / "again")
    again = train_opcd(replace(opcd_config, out=tmp_path / "again"))
    assert same(done, again)
    assert not same(done, Path(opcd_config.model))


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher with an opinion: a few steps of symbolic planning make it far from uniform."""
    config = BaseConfig(
        out=tmp_path_factory.mktemp("taught") / "base", tasks=LAKE, size="S", steps=40,
        batch_size=16, eval_every=0,
    )  # fmt: skip
    return train_base(config)


@pytest.mark.slow
def test_base_training_lowers_the_loss_and_keeps_the_view(taught: Path) -> None:
    losses = history(taught, "loss")
    assert losses[-1] < 0.6 * losses[0]
    assert load_checkpoint(taught).view == TINY_VIEW


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["reverse_kl", "sampled"])
def test_opcd_moves_the_student_towards_the_teacher(
    opcd_config: OPCDConfig, taught: Path, tmp_path: Path, loss: str
) -> None:
    config = replace(
        opcd_config, out=tmp_path / "run", teacher=str(taught), loss=loss, tasks=LAKE,
        steps=30, batch_size=16, learning_rate=3e-3, warmup=0.0, save_every=100,
    )  # fmt: skip
    divergence = history(train_opcd(config), "reverse_kl")
    assert divergence[-1] < 0.7 * divergence[0]


def test_a_finished_run_is_left_alone_and_other_settings_are_refused(
    sft_config: SFTConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    train_sft(sft_config)
    capsys.readouterr()
    train_sft(sft_config)
    assert "is done" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"--learning-rate 0\.001, now 1\.0; choose another --out"):
        train_sft(replace(sft_config, learning_rate=1.0))


def rewritten(folder: Path, **settings: Any) -> None:
    """Make the run in a folder one that was begun with these settings; None: without any."""
    kept = json.loads((folder / "run.json").read_text())
    held = {**kept["settings"], **settings}
    kept["settings"] = {name: value for name, value in held.items() if value is not None}
    (folder / "run.json").write_text(json.dumps(kept))


def test_a_run_of_an_older_version_had_what_is_now_the_default(
    sft_config: SFTConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "old"
    shutil.copytree(train_sft(sft_config), old)
    config = replace(sft_config, out=old)
    rewritten(old, perturb=None, gone="a setting of old")
    capsys.readouterr()
    train_sft(config)
    assert "is done" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"--perturb \[\], now \['blur'\]"):
        train_sft(replace(config, perturb=("blur",)))
    rewritten(old, model=None)  # which had no default that could have been meant
    with pytest.raises(ValueError, match=r"--model '', now '.*tiny"):
        train_sft(config)


def test_a_run_is_the_same_wherever_its_folder_is_moved(
    sft_config: SFTConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(train_sft(sft_config), tmp_path / "moved")
    capsys.readouterr()
    train_sft(replace(sft_config, out=tmp_path / "moved"))
    assert "is done" in capsys.readouterr().err


HOSTILE = {
    "": "is not JSON",
    "{": "is not JSON",
    "[" * 100_000: "is not JSON",
    '{"done": ' + "9" * 5000 + "}": "is not JSON",
    "[]": "no JSON object",
    "{}": "settings",
    '{"settings": [], "done": true}': "settings",
    '{"settings": {}, "done": "no"}': "done",
    '{"settings": {}, "done": true, "history": {}}': "history",
    '{"settings": {}, "done": true, "history": [1]}': "history",
    '{"settings": {}, "done": true, "history": [{"step": "one"}]}': "history",
}


@pytest.mark.parametrize("content", HOSTILE, ids=lambda content: content[:40])
def test_a_run_json_that_is_none_is_refused_by_name_with_the_way_out(
    sft_config: SFTConfig, tmp_path: Path, content: str
) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(ValueError, match=rf"run\.json .*{HOSTILE[content]}.*remove it") as raised:
        train_sft(replace(sft_config, out=tmp_path))
    assert is_user_error(raised.value) and len(one_line(raised.value)) < 500


def test_a_run_json_that_no_run_can_have_written_is_not_read(
    sft_config: SFTConfig, tmp_path: Path
) -> None:
    with (tmp_path / "run.json").open("wb") as file:
        file.truncate(2**40)  # a hole: nothing on the disk, and too much for the memory
    with pytest.raises(ValueError, match=r"run\.json .* bytes.*remove it"):
        train_sft(replace(sft_config, out=tmp_path))


def test_a_missing_or_corrupt_checkpoint_is_named(
    sft_config: SFTConfig, tiny_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=r"no checkpoint at .*nowhere"):
        train_sft(replace(sft_config, model=str(tmp_path / "nowhere"), out=tmp_path / "a"))
    broken = tmp_path / "broken"
    shutil.copytree(tiny_folder, broken)
    weights_file = broken / "model.safetensors"
    weights_file.write_bytes(weights_file.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="broken"):
        train_sft(replace(sft_config, model=str(broken), out=tmp_path / "b"))


def test_live_boards_are_a_function_of_seed_and_index_and_of_the_split() -> None:
    def boards(seed: int) -> LiveBoards:
        return LiveBoards(
            select_task_levels(["frozenlake:3", "maze:3"]), TINY_VIEW, "val", seed, 16, 2
        )

    one, two = boards(0), boards(0)
    forwards = [one[index] for index in range(8)]
    backwards = [two[index] for index in reversed(range(8))][::-1]
    for first, second in zip(forwards, backwards, strict=True):
        assert first.layout == second.layout and np.array_equal(first.image, second.image)
        assert split_of(first.layout) == "val"
    kinds = [board.layout.task for board in forwards]
    assert kinds == ["frozenlake", "frozenlake", "maze", "maze"] * 2
    assert [board.layout for board in forwards] != [boards(1)[index].layout for index in range(8)]


def test_learning_rates_part_the_vision_tower_from_the_rest(tiny_folder: Path) -> None:
    model = load_checkpoint(tiny_folder).model
    config = TrainingConfig(out=Path("x"), learning_rate=1e-4, vision_learning_rate=2e-3)
    language, vision = parameter_groups(model, config)
    assert (language["lr"], vision["lr"]) == (1e-4, 2e-3)
    assert {id(p) for p in vision["params"]} == {id(p) for p in model.model.visual.parameters()}
    assert len(language["params"]) + len(vision["params"]) == len(list(model.parameters()))


def test_the_teacher_is_told_the_plan_only_if_asked(opcd_config: OPCDConfig) -> None:
    board = LiveBoards([TaskLevel("frozenlake", 3)], TINY_VIEW, "train", 0, 1, 1)[0]
    without = text_prompt(board.layout, "plan", "brief").text
    student = board.prompt("image", "plan", TINY_VIEW).text
    assert "reference" not in without and "reference" not in student
    assert not opcd_config.teacher_plan


def test_coordinates_brackets_and_answer_tags_are_one_token_each() -> None:
    tokenizer = build_tokenizer()
    for text in (" (0,0)", " (7,7)", "[LDRU]", "[D]", "<answer>", "</answer>", ",PICK", "player"):
        assert len(tokenizer(text).input_ids) == 1, text
    assert tokenizer.convert_ids_to_tokens(tokenizer("SFHG\nRRDD").input_ids) == list("SFHGĊRRDD")
