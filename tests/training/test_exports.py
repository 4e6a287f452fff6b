"""What a run leaves: checkpoints that are sealed cheaply, and a model in the dtype asked for."""

import hashlib
import json
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from strange_settings import IN_A_FILE, STRANGE
from transformers import GenerationConfig

from agents.vlm.checkpoint import load_checkpoint
from training.loop.checkpoints import MANIFEST, find_corruption, write_manifest
from training.merge import MergeConfig, merge
from training.opcd.checks import check_opcd
from training.opcd.config import OPCDConfig
from training.presets import PRESETS
from training.sft import SFTConfig, train_sft


@pytest.fixture(scope="module")
def config(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> SFTConfig:
    return SFTConfig(
        out=tmp_path_factory.mktemp("exports") / "run", model=str(tiny_folder), steps=2,
        batch_size=2, save_every=1, eval_every=0, save_dtype="bfloat16",
    )  # fmt: skip


@pytest.fixture(scope="module")
def run(config: SFTConfig) -> Path:
    return train_sft(config)


def test_the_final_model_is_written_in_the_dtype_asked_for(run: Path) -> None:
    last = load_file(run / "checkpoints/checkpoint-2/model.safetensors")
    final = load_file(run / "model.safetensors")
    assert {each.dtype for each in last.values()} == {torch.float32}
    assert final.keys() == last.keys()
    for name, weight in final.items():
        assert torch.equal(weight, last[name].bfloat16())
    said = json.loads((run / "config.json").read_text())
    assert said["dtype"] == said["text_config"]["dtype"] == "bfloat16" and said["use_cache"]
    loaded = load_checkpoint(run)
    assert loaded.model.dtype == torch.bfloat16
    assert loaded.model.lm_head.weight is loaded.model.get_input_embeddings().weight


def test_a_middle_checkpoint_is_exported_by_its_step(run: Path, tmp_path: Path) -> None:
    out = merge(MergeConfig(str(run), tmp_path / "first", step=1, dtype="float32"))
    one, two = (
        load_file(folder / "model.safetensors")
        for folder in (out, run / "checkpoints/checkpoint-1")
    )
    assert one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def stored(folder: Path) -> set[torch.dtype]:
    return {each.dtype for each in load_file(folder / "model.safetensors").values()}


@pytest.mark.slow
def test_auto_keeps_the_dtype_that_the_run_asked_for_or_that_it_stored(
    run: Path, config: SFTConfig, tiny_folder: Path, tmp_path: Path
) -> None:
    as_asked = {
        merge(MergeConfig(folder, tmp_path / name, step=step, dtype="auto"))
        for name, folder, step in (
            ("final", str(run), 0), ("middle", str(run), 1),
            ("folder", str(run / "checkpoints/checkpoint-1"), 0),
        )
    }  # fmt: skip
    assert [stored(each) for each in as_asked] == [{torch.bfloat16}] * 3
    silent = train_sft(replace(config, out=tmp_path / "silent", save_dtype="auto"))
    assert stored(merge(MergeConfig(str(silent), tmp_path / "trained", dtype="auto"))) == {
        torch.float32
    }
    half = merge(MergeConfig(str(tiny_folder), tmp_path / "half"))
    adapted = replace(config, out=tmp_path / "lora", model=str(half), save_dtype="auto")
    lora = train_sft(replace(adapted, lora_rank=2))
    merged = merge(MergeConfig(str(lora), tmp_path / "merged", dtype="auto"))
    assert stored(merged) == {torch.bfloat16}
    assert json.loads((merged / "config.json").read_text())["dtype"] == "bfloat16"


def test_settings_of_generation_that_contradict_themselves_are_no_hindrance_to_saving(
    config: SFTConfig, tiny_folder: Path, tmp_path: Path
) -> None:
    model = shutil.copytree(tiny_folder, tmp_path / "model")
    file = model / "generation_config.json"
    stored = json.loads(file.read_text())
    file.write_text(json.dumps(stored | {name: STRANGE[name] for name in IN_A_FILE}))
    with pytest.raises(ValueError, match="invalid"):
        GenerationConfig.from_pretrained(model).save_pretrained(tmp_path / "refused")
    trained = train_sft(replace(config, out=tmp_path / "run", model=str(model), steps=1))
    merged = merge(MergeConfig(str(model), tmp_path / "merged"))
    for folder in (trained, merged):
        kept = GenerationConfig.from_pretrained(folder)
        assert kept.eos_token_id == stored["eos_token_id"]
        assert kept.pad_token_id == stored["pad_token_id"]
        assert kept.repetition_penalty is None


def test_a_step_that_cannot_be_exported_is_refused_by_name(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(ValueError, match=r"no checkpoint of step 7; those there: 1, 2"):
        merge(MergeConfig(str(run), out, step=7))
    unfinished = tmp_path / "unfinished"
    (unfinished / "checkpoints/checkpoint-3").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"not finished; take a checkpoint with --step: 3"):
        merge(MergeConfig(str(unfinished), out))
    with pytest.raises(ValueError, match=r"checkpoint-3 cannot be taken: it was never finished"):
        merge(MergeConfig(str(unfinished), out, step=3))
    (unfinished / "checkpoints/checkpoint-3/pytorch_model_fsdp_0").mkdir()
    write_manifest(unfinished / "checkpoints/checkpoint-3")
    with pytest.raises(ValueError, match=r"without a config\.json: an earlier version wrote it"):
        merge(MergeConfig(str(unfinished), out, step=3))
    assert not out.exists()


def test_a_dtype_that_cannot_be_saved_is_refused(config: SFTConfig, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown dtype 'float8'"):
        train_sft(replace(config, out=tmp_path, save_dtype="float8"))


def test_a_finished_run_may_be_asked_to_save_otherwise(config: SFTConfig, run: Path) -> None:
    assert train_sft(replace(config, save_every=100, save_dtype="auto")) == run


def test_manifests_of_earlier_versions_hold(tmp_path: Path) -> None:
    file = tmp_path / "optimizer.pt"
    file.write_bytes(b"weights")
    sealed = {file.name: hashlib.sha256(b"weights").hexdigest()}
    (tmp_path / MANIFEST).write_text(json.dumps(sealed))
    assert find_corruption(tmp_path) == ""
    file.write_bytes(b"Weights")
    assert find_corruption(tmp_path) == "optimizer.pt is not what was written"


def test_an_empty_file_is_sealed_too(tmp_path: Path) -> None:
    file = tmp_path / "empty"
    file.touch()
    write_manifest(tmp_path)
    assert find_corruption(tmp_path) == ""
    file.write_bytes(b"\0")
    assert find_corruption(tmp_path) == "empty is not what was written"


def test_sealing_takes_a_tenth_of_writing(tmp_path: Path) -> None:
    pytest.importorskip("isal")
    weights = {str(row): torch.randn(4096, 2048) for row in range(4)}

    def seconds_of_cpu() -> tuple[float, float]:
        begun = time.process_time()
        save_file(weights, tmp_path / "model.safetensors")
        written = time.process_time()
        write_manifest(tmp_path)
        return written - begun, time.process_time() - written

    shares = [sealing / writing for writing, sealing in (seconds_of_cpu() for _ in range(3))]
    assert min(shares) < 0.1


def test_the_presets_write_what_a_large_run_can_afford() -> None:
    for presets in PRESETS.values():
        for name, values in presets.items():
            if name.startswith("qwen"):
                assert values.get("save_every", 100) == 100
                assert values.get("save_dtype") == "bfloat16" or values["lora_rank"]


def test_a_prompt_and_answer_that_do_not_fit_the_engine_are_refused_before_loading(
    tiny_folder: Path, tmp_path: Path
) -> None:
    config = OPCDConfig(
        out=tmp_path, model=str(tiny_folder), teacher=str(tiny_folder), rollout="vllm",
        rollout_tokens=170, max_new_tokens=160, eval_every=0,
    )  # fmt: skip
    with pytest.raises(
        ValueError, match=r"--rollout-tokens 170 has no room for one board: a prompt of \d+ tok"
    ):
        check_opcd(config)
    check_opcd(replace(config, engine='{"max_model_len": 4096}'))
    with pytest.raises(ValueError, match="--engine max_model_len 170 has no room for one board"):
        check_opcd(replace(config, rollout_tokens=4096, engine='{"max_model_len": 170}'))
    with pytest.raises(ValueError, match="--rollout hf starts no engine"):
        check_opcd(replace(config, rollout="hf", engine='{"max_model_len": 4096}'))
