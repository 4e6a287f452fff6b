"""The settings of OPCD: the teacher, the loss, the reward; and checks that refuse bad ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from transformers import AutoConfig

from agents.backends.engine_options import engine_options
from agents.backends.vllm import check_whole
from agents.rollout import Case, prompt_of
from agents.vlm.checkpoint import load_processor, view_of
from agents.vlm.encoding import encode_prompts
from training.config import Schedule, TrainingConfig
from training.model.sharding import Placement
from training.model.student import bound_pixels
from training.opcd.divergences import Loss, divergence_named
from training.opcd.objective import Objective
from training.opcd.rollout_config import Rollout, RolloutConfig
from training.opcd.teachers import TeacherKind
from training.validate import FROM_0, FROM_1, SHARE, check_config
from vsp_envs import LayoutSpec, draw_distinct
from vsp_envs.prompts.question import ROLES_OF
from vsp_envs.scoring.answer_readers import READERS, ReaderName
from vsp_envs.utils.choices import pick_name

TeacherDtype = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class OPCDConfig(RolloutConfig, TrainingConfig):
    """OPCD: the visual student learns from a symbolic teacher on its own rollouts."""

    model: str = ""
    """The student's checkpoint: the perception SFT model."""
    teacher: str = ""
    """The checkpoint of a frozen teacher: the base model."""
    teacher_kind: TeacherKind = "frozen"
    """`frozen`: the checkpoint `teacher`; `adapter-off`: the student without its LoRA; `ema`: the
    moving average of the student's weights."""
    ema_decay: float = 0.99
    """`ema`: how much of the average each step keeps."""
    teacher_plan: bool = False
    """Give the teacher a reference plan besides the state (the paper's default is True)."""
    teacher_plan_share: float = 1.0
    """With `teacher_plan`: the random share of boards for which the teacher gets the plan."""
    distill_weight: float = 1.0
    """Weight of the divergence from the teacher; 0: the reward alone, and no teacher is loaded."""
    reward_weight: float = 0.0
    """Weight of the environment's reward: success of the plan, as an advantage over the other
    answers to the same board. With `distill_weight` 0 this is RLVR with GRPO's baseline."""
    rollouts: int = 1
    """Answers sampled per board; the batch of a step is `batch_size` × `rollouts` answers."""
    optimal_reward: float = 0.0
    """What a shortest plan earns besides the 1 for success."""
    reader: ReaderName = "strict"
    """How the reward reads answers: `strict` (the format that the prompt asks for), `tolerant` or
    `mgsd`, as in `evaluation.planning`."""
    scale_rewards: bool = True
    """Divide advantages by the standard deviation over a board's answers, as GRPO does."""
    loss: Loss = "reverse_kl"
    """`reverse_kl` over the full vocabulary; `sampled`: the paper's; `topk`: over the student's
    most probable tokens and the rest as one; `forward_kl`; `jsd`: between the two, by `beta`."""
    beta: float = 0.5
    """`jsd`: the teacher's share of the mixture, between 0 and 1."""
    top_k: int = 64
    """`topk`: number of tokens that count one by one."""
    divergence_cap: float | None = None
    """Largest divergence of one token, in nats; None: no cap."""
    updates_per_rollout: int = 1
    """Optimizer steps on the same answers; the boards of the later steps are skipped."""
    clip_ratio: tuple[float, float] = (0.2, 0.3)
    """PPO's clip of p / p_old below and above 1, for `sampled` and the reward (the paper's; with
    one update per rollout the ratio is 1 and nothing is clipped)."""
    stop_after_unreadable: int = 0
    """Stop after so many steps in a row without a readable answer; 0: only warn."""
    teacher_dtype: TeacherDtype = "auto"
    """The teacher's weights in memory: `auto` as stored, `float32` or `bfloat16`."""
    teacher_placement: Placement = "replicated"
    """`replicated`: a copy in every process; `sharded`: spread over all of them, for a frozen
    teacher that does not fit beside the student."""
    seed_per_board: bool = False
    """Sample every answer with its own seed, so that answers do not depend on the number of
    processes and micro-batches; otherwise each micro-batch has one seed."""
    temperature: float = 1.0
    """Sampling temperature of the student; the loss divides both models' logits by it."""
    max_new_tokens: int = 160
    """Longest answer that is sampled."""
    learning_rate: float = 5e-4
    """Peak learning rate. The paper: 1e-6 for all parameters of 4B and 8B models."""
    schedule: Schedule = "half-linear"
    """`half-linear`: constant, then linear over the second half; or `cosine`."""
    weight_decay: float = 0.0
    """AdamW's weight decay."""

    def roles(self) -> tuple[str, ...]:
        """The roles of the prompts of student and teacher."""
        student, text, teacher = ROLES_OF["plan"]
        if not self.distill_weight:
            return (student,)
        shares = (self.teacher_plan_share < 1, self.teacher_plan_share > 0)
        without, given = shares if self.teacher_plan else (True, False)
        return (student, *[text] * without, *[teacher] * given)

    def resumes_every(self) -> int:
        """Runs resume only at multiples of this step: checkpoints hold no answers."""
        return self.updates_per_rollout


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
    FROM_1: ("rollouts", "updates_per_rollout", "max_new_tokens", "rollout_tokens"),
    FROM_0: ("distill_weight", "reward_weight", "stop_after_unreadable"),
    SHARE: ("teacher_plan_share", "rollout_memory"),
}


def check_opcd(config: OPCDConfig) -> None:
    """Raise ValueError for bad settings of OPCD, before anything is loaded."""
    checkpoints = {"--model": config.model}
    if config.distill_weight and config.teacher_kind == "frozen":
        checkpoints["--teacher"] = config.teacher
    check_config(config, checkpoints, RANGES)
    objective_of(config, ())
    if config.save_every % config.resumes_every():
        raise ValueError(
            f"--save-every {config.save_every} must be a multiple of --updates-per-rollout "
            f"{config.updates_per_rollout}: answers are not kept in checkpoints"
        )
    pick_name("reader", config.reader, READERS)
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
    if pick_name("rollout", config.rollout, get_args(Rollout)) == "hf":
        return
    if config.rollout == "vllm":
        check_whole(config.model)
        check_room(config, options.get("max_model_len", config.rollout_tokens))
    if config.rollout_adapter and (not config.lora_rank or config.lora_vision):
        raise ValueError(
            "--rollout-adapter sends vLLM LoRA on the language model alone; give --lora-rank and "
            "no --lora-vision, or send whole weights (--no-rollout-adapter)"
        )


def check_room(config: OPCDConfig, room: int) -> None:
    """Raise ValueError if the longest prompt and answer do not fit into an engine's `room`.

    Reads the tokenizer of a model that is a folder here; another's prompts are not counted.
    """
    prompt = longest_prompt(config) if Path(config.model).is_dir() else 1
    if room < prompt + config.max_new_tokens:
        raise ValueError(
            f"--rollout-tokens {room} cannot hold a prompt of {prompt} tokens and an answer of "
            f"--max-new-tokens {config.max_new_tokens}; give at least "
            f"{prompt + config.max_new_tokens}"
        )


def longest_prompt(config: OPCDConfig) -> int:
    """Tokens of the longest student prompt of the settings' boards, images included."""
    settings = AutoConfig.from_pretrained(config.model, trust_remote_code=False)
    processor = load_processor(config.model, settings)
    bound_pixels(processor, config)
    prompts = [
        prompt_of(Case(layout), view_of(settings))
        for kind in config.kinds()
        for layout in draw_distinct(LayoutSpec(kind.task, kind.level, config.split), 1, seed=0)
    ]
    return int(encode_prompts(processor, prompts)["attention_mask"].sum(1).max())
