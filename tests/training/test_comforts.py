"""Presets, dry runs, progress, trackers, adapters and the merged checkpoint."""

import io
import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import DynamicCache

from agents.backends.hf import weights_id
from agents.multi_turn import TurnPolicy
from agents.vlm.checkpoint import CheckpointError, Loaded, load_checkpoint
from agents.vlm.encoding import complete, encode_prompts
from training import memory, presets
from training.base import BaseConfig
from training.data.layout_stream import live_boards
from training.loop import memory_estimate
from training.loop.dry_run import sizes_of
from training.loop.trackers import trackers
from training.merge import MergeConfig, merge
from training.model.shapes import QWEN, shape_config
from training.model.tiny import TINY_VIEW, build_tiny
from training.opcd.config import OPCDConfig
from training.opcd.trainer import train_opcd
from training.sft import SFTConfig, train_sft

CLASSES = {"sft": SFTConfig, "opcd": OPCDConfig}


@pytest.fixture(scope="module")
def told(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[SFTConfig, str]:
    """A finished run with adapters, its curves and its log; what it printed."""
    config = SFTConfig(
        out=tmp_path_factory.mktemp("comforts") / "run", model=str(tiny_folder), steps=2,
        batch_size=2, eval_every=1, eval_episodes=2, learning_rate=0.05, lora_rank=2,
        lora_vision=True, warmup=0.0,
    )  # fmt: skip
    printed = io.StringIO()
    with redirect_stdout(printed), redirect_stderr(printed):
        train_sft(config)
    return config, printed.getvalue()


@pytest.fixture
def adapted(told: tuple[SFTConfig, str]) -> SFTConfig:
    return told[0]


def read(command: Callable[[object], object], *args: str) -> None:
    presets.main(command, SFTConfig, "sft", args)


def test_a_preset_is_where_the_settings_start_and_what_is_given_overrides_it() -> None:
    seen: list[SFTConfig] = []
    read(seen.append, "--out", "x", "--preset", "qwen3-vl-8b", "--steps", "3")
    [config] = seen
    assert (config.lora_rank, config.steps, config.out) == (8, 3, Path("x"))
    assert config.model == "Qwen/Qwen3-VL-8B-Instruct"


def test_base_offers_nothing_that_it_cannot_do(capsys: pytest.CaptureFixture[str]) -> None:
    for args in (["--preset", "qwen3-vl-4b"], ["--input", "image"], ["--target", "perception"]):
        with pytest.raises(SystemExit, match="2"):
            presets.main(print, BaseConfig, "base", ["--out", "x", *args])
    with pytest.raises(SystemExit, match="0"):
        presets.main(print, BaseConfig, "base", ["--help"])
    said = capsys.readouterr().out
    assert "--size" in said and "qwen" not in said and "--input" not in said


def test_an_unknown_preset_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        read(print, "--out", "x", "--preset", "qwen3-vl-4")
    assert "Did you mean 'qwen3-vl-4b'?" in capsys.readouterr().err


@pytest.mark.parametrize("name", QWEN)
@pytest.mark.parametrize("stage", CLASSES)
def test_a_presets_model_is_counted_to_the_byte(stage: str, name: str) -> None:
    config = presets.preset(CLASSES[stage], stage, name)
    sizes = memory.sizes_of(config, 1)
    found = memory.estimate(shape_config(name), config, sizes, 1, teacher=stage == "opcd")
    base = {"qwen3-vl-4b": 4_437_815_808, "qwen3-vl-8b": 8_767_123_696}[name]
    if stage == "sft":
        adapters = found.gradients / 4
        assert 1e7 < adapters < 3e7 and found.optimizer == 8 * adapters
        assert found.weights == 2 * base + 4 * adapters
    else:
        assert (found.weights, found.gradients, found.optimizer) == (4 * base, 4 * base, 8 * base)
        assert found.teacher == 2 * base
        shared = memory.estimate(shape_config(name), config, sizes, 8, teacher=True)
        assert shared.optimizer == base and shared.total < found.total / 2
        assert shared.teacher == 2 * base  # the presets replicate it
        apart = replace(config, teacher_placement="sharded")
        apart_found = memory.estimate(shape_config(name), apart, sizes, 8, teacher=True)
        assert apart_found.teacher == base / 4
        assert shared.host == (4 + 8 * 2) * base  # the student once


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("lora", [0, 8])
def test_the_estimate_agrees_with_what_torch_counts_at_real_shapes(dtype: str, lora: int) -> None:
    shape = shape_config("qwen3-vl-4b")
    config = OPCDConfig(Path("x"), dtype=dtype, lora_rank=lora)
    model = memory_estimate.meta_model(shape).to(getattr(torch, dtype))
    model = memory_estimate.trainable(model, config)
    trained = [each for each in model.parameters() if each.requires_grad]
    for each in trained:
        if lora:  # peft keeps adapters in float32
            each.data = each.data.float()
        each.grad = torch.empty_like(each)
    optimizer = torch.optim.AdamW(trained, foreach=False)
    optimizer.step()
    moments = [each for state in optimizer.state.values() for each in state.values() if each.dim()]
    sizes = memory.Sizes(1, 310, 2048, rollouts=4)
    found = memory.estimate(shape, config, sizes, 1)
    for counted, tensors in (
        (found.weights, list(model.parameters())),
        (found.gradients, [each.grad for each in trained]),
        (found.optimizer, moments),
    ):
        assert counted == sum(each.nbytes for each in tensors)
    text = shape.get_text_config()
    side = (4, text.num_key_value_heads, 310 + 2048, text.head_dim)
    layer = torch.empty(side, dtype=torch.bfloat16, device="meta")
    cache = DynamicCache()
    for number in range(text.num_hidden_layers):
        cache.update(layer, layer, number)
    held = sum(each.keys.nbytes + each.values.nbytes for each in cache.layers)
    whole = 2 * sum(each.numel() for each in memory_estimate.meta_model(shape).parameters())
    assert found.rollouts == held + (whole if dtype == "float32" else 0)


def test_estimated_activations_are_near_what_autograd_keeps(tiny: Loaded) -> None:
    model, processor, _ = tiny
    boards = live_boards(SFTConfig(out=Path("x"), tasks=("maze:6",)), TINY_VIEW)
    prompts = [boards[index].prompt("image", "plan", TINY_VIEW) for index in range(8)]
    batch = complete(encode_prompts(processor, prompts), [[5] * 40] * 8, 0)
    kept: dict[int, int] = {}
    own = {each.untyped_storage().data_ptr() for each in model.parameters()}

    def keep(saved: torch.Tensor) -> torch.Tensor:
        storage = saved.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return saved

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved):
        hidden = model.model(**batch.inputs)[0]
    assert hidden.requires_grad
    tokens = batch.inputs["input_ids"].shape[1]
    patches = int(batch.inputs["image_grid_thw"][0].prod())
    sizes = memory.Sizes(boards=8, prompt=tokens - 40, completion=40, patches=patches)
    guess = memory_estimate.activations(
        model.config, sizes, checkpointing=False, tower=True, width=4
    )
    assert guess == pytest.approx(sum(kept.values()), rel=0.35)


@pytest.fixture
def tiny() -> Loaded:
    return build_tiny("M")


def test_a_dry_run_prints_the_prompt_the_aligned_tokens_and_the_memory(
    adapted: SFTConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train_sft(replace(adapted, out=tmp_path, dry_run=True))
    printed = capsys.readouterr().out
    assert "<|image_pad|> × 9<|vision_end|>describe FrozenLake" in printed
    assert "'<|im_end|>'" in printed and "on each of 1 device(s)" in printed
    assert not (tmp_path / "run.json").exists()


def test_the_memory_of_a_step_is_that_of_all_plays_of_a_board_and_of_all_their_turns() -> None:
    plan = OPCDConfig(Path("x"), batch_size=4, max_new_tokens=10, rollouts=3)
    step = replace(plan, turn_policy=TurnPolicy(act="step", history=2, max_turns=5))
    assert sizes_of(plan, 20, 7, 16) == memory.Sizes(4 * 3, 20, 10, 16, rollouts=12)
    in_turns = memory.Sizes(4 * 3 * 5, 20 + 2 * 30, 10, 16 * 3, rollouts=12)
    assert sizes_of(step, 20, 7, 16) == in_turns
    assert sizes_of(replace(step, micro_batch_tokens=900), 20, 7, 16).boards == 10
    taught = SFTConfig(Path("x"), batch_size=4, turn_policy=step.turn_policy)
    assert sizes_of(taught, 20, 7, 16) == memory.Sizes(4, 20, 7, 16)


def test_a_run_writes_its_settings_versions_and_curves(adapted: SFTConfig) -> None:
    run = json.loads((adapted.out / "run.json").read_text())
    assert run["settings"]["lora_rank"] == 2 and run["versions"]["torch"] and run["command"]
    assert (adapted.out / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_progress_is_lines_where_there_is_no_terminal(told: tuple[SFTConfig, str]) -> None:
    config, printed = told
    assert f"\n{config.out.name}: step 1/2  perception 0.0 %" in printed
    assert "{" not in printed


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow", "trackio", "swanlab"])
def test_a_tracker_without_its_package_is_named_with_the_way_out(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.loop.trackers.find_spec", lambda package: None)
    with pytest.raises(ValueError, match=f"pip install '{name}"):
        trackers([name])
    with pytest.raises(ValueError, match="unknown tracker 'tensorbord'"):
        trackers(["tensorbord"])


def test_a_swanlab_that_is_too_new_is_named_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SWANLAB_MODE", raising=False)
    monkeypatch.setattr("training.loop.trackers.find_spec", lambda package: object())
    monkeypatch.setattr("training.loop.trackers.version", lambda package: "0.10.3")
    with pytest.raises(ValueError, match=r"swanlab 0\.10\.3, .*pip install 'swanlab<0\.7'`"):
        trackers(["swanlab"])
    monkeypatch.setattr("training.loop.trackers.version", lambda package: "0.6.4")
    assert trackers(["swanlab"]) == ["swanlab"]


def test_what_swanlabs_local_mode_needs_is_named_too(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"swanlab": "0.6.13", "swanboard": "0.1.9b1", "peewee": "4.5.3"}
    monkeypatch.setenv("SWANLAB_MODE", "local")
    monkeypatch.setattr("training.loop.trackers.find_spec", versions.get)
    monkeypatch.setattr("training.loop.trackers.version", versions.get)
    with pytest.raises(ValueError, match=r"peewee 4\.5\.3, .*pip install 'peewee<4'`"):
        trackers(["swanlab"])
    versions["peewee"] = "3.19.0"
    assert trackers(["swanlab"]) == ["swanlab"]
    del versions["swanboard"]
    with pytest.raises(ValueError, match=r"pip install 'swanlab\[dashboard\]<0\.7'`"):
        trackers(["swanlab"])


def rows(file: Path, query: str) -> list[tuple[Any, ...]]:
    """What a query finds in an SQLite file."""
    with closing(sqlite3.connect(file)) as store:
        return store.execute(query).fetchall()


def kept_by_tensorboard(folder: Path) -> list[float]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    [events] = folder.rglob("*tfevents*")
    return [each.value for each in EventAccumulator(str(events)).Reload().Scalars("train/loss")]


def kept_by_wandb(folder: Path) -> list[float]:
    [file] = folder.rglob("*.wandb")  # protobuf: field 16 is the value; the summary repeats it
    found = re.findall(rb"train/loss\x82\x01.([0-9.e-]+)", file.read_bytes(), re.DOTALL)
    return [float(value) for value in dict.fromkeys(found)]


def kept_by_mlflow(folder: Path) -> list[float]:
    found = rows(folder / "mlflow.db", "select value from metrics where key = 'loss' order by step")
    return [value for (value,) in found]


def kept_by_trackio(folder: Path) -> list[float]:
    found = rows(folder / "trackio" / "huggingface.db", "select metrics from metrics order by id")
    entries = [json.loads(entry) for (entry,) in found]
    return [entry["train/loss"] for entry in entries if "train/loss" in entry]


def kept_by_swanlab(folder: Path) -> list[float]:
    tags = rows(
        folder / "swanlog" / "runs.swanlab", "select folder from tag where name='train/loss'"
    )
    [log] = folder.glob(f"swanlog/run-*/logs/{tags[0][0]}/*.log")
    return [json.loads(line)["data"] for line in log.read_text().splitlines()]


KEPT = {
    "tensorboard": kept_by_tensorboard, "wandb": kept_by_wandb, "mlflow": kept_by_mlflow,
    "trackio": kept_by_trackio, "swanlab": kept_by_swanlab,
}  # fmt: skip


@pytest.mark.parametrize("name", KEPT)
def test_a_tracker_takes_the_curves_of_three_steps(
    name: str, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if find_spec(name) is None:
        pytest.skip(f"needs {name}: make test-trackers installs it")
    for key, value in {
        "WANDB_MODE": "offline", "WANDB_DIR": str(tmp_path), "SWANLAB_MODE": "local",
        "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db", "TRACKIO_DIR": str(tmp_path / "trackio"),
    }.items():  # fmt: skip
        monkeypatch.setenv(key, value)
    monkeypatch.chdir(tmp_path)
    train_sft(SFTConfig(model=str(tiny_folder), out=tmp_path / "run", tasks=("frozenlake:3",),
                        steps=3, batch_size=4, eval_every=0, log_every=1, report_to=(name,)))  # type: ignore[arg-type]  # fmt: skip
    [state] = (tmp_path / "run").rglob("trainer_state.json")
    history = json.loads(state.read_text())["log_history"]
    losses = [entry["loss"] for entry in history if "loss" in entry]
    assert len(losses) == 3 and KEPT[name](tmp_path) == pytest.approx(losses, rel=1e-6)


def logits(loaded: Loaded) -> torch.Tensor:
    board = live_boards(SFTConfig(out=Path("x")), TINY_VIEW)[0]
    inputs = encode_prompts(loaded.processor, [board.prompt("image", "plan", TINY_VIEW)])
    with torch.no_grad():
        return loaded.model(**inputs).logits


def test_a_run_with_adapters_loads_like_any_and_merges_into_a_plain_checkpoint(
    adapted: SFTConfig, tiny_folder: Path, tmp_path: Path
) -> None:
    run = load_checkpoint(adapted.out)
    assert not torch.allclose(logits(run), logits(load_checkpoint(tiny_folder)), atol=1e-3)
    merged = merge(MergeConfig(str(adapted.out), tmp_path / "merged", dtype="float32"))
    assert not list(merged.glob("adapter*"))
    plain = load_checkpoint(merged)
    assert weights_id(plain.model) == weights_id(run.model) and plain.view == TINY_VIEW
    assert torch.equal(logits(plain), logits(run))
    assert plain.processor.image_processor.size == run.processor.image_processor.size
    with pytest.raises(ValueError, match="is not empty"):
        merge(MergeConfig(str(adapted.out), merged))
    with pytest.raises(CheckpointError, match=r"no checkpoint at '\./nowhere'.*check --run"):
        merge(MergeConfig("./nowhere", tmp_path / "none"))


@pytest.mark.slow
def test_an_adapter_on_an_adapter_stands_on_all_that_is_beneath_and_keeps_its_own_view(
    adapted: SFTConfig, tmp_path: Path
) -> None:
    config = replace(
        adapted, out=tmp_path / "second", model=str(adapted.out), learning_rate=0.0, steps=1,
        eval_every=0, theme="gymnasium", max_pixels=200_000,
    )  # fmt: skip
    first, second = load_checkpoint(adapted.out), load_checkpoint(train_sft(config))
    for name, weight in first.model.state_dict().items():
        torch.testing.assert_close(second.model.state_dict()[name], weight)
    assert second.view == replace(first.view, theme="gymnasium")
    assert second.processor.image_processor.size["longest_edge"] == 200_000
    checkpoint = load_checkpoint(config.out / "checkpoints" / "checkpoint-1")
    assert checkpoint.view == second.view


@pytest.mark.slow
def test_what_is_trained_on_an_adapter_or_merged_from_it_has_its_view_and_may_be_all_weights(
    adapted: SFTConfig, tmp_path: Path
) -> None:
    short = replace(adapted, steps=1, eval_every=0)
    themed = train_sft(replace(short, out=tmp_path / "themed", theme="gymnasium"))
    view = load_checkpoint(themed).view
    assert view.theme == "gymnasium"
    whole = train_sft(replace(short, out=tmp_path / "whole", model=str(themed), lora_rank=0))
    assert not list(whole.glob("adapter*")) and load_checkpoint(whole).view == view
    above = train_sft(replace(short, out=tmp_path / "above", model=str(themed)))
    assert load_checkpoint(above).view == view
    merged = merge(MergeConfig(str(themed), tmp_path / "merged"))
    assert load_checkpoint(merged).view == view


def test_an_adapter_of_itself_is_refused(adapted: SFTConfig, tmp_path: Path) -> None:
    file = tmp_path / "adapter_config.json"
    held = json.loads((adapted.out / file.name).read_text())
    file.write_text(json.dumps({**held, "base_model_name_or_path": str(tmp_path)}))
    with pytest.raises(CheckpointError, match="which is one of it"):
        load_checkpoint(tmp_path)


def test_vllm_is_not_sent_looking_for_weights_that_an_adapter_has_not(
    adapted: SFTConfig, tmp_path: Path
) -> None:
    config = OPCDConfig(
        tmp_path, model=str(adapted.out), teacher=adapted.model, rollout="vllm", eval_every=0
    )
    with pytest.raises(CheckpointError, match=rf"training\.merge --run {adapted.out} .*as --model"):
        train_opcd(config)


def test_an_adapter_whose_model_has_gone_is_named(adapted: SFTConfig, tmp_path: Path) -> None:
    file = tmp_path / "adapter_config.json"
    held = json.loads((adapted.out / file.name).read_text())
    file.write_text(json.dumps({**held, "base_model_name_or_path": "/gone/away"}))
    with pytest.raises(CheckpointError, match=r"an adapter of '/gone/away', which is not there"):
        load_checkpoint(tmp_path)


def test_picture_bounds_are_kept_with_the_processor(adapted: SFTConfig, tiny_folder: Path) -> None:
    from training.model.student import load_student

    config = replace(adapted, min_pixels=65_536, max_pixels=262_144)
    student = load_student(config, str(tiny_folder))
    small, large = (replace(TINY_VIEW, cell_pixels=0, image_size=side) for side in (96, 1024))
    for view in (small, large):
        [board] = [live_boards(config, view)[0]]
        inputs = encode_prompts(student.processor, [board.prompt("image", "plan", view)])
        pixels = int(inputs["image_grid_thw"].prod()) * 16 * 16
        assert 65_536 <= pixels <= 262_144
    with pytest.raises(ValueError, match="--min-pixels 900 is above --max-pixels 100"):
        load_student(replace(config, min_pixels=900, max_pixels=100), str(tiny_folder))
