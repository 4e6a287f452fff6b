"""OPCD's teachers, its several steps per rollout, and what it says when a batch is no use."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file

from agents.multi_turn import TurnPolicy
from agents.vlm.checkpoint import Loaded, load_checkpoint, vision_token_ids
from agents.vlm.encoding import Completed, complete, encode_prompts
from training.data.layout_stream import LiveBoards
from training.loop.checkpoints import TrainingStopped
from training.loop.chunked_loss import completion_hidden
from training.model.tiny import build_tiny
from training.opcd.config import OPCDConfig
from training.opcd.diagnostics import StreakMonitor, rollout_mismatch
from training.opcd.divergences import log_probs, of_tokens
from training.opcd.policy import Policy
from training.opcd.sampler import SampledCompletions
from training.opcd.teachers import BaseModelTeacher, EMATeacher, Teacher, make_teacher
from training.opcd.trainer import OPCDTrainer, train_opcd
from vsp_envs import LayoutSpec, draw_distinct
from vsp_envs.core.task_level import select_task_levels
from vsp_envs.prompts.question import text_prompt
from vsp_envs.utils.cli import is_user_error

Config = OPCDConfig


@pytest.fixture
def config(tiny_folder: Path, tmp_path: Path) -> Config:
    return Config(
        out=tmp_path / "run", model=str(tiny_folder), teacher=str(tiny_folder),
        tasks=("frozenlake:3",), steps=4, batch_size=4, max_new_tokens=6, save_every=2,
        eval_every=0, learning_rate=1e-3, warmup=0.0,
    )  # fmt: skip


@pytest.fixture
def completed(tiny_folder: Path) -> Completed:
    """Two text prompts with random answers."""
    processor = load_checkpoint(tiny_folder).processor
    layouts = draw_distinct(LayoutSpec("frozenlake", 3), 2, seed=0)
    prompts = [text_prompt(layout, "plan", "brief") for layout in layouts]
    return complete(encode_prompts(processor, prompts), [[5, 6, 7], [8]], 0)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def history(folder: Path) -> dict[str, float]:
    return json.loads((folder / "run.json").read_text())["history"][0]


def interrupted(folder: Path, step: int, copy: Path) -> None:
    """Make `copy` the folder of a run that was stopped after its checkpoint of that step."""
    name = f"checkpoints/checkpoint-{step}"
    shutil.copytree(folder / name, copy / name)


def test_the_average_starts_at_the_student_and_follows_by_the_share_that_is_not_kept() -> None:
    student = build_tiny("S").model
    start = {name: each.detach().clone() for name, each in student.named_parameters()}
    teacher = EMATeacher(student, 0.75)
    with torch.no_grad():
        for each in student.parameters():
            each += 4
    teacher.update(student)
    for name, each in teacher.model.named_parameters():
        torch.testing.assert_close(each, start[name] + 1)
        assert not each.requires_grad


@pytest.mark.slow
def test_an_averaged_teacher_moves_and_resumes_to_the_bit(config: Config, tmp_path: Path) -> None:
    config = replace(
        config, teacher="", teacher_kind="ema", ema_decay=0.5, loss="jsd", rollouts=2,
        teacher_plan=True, teacher_plan_share=0.5,
    )  # fmt: skip
    done = train_opcd(config)
    steps = [load_file(done / f"checkpoints/checkpoint-{step}/teacher.safetensors")
             for step in (2, 4)]  # fmt: skip
    assert not same(*steps) and not same(steps[1], weights(done))
    interrupted(done, 2, tmp_path / "again")
    again = train_opcd(replace(config, out=tmp_path / "again"))
    assert same(weights(done), weights(again))
    assert same(steps[1], load_file(again / "checkpoints/checkpoint-4/teacher.safetensors"))
    assert not (done / "teacher.safetensors").exists()


def adapted(loaded: Loaded) -> Loaded:
    """The same with LoRA on the language model, and not at its starting point of no effect."""
    torch.manual_seed(0)
    lora = LoraConfig(target_modules=r".*language_model.*\.(q_proj|v_proj)", r=2)
    model = get_peft_model(loaded.model, lora)
    with torch.no_grad():
        for name, each in model.named_parameters():
            if "lora_B" in name:
                each.normal_(0, 0.1)
    return loaded._replace(model=model)


def test_the_student_with_its_adapter_off_judges_as_the_model_beneath(
    tiny_folder: Path, completed: Completed
) -> None:
    base = load_checkpoint(tiny_folder).model
    student = adapted(load_checkpoint(tiny_folder)).model.train()
    judged = BaseModelTeacher(student).hidden(completed)
    with torch.no_grad():
        assert torch.equal(judged, completion_hidden(base, completed))
        assert not torch.allclose(judged, completion_hidden(student, completed))
    assert student.training


def test_a_student_with_lora_learns_from_itself_without(config: Config, tiny_folder: Path) -> None:
    student = adapted(load_checkpoint(tiny_folder, dtype="float32"))
    teacher = make_teacher("adapter-off", "", 0.0, student.model)
    boards = LiveBoards(select_task_levels(["frozenlake:3"]), student.view, "train", 0, 16, 4)
    before = {name: each.detach().clone() for name, each in student.model.named_parameters()}
    trainer = OPCDTrainer(config, student, teacher, boards)
    trainer.train()
    after = dict(student.model.named_parameters())
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and all("lora_" in name for name in changed)


NONSENSE: dict[str, dict[str, Any]] = {
    "unknown task 'mase'": {"tasks": ("mase",)},
    "no frozenlake layout of level 2": {"tasks": ("frozenlake:2",), "split": "test"},
    "64 different minibehaviour layouts .* ask for fewer": {
        "tasks": ("minibehaviour:3",), "eval_every": 1,
    },
    "unknown split 'tests'": {"split": "tests"},
    "unknown frozenlake theme 'clasic'": {"theme": "clasic"},
    "unknown perturbation 'fog'": {"perturb": ("fog",)},
    "nowhere": {"exclude": ("nowhere",)},
    "unknown schedule": {"schedule": "linear"},
    "unknown precision": {"precision": "half"},
    "unknown policy on NaN 'skp'; policies on NaN are stop, skip": {"on_nan": "skp"},
    "unknown part of the model 'eyes'": {"freeze": ("eyes",)},
    "unknown tracker": {"report_to": ("paper",)},
    "--batch-size must be at least 1, got 0": {"batch_size": 0},
    "--steps must be at least 1": {"steps": 0},
    "--warmup must be from 0 to 1": {"warmup": 10.0},
    "--adam-beta2 must be at least 0 and below 1, got 1.0": {"adam_beta2": 1.0},
    "--learning-rate must be at least 0, got nan": {"learning_rate": float("nan")},
    "check --teacher": {"teacher": "./nowhere"},
    "check --model": {"model": "./nowhere"},
    "--teacher is missing: name a checkpoint folder or a hub model": {"teacher": ""},
    "unknown dtype 'auto'": {"dtype": "auto"},
    "unknown reader 'loose'; readers are": {"reader": "loose"},
    "unknown question 'poem'; questions are": {"ask": "poem"},
    "--ask search asks once": {
        "ask": "search", "turn_policy": TurnPolicy(act="step", history=0, max_turns=20),
    },
    "unknown rollout 'sglang'": {"rollout": "sglang"},
    "--rollout-adapter sends": {"rollout": "vllm", "rollout_adapter": True},
    "unknown kind of teacher 'frosen'; kinds of teacher are": {"teacher_kind": "frosen"},
    "unknown placement of the teacher": {"teacher_placement": "here"},
    "unknown dtype of the teacher": {"teacher_dtype": "int8"},
    "leave out --teacher": {"teacher_kind": "ema"},
    "this student has none": {"teacher_kind": "adapter-off", "teacher": ""},
    "--ema-decay must be": {"teacher_kind": "ema", "teacher": "", "ema_decay": 1.0},
    "--save-every 3 must be a multiple": {"updates_per_rollout": 2, "save_every": 3},
    "--temperature must be above 0": {"temperature": 0.0},
}  # fmt: skip


@pytest.mark.parametrize("message", NONSENSE)
def test_settings_that_make_no_sense_are_refused_before_anything_is_loaded(
    config: Config, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "training.opcd.trainer.make_opcd_trainer", lambda _: pytest.fail("something was loaded")
    )
    with pytest.raises((ValueError, OSError), match=message) as raised:
        train_opcd(replace(config, **NONSENSE[message]))
    assert is_user_error(raised.value)


@pytest.mark.slow
def test_several_steps_on_one_rollout_sample_once_and_resume_to_the_bit(
    config: Config, tmp_path: Path
) -> None:
    config = replace(config, updates_per_rollout=2, loss="sampled", learning_rate=1e-2)
    done = train_opcd(config)
    assert history(done)["ratio_out_of_clip"] > 0
    interrupted(done, 2, tmp_path / "again")
    again = train_opcd(replace(config, out=tmp_path / "again"))
    assert same(weights(done), weights(again))


@pytest.mark.slow
def test_unreadable_answers_are_told_and_stop_the_run_if_asked(
    config: Config, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    train_opcd(config)
    said = capsys.readouterr().err
    assert "step 1: no answer could be read" in said and "(4 steps in a row)" in said
    with pytest.raises(TrainingStopped, match=r"step 2: .*--stop-after-unreadable 2 stops"):
        train_opcd(replace(config, out=tmp_path / "stops", stop_after_unreadable=2))


def test_a_lasting_trouble_is_told_ever_more_rarely(capsys: pytest.CaptureFixture[str]) -> None:
    watch = StreakMonitor("rain", True)
    for step in range(9):
        watch.update(step, step != 6)
    assert capsys.readouterr().err.splitlines() == [
        "step 0: rain", "step 1: rain (2 steps in a row)", "step 3: rain (4 steps in a row)",
        "step 7: rain", "step 8: rain (2 steps in a row)",
    ]  # fmt: skip


@pytest.mark.parametrize("answers", [[[], []], [["end"], ["end"]], [[], ["end"]]])
def test_empty_completions_and_bare_end_tokens_neither_crash_nor_poison(
    config: Config, tiny_folder: Path, answers: list[list[str]]
) -> None:
    student = load_checkpoint(tiny_folder, dtype="float32")
    boards = LiveBoards(select_task_levels(["frozenlake:3"]), student.view, "train", 0, 2, 2)
    end = student.processor.tokenizer.eos_token_id

    class Mute(Policy):
        def _sample(self, *_: object) -> SampledCompletions:
            return SampledCompletions([[end] * len(answer) for answer in answers], None)

    config = replace(config, batch_size=2, steps=1)
    teacher = make_teacher("frozen", config.teacher, 0.0, student.model)
    trainer = OPCDTrainer(config, student, teacher, boards)
    trainer.policy = Mute(config, trainer)
    trainer.train()
    assert all(each.isfinite().all() for each in student.model.parameters())
    noted = trainer.state.log_history[0]
    assert noted["rollout_blank"] == noted["status/missing"] == 1.0


def test_the_trainers_log_probabilities_are_compared_with_the_samplers(
    tiny_folder: Path, completed: Completed
) -> None:
    model = load_checkpoint(tiny_folder).model
    never, ids = vision_token_ids(model.config), completed.ids[completed.mask]
    with torch.no_grad():
        logits = completion_hidden(model, completed) @ model.lm_head.weight.T
    drawn = of_tokens(log_probs(logits.index_fill(-1, torch.tensor(never), -torch.inf)), ids)
    gaps = rollout_mismatch(log_probs(logits), ids, drawn, never)
    torch.testing.assert_close(gaps, torch.zeros(4), atol=1e-5, rtol=0)
    assert rollout_mismatch(log_probs(logits), ids, drawn + 0.5, never).min() > 0.49


@pytest.mark.slow
def test_the_plan_is_given_for_the_share_of_boards_that_was_asked(config: Config) -> None:
    config = replace(config, steps=1, batch_size=32, teacher_plan=True, max_new_tokens=2)
    assert history(train_opcd(config))["tokens_judged_with_plan"] == 1.0
    config = replace(config, out=config.out / "half", teacher_plan_share=0.5)
    assert 0.2 < history(train_opcd(config))["tokens_judged_with_plan"] < 0.8


@pytest.fixture
def broken(tiny_folder: Path) -> Teacher:
    """A teacher that says NaN."""
    model = load_checkpoint(tiny_folder, dtype="float32").model
    with torch.no_grad():
        model.lm_head.weight[7] = torch.nan
    return Teacher(model)


def started(config: Config, teacher: Teacher) -> OPCDTrainer:
    """A trainer that has not begun."""
    student = load_checkpoint(config.model, dtype="float32")
    boards = LiveBoards(select_task_levels(config.tasks), student.view, "train", 0, 16, 4)
    return OPCDTrainer(config, student, teacher, boards)


@pytest.mark.slow
def test_a_loss_that_is_not_a_number_stops_the_run_or_is_passed_over_and_told(
    config: Config, broken: Teacher, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(TrainingStopped, match="the gradient of step 1 is nan"):
        started(config, broken).train()
    trainer = started(replace(config, on_nan="skip", out=tmp_path / "skips"), broken)
    before = {name: each.detach().clone() for name, each in trainer.model.named_parameters()}
    trainer.train()
    assert "step 4 is left out: its gradient is nan" in capsys.readouterr().err
    assert same(before, dict(trainer.model.named_parameters()))


@pytest.mark.slow
def test_huge_gradients_are_clipped_and_infinite_ones_stop_the_run(
    config: Config, tiny_folder: Path
) -> None:
    teacher = make_teacher("frozen", str(tiny_folder), 0.0, build_tiny("S").model)
    trainer = started(replace(config, distill_weight=1e12), teacher)
    trainer.train()
    assert all(each.isfinite().all() for each in trainer.model.parameters())
    with pytest.raises(TrainingStopped, match="is inf"):
        started(replace(config, distill_weight=1e30, out=config.out / "inf"), teacher).train()


@pytest.mark.parametrize("ask", ["plan", "search", "answer"])
def test_student_and_teacher_are_asked_for_the_same(
    config: Config, ask: str, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    encode = Policy.encode

    def heard(self: Policy, prompts: Any) -> Any:
        asked.extend(prompt.text for prompt in prompts)
        return encode(self, prompts)

    monkeypatch.setattr(Policy, "encode", heard)
    train_opcd(replace(config, ask=ask, steps=1, eval_every=1, eval_episodes=1))
    words = {text.split("\n")[-1] for text in asked}
    assert words == {f"{ask} FrozenLake"}
    assert load_checkpoint(str(config.out)).view.ask == ask, "evaluation asks for the same"
    assert {"\n" in text for text in asked} == {True, False}  # by text, and by image
