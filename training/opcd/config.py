"""The settings of OPCD: teacher, loss, reward and sampler; no torch is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from agents.rollout import turn_roles
from training.config import Loss, Placement, Schedule, TeacherKind, TrainingConfig
from vsp_envs.prompts.question import ROLES_OF, Ask
from vsp_envs.scoring.answer_readers import ReaderName

TeacherDtype = Literal["auto", "float32", "bfloat16"]
Rollout = Literal["hf", "vllm", "server"]


@dataclass(frozen=True)
class RolloutConfig:
    """What samples the answers, and where; see docs/rollouts.md."""

    rollout: Rollout = "hf"
    """`hf`: transformers' own generation; `vllm`: vLLM in this process, on the same GPU; `server`:
    vLLM servers on other GPUs."""
    rollout_batch_size: int = 64
    """`hf`: most answers of a process that are sampled at once. vLLM gets all of the step's, and
    batches them by itself."""
    rollouts_ahead: Literal[0, 1] = 0
    """`server`: 1 samples the answers of the next step while this step's update runs. They come
    from weights that are one step old; `--loss sampled` and the reward correct for it by the
    clipped ratio. 0: every answer comes from the present weights."""
    rollout_adapter: bool = False
    """Send vLLM the LoRA adapter instead of whole weights: less to send, for LoRA on the language
    model alone."""
    rollout_memory: float = 0.3
    """`vllm`: the share of the GPU's memory that the engine may take, its weights included."""
    rollout_tokens: int = 4096
    """`vllm`: the longest prompt and answer together."""
    engine: str = "{}"
    """`vllm`: more options of the engine, as JSON: `{"tensor_parallel_size": 2}`. They take
    precedence over the settings above."""
    rollout_urls: tuple[str, ...] = ("http://127.0.0.1:8000",)
    """`server`: one or several servers of the student's checkpoint. They obey everybody who reaches
    them: let them listen on 127.0.0.1 alone, and use a tunnel to other machines."""
    rollout_folder: Path | None = None
    """`server`: a folder for weights that the servers see under the same path. None: `weights` in
    the run folder."""


@dataclass(frozen=True)
class OPCDConfig(RolloutConfig, TrainingConfig):
    """OPCD: the visual student learns from a symbolic teacher on its own rollouts."""

    model: str = ""
    """The student's checkpoint: the perception SFT model."""
    teacher: str = ""
    """The checkpoint of a frozen teacher: the base model."""
    ask: Ask = "plan"
    """What student and teacher are asked for, as in `evaluation.planning`: `plan`, `search` (a plan
    after a search on paper), or `answer` (the plan alone)."""
    teacher_kind: TeacherKind = "frozen"
    """`frozen`: the checkpoint `teacher`; `adapter-off`: the student without its LoRA; `ema`: the
    moving average of the student's weights."""
    ema_decay: float = 0.99
    """`ema`: how much of the average each step keeps."""
    teacher_plan: bool = False
    """Give the teacher a reference plan besides the state (the paper's default is True); with
    `--act step` or `chunk:k` all actions with which a shortest plan may go on."""
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
    progress_reward: float = 0.0
    """With several turns: what each turn earns for every action that it brings the agent nearer to
    the end, as an advantage over the other turns of the plays of its board."""
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
        policy = self.turn_policy
        student, (_, text, teacher) = turn_roles("image", self.ask, policy), ROLES_OF[self.ask]
        if policy.chunk:
            text, teacher = "next_action_text", "next_action_teacher"
        if not self.distill_weight:
            return tuple(student)
        shares = (self.teacher_plan_share < 1, self.teacher_plan_share > 0)
        without, given = shares if self.teacher_plan else (True, False)
        return (*student, *[text] * without, *[teacher] * given)

    def asked_for(self) -> str:
        """As of every stage."""
        return self.ask

    def resumes_every(self) -> int:
        """Runs resume only at multiples of this step: checkpoints hold no answers."""
        return self.updates_per_rollout
