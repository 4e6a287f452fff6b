"""What goes wrong in a training run: it stops with one clear line and an intact checkpoint."""

import json
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file

from agents.vlm.checkpoint import load_checkpoint
from training.loop.checkpoints import MANIFEST, TrainingStopped, find_corruption, last_checkpoint
from training.loop.run import seconds_of
from training.sft import SFTConfig, SFTTrainer, Target, train_sft
from vsp_envs.prompts.texts import OURS, texts_hash


@pytest.fixture(scope="module")
def config(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> SFTConfig:
    return SFTConfig(
        out=tmp_path_factory.mktemp("faults") / "run", model=str(tiny_folder), steps=3,
        batch_size=2, save_every=1, eval_every=0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def done(config: SFTConfig) -> Path:
    return train_sft(config)


def stopped(done: Path, copy: Path) -> Path:
    """The folder of a run that was stopped after its last checkpoint."""
    shutil.copytree(done / "checkpoints", copy / "checkpoints")
    return copy / "checkpoints"


def cut_short(folder: Path) -> None:
    file = folder / "optimizer.pt"
    file.write_bytes(file.read_bytes()[:1000])


def flip_a_bit(folder: Path) -> None:
    file = folder / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1000] ^= 4
    file.write_bytes(content)


def drop_a_file(folder: Path) -> None:
    (folder / "rng_state.pth").unlink()


def unseal(folder: Path) -> None:
    (folder / MANIFEST).unlink()


DAMAGE = {
    "optimizer.pt is not what was written": cut_short,
    "model.safetensors is not what was written": flip_a_bit,
    "rng_state.pth is missing": drop_a_file,
    "it was never finished": unseal,
}


@pytest.mark.parametrize("word", DAMAGE)
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_taken(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], word: str
) -> None:
    checkpoints = stopped(done, tmp_path)
    assert last_checkpoint(checkpoints) == checkpoints / "checkpoint-3"
    DAMAGE[word](checkpoints / "checkpoint-3")
    assert last_checkpoint(checkpoints) == checkpoints / "checkpoint-2"
    assert f"checkpoint-3 is left aside: {word}" in capsys.readouterr().err


def test_a_run_goes_on_from_the_last_whole_checkpoint_to_the_same_weights(
    config: SFTConfig, done: Path, tmp_path: Path
) -> None:
    checkpoints = stopped(done, tmp_path)
    flip_a_bit(checkpoints / "checkpoint-3")
    train_sft(replace(config, out=tmp_path))
    assert find_corruption(checkpoints / "checkpoint-3") == ""
    one, two = (load_file(folder / "model.safetensors") for folder in (done, tmp_path))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_folder_that_another_run_uses_is_refused(config: SFTConfig, tmp_path: Path) -> None:
    with FileLock(tmp_path / ".lock"), pytest.raises(ValueError, match="in use by another"):
        train_sft(replace(config, out=tmp_path))
    assert [file.name for file in tmp_path.glob("*.json")] == []


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file can grow beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.slow
@pytest.mark.parametrize("size", [100_000, 3_000_000])  # the weights do not fit, or the optimizer
def test_without_room_the_run_stops_in_one_line_and_goes_on_where_there_is_some(
    config: SFTConfig, done: Path, tmp_path: Path, size: int
) -> None:
    checkpoints = stopped(done, tmp_path)
    shutil.rmtree(checkpoints / "checkpoint-3")
    again = replace(config, out=tmp_path)
    with room_for(size), pytest.raises(TrainingStopped, match=r"checkpoint-2 is intact; make room"):
        train_sft(again)
    assert [folder.name for folder in checkpoints.iterdir()] == ["checkpoint-2"]
    assert not json.loads((tmp_path / "run.json").read_text())["done"]
    train_sft(again)
    assert json.loads((tmp_path / "run.json").read_text())["done"]


class Poisoned(SFTTrainer):
    """Its loss is not a number at some steps."""

    at: Callable[[int], bool] = staticmethod(lambda step: step == 1)

    def compute_loss(self, *inputs: Any, **options: Any) -> torch.Tensor:
        loss = super().compute_loss(*inputs, **options)
        return loss * float("nan") if self.at(self.state.global_step) else loss


def test_a_loss_that_is_not_a_number_stops_the_run_before_it_touches_the_weights(
    config: SFTConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.sft.SFTTrainer", Poisoned)
    with pytest.raises(TrainingStopped, match=r"step 2 is nan; .*checkpoint-1 is kept.*on-nan"):
        train_sft(replace(config, out=tmp_path))
    assert last_checkpoint(tmp_path / "checkpoints") == tmp_path / "checkpoints/checkpoint-1"
    train_sft(replace(config, out=tmp_path, on_nan="skip"))
    history = json.loads((tmp_path / "run.json").read_text())["history"]
    assert sum(entry.get("skipped_steps", 0) for entry in history) == 1


def test_a_run_that_skips_every_step_gives_up(
    config: SFTConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.sft.SFTTrainer", Poisoned)
    monkeypatch.setattr(Poisoned, "at", staticmethod(lambda step: step > 0))
    with pytest.raises(TrainingStopped, match="20 steps in a row"):
        train_sft(replace(config, out=tmp_path, on_nan="skip", steps=30, save_every=100))


def test_a_run_asks_with_its_folder_of_prompts_and_goes_on_with_those_texts_alone(
    config: SFTConfig, tmp_path: Path
) -> None:
    prompts = Path(shutil.copytree(OURS / "brief", tmp_path / "prompts"))
    (prompts / "perceive.txt").write_text("look {title}")
    asked = replace(
        config, out=tmp_path / "run", steps=1, prompts=str(prompts), schedule="constant", warmup=0.0
    )
    train_sft(asked)
    settings = json.loads((asked.out / "run.json").read_text())["settings"]
    assert settings["prompts_hash"] == texts_hash(str(prompts))
    assert load_checkpoint(asked.out).view.style == str(prompts)
    moved = Path(shutil.copytree(prompts, tmp_path / "moved"))
    train_sft(replace(asked, prompts=str(moved)))  # the same texts: done before
    for other in ("", str(OURS / "brief")):
        with pytest.raises(ValueError, match="other settings: --prompts"):
            train_sft(replace(asked, prompts=other))
    (prompts / "perceive.txt").write_text("see {title}")
    with pytest.raises(ValueError, match=r"other settings: .*prompts-hash"):
        train_sft(replace(asked, steps=2))


def test_a_text_that_a_stage_lacks_is_named_before_anything_is_loaded(
    config: SFTConfig, tmp_path: Path
) -> None:
    prompts = Path(shutil.copytree(OURS / "brief", tmp_path / "prompts"))
    (prompts / "answer.txt").write_text("answer {board}")
    with pytest.raises(ValueError, match=r"answer.txt cannot have the place \{board\}"):
        train_sft(replace(config, out=tmp_path / "run", target="answer", prompts=str(prompts)))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("target", ["answer", "search"])
def test_the_answer_alone_and_a_search_are_targets(
    config: SFTConfig, target: Target, tmp_path: Path
) -> None:
    asked = replace(config, out=tmp_path / "run", steps=1, eval_every=1, eval_episodes=2)
    train_sft(replace(asked, target=target))
    entries = json.loads((asked.out / "run.json").read_text())["history"]
    assert any("success" in entry for entry in entries)


def test_the_time_of_a_run_of_before_it_was_summed_is_that_of_its_last_piece() -> None:
    assert seconds_of([{"loss": 1.0}, {"train_runtime": 3.0}]) == 3.0
    assert seconds_of([{"loss": 1.0}, {"train_runtime": 3.0, "process_seconds": 8.0}]) == 8.0
