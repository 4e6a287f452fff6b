"""vLLM draws from the very policy that is trained: after every step, by weights or by adapter."""

import json
import os
import shutil
import signal

import pytest
import torch

pytest.importorskip("vllm", reason="vLLM is not installed here; `make test-vllm` has it")

from peft import LoraConfig, get_peft_model

from agents.backends.hf import sample
from agents.multi_turn import TurnPolicy
from agents.rollout import Case, prompt_of
from agents.sampling import Sampling
from agents.vlm.checkpoint import Loaded, load_checkpoint, vision_token_ids
from agents.vlm.encoding import complete, encode_prompts
from training.model.tiny import TINY_VIEW, build_tiny
from training.opcd.config import OPCDConfig
from training.opcd.policy import Policy
from training.opcd.rollout_config import RolloutConfig, make_sampler
from training.opcd.sampler import RolloutError
from training.opcd.trainer import train_opcd
from training.opcd.vllm_sampler import VLLMSampler
from vsp_envs import TASKS, LayoutSpec, draw_distinct, get_task

CLOSE = 1e-3
GREEDY = Sampling(temperature=0, max_new_tokens=12)
WARM = Sampling(temperature=0.8, max_new_tokens=12, seed=3)
LAYOUTS = [
    layout
    for task in TASKS
    for layout in draw_distinct(LayoutSpec(task, get_task(task).paper_levels[0]), 1, seed=0)
]
# Always the same images: what was computed for them with older weights would be found again.
PROMPTS = [prompt_of(Case(layout, "image"), TINY_VIEW) for layout in LAYOUTS]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """Another tiny model with random weights, for the student to move towards."""
    folder = tmp_path_factory.mktemp("teacher")
    model, processor, _ = build_tiny("S", seed=1)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return str(folder)


@pytest.fixture
def sampler(request, engine, checkpoint, tmp_path):
    """The engine in this process or the server, with the checkpoint's weights before and after."""
    loaded = load_checkpoint(checkpoint, "float32")
    if request.param == "vllm":
        sampler = VLLMSampler(engine, loaded.processor, tmp_path / "weights")
    else:
        url = request.getfixturevalue("server").url
        config = RolloutConfig(rollout="server", rollout_urls=(url,))
        sampler = make_sampler(config, checkpoint, loaded, tmp_path)
    yield sampler
    if request.param == "vllm" or request.getfixturevalue("server").process.poll() is None:
        sampler.update(loaded.model)
    sampler.close()


EITHER = pytest.mark.parametrize("sampler", ["vllm", "server"], indirect=True)


def gap(sampler, model, processor):
    """The largest |Δ log p| between a sampler's draw and this model."""
    inputs = encode_prompts(processor, PROMPTS)
    drawn = sampler.sample(PROMPTS, inputs, WARM)
    whole = complete(inputs, drawn.ids, processor.tokenizer.pad_token_id)
    with torch.no_grad():
        logits = model(**whole.inputs).logits[:, -whole.ids.shape[1] - 1 : -1]
    logits[..., vision_token_ids(model.config)] = -torch.inf
    log_p = (logits / WARM.temperature).log_softmax(-1)
    found = log_p.gather(-1, whole.ids[..., None])[..., 0][whole.mask]
    said = torch.tensor([each for reply in drawn.logprobs for each in reply])
    return (found - said).abs().max().item()


def check(sampler, model, processor):
    """The sampler draws from this model: the same ids greedily, the same log-probabilities."""
    inputs = encode_prompts(processor, PROMPTS)
    greedy = sample(model, inputs, GREEDY, processor.tokenizer.pad_token_id)
    assert sampler.sample(PROMPTS, inputs, GREEDY).ids == greedy
    assert gap(sampler, model, processor) < CLOSE


class Watched(Policy):
    """Checks the sampler against the model after each update, and counts the updates."""

    updates = 0

    def _sample(self, *asked):
        drawn = super()._sample(*asked)
        check(self.sampler, self.trainer.model, self.trainer.processor)
        Watched.updates += 1
        return drawn


def history(run):
    return json.loads((run / "run.json").read_text())["history"]


def train(monkeypatch, sampler, policy, out, **settings):
    """OPCD with this sampler, watched by this kind of policy."""
    monkeypatch.setattr("training.opcd.policy.make_sampler", lambda *_: sampler)
    monkeypatch.setattr(sampler, "close", lambda: None)  # the test goes on asking it
    monkeypatch.setattr("training.opcd.trainer.Policy", policy)
    defaults = {
        "tasks": ("frozenlake:3", "maze:3"), "batch_size": 4, "max_new_tokens": 12,
        "learning_rate": 3e-3, "warmup": 0.0, "eval_every": 0,
    }  # fmt: skip
    return train_opcd(OPCDConfig(out=out, **defaults | settings))


@EITHER
def test_over_twenty_steps_of_opcd_vllm_draws_from_the_policy_as_it_is(
    sampler, checkpoint, teacher, tmp_path, monkeypatch
):
    Watched.updates = 0
    run = tmp_path / "run"
    train(monkeypatch, sampler, Watched, run, model=checkpoint, teacher=teacher, steps=20)
    assert Watched.updates == 20
    start = load_checkpoint(checkpoint, "float32")
    assert gap(sampler, start.model, start.processor) > 100 * CLOSE  # so far has the policy moved
    logged = [entry["rollout_mismatch"] for entry in history(run) if "rollout_mismatch" in entry]
    assert logged and max(logged) < CLOSE


@pytest.mark.parametrize("sampler", ["vllm"], indirect=True)
def test_boards_in_turns_find_their_earlier_turns_in_the_prefix_cache(
    sampler, checkpoint, teacher, tmp_path, monkeypatch
):
    engine, turns = sampler.engine.engine, []
    plain = engine.generate

    def generate(*asked, **options):
        turns.append(plain(*asked, **options))
        return turns[-1]

    monkeypatch.setattr(engine, "generate", generate)
    policy = TurnPolicy(act="step", malformed="skip", history=4, max_turns=5)
    train(
        monkeypatch, sampler, Policy, tmp_path / "run", model=checkpoint, teacher=teacher, steps=1,
        tasks=("frozenlake:3",), turn_policy=policy,
    )  # fmt: skip
    block = engine.llm_engine.vllm_config.cache_config.block_size
    read = [[len(each.prompt_token_ids) for each in turn] for turn in turns]
    cached = [[each.num_cached_tokens for each in turn] for turn in turns]
    assert len(turns) == 5 and min(read[-2]) > block
    for earlier, found in zip(read, cached[1:], strict=False):
        assert all(had >= size // block * block for size, had in zip(earlier, found, strict=True))


def with_lora(checkpoint):
    """The checkpoint with LoRA on its language model, and its processor."""
    model, processor, _ = load_checkpoint(checkpoint, "float32")
    places = r".*language_model.*(q_proj|o_proj|gate_proj|down_proj)"
    return get_peft_model(model, LoraConfig(r=4, target_modules=places)).eval(), processor


def moves(model, count):
    """Move the trained weights at random, so many times."""
    torch.manual_seed(0)
    for _ in range(count):
        with torch.no_grad():
            for weight in model.parameters():
                if weight.requires_grad:
                    weight += 0.1 * torch.randn_like(weight)
        yield


@EITHER
def test_lora_is_added_into_the_weights_that_are_sent(sampler, checkpoint):
    model, processor = with_lora(checkpoint)
    for _ in moves(model, 3):
        sampler.update(model)
        check(sampler, model, processor)


class Dying(Policy):
    """Loses its engine at the third step."""

    def _sample(self, *asked):
        if self.trainer.state.global_step == 2:
            self.kill()
        return super()._sample(*asked)


def dies_and_goes_on(sampler, kill, checkpoint, tmp_path, monkeypatch, match):
    Dying.kill = staticmethod(kill)
    settings = {"model": checkpoint, "teacher": checkpoint, "steps": 3, "save_every": 2}
    with pytest.raises(RolloutError, match=match):
        train(monkeypatch, sampler, Dying, tmp_path / "run", **settings)
    monkeypatch.undo()
    # What is left is a whole checkpoint: transformers' own sampler goes on from it.
    shutil.copytree(tmp_path / "run/checkpoints", tmp_path / "again/checkpoints")
    (last,) = (tmp_path / "again/checkpoints").iterdir()
    assert last.name == "checkpoint-2"
    hf = make_sampler(RolloutConfig(), checkpoint, load_checkpoint(checkpoint, "float32"), tmp_path)
    assert load_checkpoint(train(monkeypatch, hf, Policy, tmp_path / "again", **settings))


@pytest.mark.parametrize("sampler", ["vllm"], indirect=True)
def test_an_engine_that_fails_stops_the_run_and_leaves_a_whole_checkpoint(
    sampler, checkpoint, tmp_path, monkeypatch
):
    def kill():
        raised = RuntimeError("CUDA out of memory")
        core = sampler.engine.engine.llm_engine.engine_core.engine_core
        runner = core.model_executor.driver_worker.worker.model_runner
        monkeypatch.setattr(runner.model, "forward", lambda **_: (_ for _ in ()).throw(raised))

    dies_and_goes_on(sampler, kill, checkpoint, tmp_path, monkeypatch, "vLLM failed: .*memory")


# A second engine in this process: when it goes, vLLM's groups go with it, and the first engine is
# of no use any more.
@pytest.mark.parametrize("way", ["vllm", "server"])
def test_lora_is_sent_as_an_adapter(way, checkpoint, server, tmp_path):
    model, processor = with_lora(checkpoint)
    # The trainer may bound the size of pictures: here every one is made smaller.
    processor.image_processor.size["longest_edge"] = 64 * 64
    loaded = Loaded(model, processor, TINY_VIEW)
    config = RolloutConfig(
        rollout=way, rollout_adapter=True, rollout_tokens=1024, rollout_urls=(server.url,),
        engine='{"max_num_seqs": 8}',
    )  # fmt: skip
    sampler = make_sampler(config, checkpoint, loaded, tmp_path)
    if way == "vllm":
        found = sampler.engine.engine.llm_engine.vllm_config
        assert found.scheduler_config.max_num_seqs == 8
        assert found.model_config.max_model_len == 1024
    for _ in moves(model, 3):
        sampler.update(model)
        check(sampler, model, processor)
    assert len(list((tmp_path / "weights").iterdir())) == 1


@pytest.mark.parametrize("sampler", ["server"], indirect=True)
def test_a_server_that_is_killed_stops_the_run_and_leaves_a_whole_checkpoint(
    sampler, server, checkpoint, tmp_path, monkeypatch
):
    def kill():
        os.killpg(server.process.pid, signal.SIGKILL)
        server.process.wait()

    dies_and_goes_on(sampler, kill, checkpoint, tmp_path, monkeypatch, "does not answer")
