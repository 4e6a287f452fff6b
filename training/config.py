"""The settings that every training stage shares, and their closed choices."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import tyro

from agents.multi_turn import TurnPolicy
from vsp_envs.core.generator import FROZEN_PROB
from vsp_envs.core.splits import Split
from vsp_envs.core.task_level import TaskLevel, select_mixture
from vsp_envs.utils.cli import ThemeNames

Schedule = Literal["cosine", "constant", "half-linear"]
Precision = Literal["auto", "float32", "bfloat16"]
WeightsDtype = Literal["float32", "bfloat16"]
SavedDtype = Literal["auto", "float32", "bfloat16"]
OnNan = Literal["stop", "skip"]
Tracker = Literal["tensorboard", "wandb", "mlflow", "trackio", "swanlab"]
SizeName = Literal["S", "M", "nano-1m", "nano-4m", "nano-10m"]
Placement = Literal["replicated", "sharded"]
Loss = Literal["reverse_kl", "sampled", "topk", "forward_kl", "jsd"]
TeacherKind = Literal["frozen", "adapter-off", "ema"]
Part = Literal[
    "vision", "patch_embedding", "position_embedding", "blocks", "merger", "deepstack_mergers",
    "language", "embeddings", "layers", "head",
]  # fmt: skip
"""A part of the model, as `--freeze` names it."""


@dataclass(frozen=True)
class TrainingConfig:
    """Settings that every stage has."""

    out: Path
    """Run folder: the final checkpoint, `run.json`, and `checkpoints/` to resume from."""
    preset: str = ""
    """Settings to start from: `tiny`, `qwen3-vl-4b` or `qwen3-vl-8b`; in OPCD also `-bf16` of the
    last two, the paper's arithmetic. Other flags override it."""
    dry_run: bool = False
    """Print one prompt, its tokens side by side and an estimate of the memory; then stop."""
    tasks: tuple[str, ...] = ("frozenlake:3",)
    """Boards to train on, such as `frozenlake:3-8 maze:3`; a bare name has the paper's levels.
    `frozenlake:3-5@2` samples each of these levels twice as often as a level without a weight."""
    split: Split = "train"
    """Split the boards are sampled from: `train`, `val` or `test`."""
    exclude: tuple[str, ...] = ()
    """Boards that are never sampled, nor their rotations and reflections: files of canonical
    hashes, or public test sets such as `vsp:ROOT`."""
    min_plan: tuple[str, ...] = ()
    """Fewest actions of a shortest plan: `2`, or by task `frozenlake=2 maze=3`."""
    difficulty: tuple[str, ...] = ()
    """Shares of easy, medium and hard boards: `thirds`, `hard`, `easy@2,hard`, or by task
    `maze=thirds`; FrozenLake has no difficulties."""
    frozen_prob: float = FROZEN_PROB
    """Share of FrozenLake's cells that are ice."""
    min_distance: tuple[str, ...] = ()
    """Least rows plus columns between start and goal: `2`, or by task."""
    curriculum: float = 0.0
    """Share of the steps over which each task goes from its first level to all; 0: all at once."""
    theme: ThemeNames = ""
    """The look of the boards, or one for each task (`frozenlake=gymnasium maze=thin`), or `random`
    for a new one each time, or `frozenlake=classic,gymnasium` for one of these; empty: what the
    model was trained on. A checkpoint is evaluated in the first of several."""
    prompts: str = ""
    """Folder of prompts in place of ours; see `vsp_envs.prompts.texts`. The checkpoint keeps its
    path, so that evaluation asks in the same words."""
    perturb: tuple[str, ...] = ()
    """Changes to the pictures, sampled for each board: `colour noise blur jpeg scale rotate`."""
    seed: int = 0
    """Seed of the boards and of all sampling in training."""
    steps: int = 300
    """Optimizer steps."""
    batch_size: int = 64
    """Boards per optimizer step over all processes, divided among the kinds by their weights."""
    lora_rank: int = 0
    """Rank of LoRA adapters on all linear layers of the language model; 0: all weights are
    trained."""
    lora_alpha: int = 0
    """Scale of the adapters; 0: twice the rank."""
    lora_vision: bool = False
    """Adapters on the linear layers of the vision tower too."""
    freeze: tuple[Part, ...] = ()
    """Parts that are not trained: `vision`, or of it `patch_embedding`, `position_embedding`,
    `blocks`, `merger`, `deepstack_mergers`; `language`, or of it `embeddings`, `layers`, `head`."""
    micro_batch_size: int | None = None
    """Most boards in one forward pass of a process; None: its share of one kind. Lower it when
    memory runs out: the step's boards and its gradient stay the same."""
    micro_batch_tokens: int | None = None
    """Most tokens in one forward pass of a process, prompts, answers and padding together. Boards
    of similar length then share a micro-batch, whatever their kinds, with at most a tenth of
    padding. The step's boards and its gradient stay the same. None: as many boards as
    `micro_batch_size` says."""
    mix_kinds: bool = False
    """Boards of all kinds share micro-batches, padded to the longest. These are fewer and larger,
    which is faster on a GPU; otherwise each kind has its own."""
    gradient_checkpointing: bool = False
    """Compute activations again in the backward pass: less memory, slower."""
    learning_rate: float = 1e-4
    """Peak learning rate of the language model."""
    vision_learning_rate: float | None = None
    """Peak learning rate of the vision tower; None: the same."""
    schedule: Schedule = "cosine"
    """`cosine` (the paper's SFT), `constant` (its OPCD), or `half-linear`: constant, then linear
    over the second half."""
    warmup: float = 0.1
    """Share of the steps over which the learning rate rises."""
    weight_decay: float = 0.01
    """AdamW's weight decay."""
    adam_beta2: float = 0.98
    """AdamW's second momentum."""
    clip: float = 1.0
    """Largest gradient norm."""
    precision: Precision = "auto"
    """What the model computes in: `bfloat16`, `float32`, or `auto`: bfloat16 on a GPU. Trained
    weights, their gradients and the optimizer keep their own dtype."""
    log_every: int = 10
    """Steps between entries of the training curves."""
    save_every: int = 100
    """Steps between checkpoints to resume from."""
    keep: int = 2
    """Checkpoints that are kept, the last ones."""
    keep_best: bool = False
    """Keep the checkpoint that is best on the validation boards too: it is saved when it is
    measured, so `--eval-every` 0 keeps none. `training.merge --step` makes a plain checkpoint of
    it."""
    minutes: float = 0.0
    """Stop at a checkpoint after so many minutes, with exit status 3. The same command goes on from
    there. 0: train to the end."""
    eval_every: int = 50
    """Steps between measurements on validation boards; 0: none."""
    eval_episodes: int = 64
    """Validation boards per task and level."""
    workers: int = 0
    """Processes that reset environments beside the training one."""
    dtype: WeightsDtype = "float32"
    """Weights in memory: `float32`, or `bfloat16`. Where all weights are trained, bfloat16 is the
    arithmetic of the paper: gradients and the optimizer are bfloat16 too, and most steps of a small
    learning rate are rounded away. Adapters stay float32 on a bfloat16 model."""
    save_dtype: SavedDtype = "auto"
    """Weights of the final model as written: `float32`, `bfloat16`, or `auto` as they were trained.
    An adapter is written as it was trained."""
    min_pixels: int = 0
    """Smaller pictures are enlarged to so many pixels; 0: the processor's own bound."""
    max_pixels: int = 0
    """Larger pictures are reduced to so many pixels; 0: the processor's own bound."""
    report_to: tuple[Tracker, ...] = ()
    """Where curves go besides `run.json`: `tensorboard`, `wandb`, `mlflow`, `trackio`,
    `swanlab`."""
    on_nan: OnNan = "stop"
    """A step whose gradient is not finite: `stop`, or `skip` it and go on."""
    turn_policy: tyro.conf.OmitArgPrefixes[TurnPolicy] = field(
        default_factory=lambda: TurnPolicy(history=0, max_turns=20)
    )
    """How boards are played, as in evaluation; by default each turn stands alone."""

    def kinds(self) -> list[TaskLevel]:
        """The kinds of boards that `tasks` selects."""
        return list(self.mixture())

    def mixture(self) -> dict[TaskLevel, int]:
        """The kinds with their weights."""
        return select_mixture(self.tasks)

    def settings(self) -> dict[str, Any]:
        """All settings by name, those of the turn policy among them."""
        settings = asdict(self)
        return settings | settings.pop("turn_policy")

    def roles(self) -> tuple[str, ...]:
        """The roles of the prompts that the stage needs; see `vsp_envs.prompts.texts`."""
        return ("student",)

    def asked_for(self) -> str:
        """What the trained model is asked for where a plan is wanted; empty: as before."""
        return ""

    def measured_by(self) -> tuple[str, list[str]]:
        """The evaluation of what the stage teaches, and the flags that make it so."""
        return "planning", self.turn_policy.flags()

    def resumes_every(self) -> int:
        """Runs resume only at multiples of this step."""
        return 1

    def parts(self) -> int:
        """Least micro-batches in a step: one for each kind, so that none needs padding."""
        return 1 if self.mix_kinds else sum(self.mixture().values())


BYTES: dict[str, int] = {"float32": 4, "bfloat16": 2}
"""Bytes of a weight by dtype."""
