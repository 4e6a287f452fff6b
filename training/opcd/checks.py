"""Checks of OPCD's settings, which refuse bad ones before anything is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from agents.backends.engine_options import engine_options
from agents.backends.vllm import check_whole
from agents.multi_turn import Turn, TurnPolicy, chat
from agents.rollout import check_asked
from agents.vlm.encoding import encode_prompts
from training.model.sharding import Placement
from training.model.student import load_reader
from training.opcd.config import OPCDConfig, Rollout, TeacherDtype
from training.opcd.divergences import divergence_named
from training.opcd.objective import Objective
from training.opcd.teachers import TeacherKind
from training.validate import FROM_0, FROM_1, SHARE, check_config
from vsp_envs import Layout, LayoutSpec, draw_distinct, get_task
from vsp_envs.prompts.question import Ask, question, refusal_words, result_words, unread_words
from vsp_envs.rendering.png import LazyImage
from vsp_envs.scoring.answer_format import ParseStatus, action_name
from vsp_envs.scoring.answer_readers import READERS
from vsp_envs.utils.choices import pick_name


def objective_of(config: OPCDConfig, suppressed_ids: Sequence[int]) -> Objective:
    """The loss that the settings describe. Raises ValueError for bad settings."""
    if config.temperature <= 0:
        raise ValueError(f"--temperature must be above 0 to sample, got {config.temperature}")
    divergence = divergence_named(
        config.loss, config.beta, config.top_k, config.divergence_cap, config.clip_ratio
    )
    return Objective(
        divergence, config.distill_weight, config.reward_weight, config.clip_ratio,
        config.temperature, suppressed_ids,
    )  # fmt: skip


RANGES = {
    FROM_1: (
        "rollouts", "updates_per_rollout", "max_new_tokens", "rollout_tokens", "rollout_batch_size",
    ),
    FROM_0: ("distill_weight", "reward_weight", "progress_reward", "stop_after_unreadable"),
    SHARE: ("teacher_plan_share", "rollout_memory"),
}  # fmt: skip


def check_opcd(config: OPCDConfig) -> None:
    """Raise ValueError for bad settings of OPCD, before anything is loaded."""
    checkpoints = {"--model": config.model}
    if config.distill_weight and config.teacher_kind == "frozen":
        checkpoints["--teacher"] = config.teacher
    check_config(config, checkpoints, RANGES)
    objective_of(config, ())
    saved = {"--save-every": config.save_every}
    if config.keep_best:
        saved["--eval-every"] = config.eval_every
    for setting, steps in saved.items():
        if steps % config.resumes_every():
            raise ValueError(
                f"{setting} {steps} must be a multiple of --updates-per-rollout "
                f"{config.updates_per_rollout}: answers are not kept in checkpoints"
            )
    if config.micro_batch_tokens:
        check_room(config, "--micro-batch-tokens", config.micro_batch_tokens)
    pick_name("reader", config.reader, READERS)
    pick_name("question", config.ask, get_args(Ask))
    check_asked(config.ask, config.turn_policy)
    check_learning_signal(config)
    check_teacher(config)
    check_rollout(config)


def check_learning_signal(config: OPCDConfig) -> None:
    """Raise ValueError for settings that leave nothing to learn from."""
    if config.reward_weight == config.distill_weight == 0:
        raise ValueError("--distill-weight and --reward-weight are both 0; one must be above 0")
    if config.reward_weight and config.rollouts == 1:
        raise ValueError(
            "--reward-weight needs answers to compare: one answer to a board is its own mean and "
            "has no advantage; take --rollouts 4 or more"
        )
    if config.progress_reward and (not config.reward_weight or config.turn_policy.one_reply):
        raise ValueError(
            "--progress-reward is of the turns of an episode; give --reward-weight and --act step "
            "or chunk:k"
        )


def check_teacher(config: OPCDConfig) -> None:
    """Raise ValueError for a teacher that is impossible with these settings."""
    pick_name("kind of teacher", config.teacher_kind, get_args(TeacherKind))
    pick_name("placement of the teacher", config.teacher_placement, get_args(Placement))
    pick_name("dtype of the teacher", config.teacher_dtype, get_args(TeacherDtype))
    if not config.distill_weight or config.teacher_kind == "frozen":
        return
    if config.teacher:
        raise ValueError(
            f"the teacher {config.teacher_kind} is made from the student and needs no checkpoint; "
            f"leave out --teacher {config.teacher}, or take --teacher-kind frozen"
        )
    if config.teacher_kind == "adapter-off" and not config.lora_rank:
        raise ValueError(
            "the teacher adapter-off is the student without its LoRA, and this student has none; "
            "give --lora-rank, or take --teacher-kind frozen or ema"
        )
    if not 0 <= config.ema_decay < 1:
        raise ValueError(f"--ema-decay must be at least 0 and below 1, got {config.ema_decay}")


def check_rollout(config: OPCDConfig) -> None:
    """Raise ValueError for a way of sampling that is impossible with these settings."""
    options = engine_options(config.engine)
    if options and config.rollout != "vllm":
        raise ValueError(
            f"--engine is for --rollout vllm; --rollout {config.rollout} starts no engine"
        )
    pick_name("rollout", config.rollout, get_args(Rollout))
    if config.rollouts_ahead and config.rollout != "server":
        raise ValueError(
            "--rollouts-ahead 1 needs --rollout server: another sampler has no GPU of its own to "
            "sample on while the update runs"
        )
    if config.rollouts_ahead and config.updates_per_rollout > 1:
        raise ValueError(
            "--rollouts-ahead 1 needs a rollout for every step; leave out --updates-per-rollout"
        )
    if config.rollout == "hf":
        return
    if config.rollout == "vllm":
        check_whole(config.model)
        if length := options.get("max_model_len"):
            check_room(config, "--engine max_model_len", length)
        else:
            check_room(config, "--rollout-tokens", config.rollout_tokens)
    if config.rollout_adapter and (not config.lora_rank or config.lora_vision):
        raise ValueError(
            "--rollout-adapter sends vLLM LoRA on the language model alone; give --lora-rank and "
            "no --lora-vision, or send whole weights (--no-rollout-adapter)"
        )


def check_room(config: OPCDConfig, setting: str, room: int) -> None:
    """Raise ValueError if the longest prompt and answer do not fit into the `room` of a setting.

    Reads the tokenizer of a model that is a folder here; another's prompts are not counted.
    """
    prompt = longest_prompt(config) if Path(config.model).is_dir() else 1
    if room < prompt + config.max_new_tokens:
        raise ValueError(
            f"{setting} {room} has no room for one board: a prompt of {prompt} tokens and an "
            f"answer of --max-new-tokens {config.max_new_tokens}; give at least "
            f"{prompt + config.max_new_tokens}"
        )


def longest_prompt(config: OPCDConfig) -> int:
    """Tokens of the longest student prompt of the settings' boards, images included; with earlier
    turns in it, whose answers are as long as may be, and with what a turn is told of the last."""
    (processor, view), policy = load_reader(config, config.model), config.turn_policy
    earlier = 0 if policy.one_reply else min(policy.history, policy.max_turns - 1)
    prompts = []
    for kind in config.kinds():
        spec = LayoutSpec(kind.task, kind.level, config.split)
        [layout] = draw_distinct(spec, 1, seed=0)
        if policy.one_reply:
            prompts.append(question(layout, goal=config.ask, view=view))
            continue
        image = LazyImage(layout, view.pixels(layout.level), view.theme_of(layout.task))
        told = min(earlier + 1, policy.max_turns - 1)  # the first turn of all is told nothing
        words = ["", *[longest_words(layout, policy)] * told][-earlier - 1 :]
        *before, now = [Turn(image, each, "") for each in words]
        prompts.append(chat(layout, view, policy, before, now))
    found = int(encode_prompts(processor, prompts)["attention_mask"].sum(1).max())
    return found + earlier * config.max_new_tokens


def longest_words(layout: Layout, policy: TurnPolicy) -> str:
    """What a turn may be told of the one before it: actions that had no effect, or no answer.

    As many actions as a chunk has, at most as the board has cells; under `retry` one is refused.
    """
    action = max(get_task(layout.task).actions, key=lambda each: len(action_name(each)))
    reason = max(get_task(layout.task).reasons, key=len)
    count = min(policy.chunk or layout.level**2, layout.level**2)
    others = (action, "" if policy.illegal == "retry" else reason)
    results = [*[others] * (count - 1), (action, reason)]
    came = result_words(results) if policy.feedback else ""
    refused = refusal_words(action, reason) if policy.illegal == "retry" else ""
    unread = unread_words(ParseStatus.MALFORMED, layout.task) if policy.malformed == "retry" else ""
    return max("\n".join([came, refused]), unread, key=len).strip()
