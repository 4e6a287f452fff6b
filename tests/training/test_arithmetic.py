"""The dtype that is asked for is the one that is trained, sampled and saved."""

import itertools
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from endpoint import Answer, serving
from safetensors.torch import load_file

from agents.backends import hf
from agents.vlm.checkpoint import load_checkpoint, vision_token_ids
from agents.vlm.encoding import encode_prompts
from training.data.layout_stream import live_boards
from training.loop.run import history_of
from training.opcd.checks import check_opcd
from training.opcd.config import OPCDConfig
from training.opcd.diagnostics import rollout_mismatch
from training.opcd.policy import Policy
from training.opcd.trainer import OPCDTrainer, make_opcd_trainer, train_opcd


@pytest.fixture
def config(tiny_folder: Path, tmp_path: Path) -> OPCDConfig:
    return OPCDConfig(
        tmp_path / "run", model=str(tiny_folder), teacher=str(tiny_folder), steps=2, batch_size=4,
        max_new_tokens=8, save_every=2, eval_every=0, log_every=1, warmup=0.0, seed_per_board=True,
        loss="sampled", teacher_plan=True,
    )  # fmt: skip


@pytest.mark.slow
def test_a_step_of_one_millionth_moves_float32_weights_and_hardly_any_of_bfloat16(
    config: OPCDConfig,
) -> None:
    moved = {}
    for dtype in ("float32", "bfloat16"):
        out = config.out / dtype
        train_opcd(replace(config, out=out, dtype=dtype, learning_rate=1e-6))
        before = load_checkpoint(config.model, dtype).model.state_dict()
        after = load_file(out / "model.safetensors")
        assert {each.dtype for each in after.values()} == {getattr(torch, dtype)}
        changed = sum(int((after[name] != before[name]).sum()) for name in after)
        moved[dtype] = changed / sum(each.numel() for each in after.values())
    print(moved)
    assert moved["float32"] > 0.5 and moved["bfloat16"] < 0.1


def test_lora_samples_in_the_arithmetic_that_it_is_trained_in(
    config: OPCDConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores: list[torch.Tensor] = []

    class Recorded(hf.SeededSampling):
        def __call__(self, input_ids: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
            scores.append(given.log_softmax(-1))
            return super().__call__(input_ids, given)

    monkeypatch.setattr(hf, "SeededSampling", Recorded)
    trainer = make_opcd_trainer(replace(config, lora_rank=2, precision="bfloat16"))
    dtypes: set[torch.dtype] = set()
    layer = trainer.model.get_base_model().model.language_model.layers[0].mlp
    layer.register_forward_hook(lambda *given: dtypes.add(given[-1].dtype))
    board = trainer.train_dataset[0]
    [batch] = trainer.prepare_step([[board]])
    assert dtypes == {torch.bfloat16}
    with trainer.accelerator.autocast():
        log_p = trainer._log_probs(batch)
    ids = batch["tokens"]["ids"]
    drawn = torch.stack([each[0, token] for each, token in zip(scores, ids, strict=False)])
    # Of the sampled tokens alone: `rollout_mismatch` wants all, and asks for the suppressed ones.
    row = torch.full((len(ids), 1 + int(ids.max())), -30.0)
    row[torch.arange(len(ids)), ids] = log_p
    gaps = rollout_mismatch(row, ids, drawn[: len(ids)], [])
    assert gaps.mean() < 0.05
    assert vision_token_ids(trainer.model.config)


@pytest.mark.parametrize(
    ("engine", "settings", "message"),
    [
        ("FSDP", {"dtype": "bfloat16", "lora_rank": 2}, "FSDP2 cannot shard together"),
        ("DEEPSPEED", {"dtype": "bfloat16"}, "DeepSpeed keeps float32 copies"),
        ("DEEPSPEED", {"micro_batch_tokens": 4096}, "does not go with DeepSpeed"),
        ("DDP", {"dtype": "bfloat16", "precision": "float32"}, "cannot compute with weights"),
        ("DDP", {"micro_batch_tokens": 20}, "has no room for one board"),
        ("DDP", {"rollouts_ahead": 1}, "needs --rollout server"),
        ("DDP", {"rollout_batch_size": 0}, "--rollout-batch-size must be at least 1"),
        ("DDP", {"keep": 0}, "--keep must be at least 1"),
    ],
)
def test_what_cannot_be_had_is_refused_before_anything_is_loaded(
    config: OPCDConfig, engine: str, settings: dict[str, Any], message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv(f"ACCELERATE_USE_{engine}", "true")
    with pytest.raises(ValueError, match=message):
        check_opcd(replace(config, **settings))


def answer_of_a_server(config: OPCDConfig) -> Answer:
    _, processor, view = load_checkpoint(config.model)
    board = live_boards(config, view)[0]
    length = encode_prompts(processor, [board.prompt("image", "plan", view)])["input_ids"].shape[1]
    choice = {
        "message": {"content": "a"}, "token_ids": [7, 9], "finish_reason": "length",
        "logprobs": {"content": [{"logprob": -6.0}, {"logprob": -6.0}]},
    }  # fmt: skip
    return Answer({"choices": [choice], "prompt_token_ids": [0] * length})


@pytest.mark.slow
def test_answers_sampled_ahead_are_a_step_old_and_corrected_by_the_clipped_ratio(
    config: OPCDConfig,
) -> None:
    answer = answer_of_a_server(config)
    with serving(lambda body: answer, any_path=True) as endpoint:
        urls = (endpoint.url.removesuffix("/v1"),)
        config = replace(config, rollout="server", rollout_urls=urls, steps=3, save_every=3)
        train_opcd(replace(config, rollouts_ahead=1))
        asked = [body for body in endpoint.bodies if "messages" in body]
        reloads = [body for body in endpoint.bodies if "method" in body]
        exact = train_opcd(replace(config, out=config.out / "exact"))
    assert len(asked) == 3 * 4 and len(reloads) == 2  # the third step's answers need no newer
    entries = [each for each in history_of(config.out) if "staleness" in each]
    assert [each["staleness"] for each in entries] == [0, 1, 1]
    assert [("ratio_out_of_clip" in each) for each in entries] == [False, True, True]
    assert not any("staleness" in each for each in history_of(exact))


def test_a_step_is_updated_while_the_answers_of_the_next_are_sampled(
    config: OPCDConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, updated, plain = answer_of_a_server(config), threading.Event(), OPCDTrainer.compute_loss
    asked, in_time = itertools.count(), []

    def watched(self: OPCDTrainer, *given: Any, **named: Any) -> Any:
        loss = plain(self, *given, **named)
        updated.set()
        return loss

    def answered(body: dict[str, Any]) -> Answer:
        # The answers of the second step are not there before the first has been through the model.
        if "messages" in body and next(asked) >= config.batch_size:
            in_time.append(updated.wait(60))
        return answer

    monkeypatch.setattr(OPCDTrainer, "compute_loss", watched)
    with serving(answered, any_path=True) as endpoint:
        urls = (endpoint.url.removesuffix("/v1"),)
        train_opcd(replace(config, rollout="server", rollout_urls=urls, rollouts_ahead=1))
    assert in_time == [True] * config.batch_size


def test_validation_has_the_runs_sampler_and_limit_and_counts_what_is_cut(
    config: OPCDConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[int] = []
    plain = Policy._sample

    def watched(self: Policy, requests: Any, inputs: Any, sampling: Any, *rest: Any) -> Any:
        limits.append(sampling.max_new_tokens)
        return plain(self, requests, inputs, sampling, *rest)

    monkeypatch.setattr(Policy, "_sample", watched)
    config = replace(config, eval_every=1, eval_episodes=2, keep=1, keep_best=True, save_every=9)
    out = train_opcd(config)
    entries = [each for each in history_of(out) if "success" in each]
    assert [each["step"] for each in entries] == [0, 1, 2]
    assert all(each["success_cut"] == 1 for each in entries)
    assert limits == [8] * 5  # three validations and two rollouts
    assert (out / "checkpoints/checkpoint-1").is_dir()
