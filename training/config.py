"""The settings that every stage has, and what the Trainer makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vsp_envs.core.task_level import TaskLevel, select_mixture


@dataclass(frozen=True)
class TrainingConfig:
    """Settings that every stage has."""

    out: Path
    """Run folder: the final checkpoint, `run.json`, and `checkpoints/` to resume from."""
    preset: str = ""
    """Settings to start from: `tiny`, `qwen3-vl-4b` or `qwen3-vl-8b`. Others given override it."""
    dry_run: bool = False
    """Print one prompt, its tokens side by side and an estimate of the memory, and stop."""
    tasks: tuple[str, ...] = ("frozenlake:3",)
    """Boards to train on, such as `frozenlake:3-8 maze:3`; a bare name has the paper's levels.
    `frozenlake:3-5@2` draws each of these levels twice as often as a level without a weight."""
    split: str = "train"
    """Split the boards are drawn from."""
    exclude: tuple[str, ...] = ()
    """Boards that are never drawn, nor their rotations and reflections: files of canonical hashes,
    or public test sets such as `vsp:ROOT`."""
    curriculum: float = 0.0
    """Share of the steps over which each task goes from its first level to all; 0: all at once."""
    theme: str = ""
    """The drawing, or `random` for another one each time; empty: what the model was trained on."""
    perturb: tuple[str, ...] = ()
    """Changes to the pictures, drawn for each board: `colour noise blur jpeg scale rotate`."""
    seed: int = 0
    """Seed of the boards and of all that is drawn in training."""
    steps: int = 300
    """Optimizer steps."""
    batch_size: int = 64
    """Boards per optimizer step over all processes, shared among the kinds by their weights."""
    lora_rank: int = 0
    """Rank of LoRA adapters on all linear layers of the language model; 0: all weights are
    trained."""
    lora_alpha: int = 0
    """Scale of the adapters; 0: twice the rank."""
    lora_vision: bool = False
    """Adapters on the linear layers of the vision tower too."""
    freeze: tuple[str, ...] = ()
    """Parts that stay as they are: `vision`, or of it `patch_embedding`, `position_embedding`,
    `blocks`, `merger`, `deepstack_mergers`; `language`, or of it `embeddings`, `layers`, `head`."""
    micro_batch_size: int | None = None
    """Most boards that a process takes through the model at once; None: its share of one kind.
    Lower it when memory runs out: the step's boards and its gradient stay the same."""
    mix_kinds: bool = False
    """Boards of all kinds share micro-batches, padded to the longest: fewer and larger ones, which
    a GPU wants, where otherwise each kind has its own."""
    gradient_checkpointing: bool = False
    """Keep no activations for the backward pass and compute them again: less memory, slower."""
    learning_rate: float = 1e-4
    """Peak learning rate of the language model."""
    vision_learning_rate: float | None = None
    """Peak learning rate of the vision tower; None: the same."""
    schedule: str = "cosine"
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
    precision: str = "auto"
    """What the model computes in: `bfloat16`, `float32`, or `auto`: bfloat16 on a GPU. Weights that
    are trained, their gradients and the optimizer stay as they are in memory."""
    log_every: int = 10
    """Steps between entries of the training curves."""
    save_every: int = 100
    """Steps between checkpoints to resume from; the last two are kept."""
    minutes: float = 0.0
    """Stop at a checkpoint after so many minutes, with exit status 3; run again, it goes on there.
    0: train to the end."""
    eval_every: int = 50
    """Steps between measurements on validation boards; 0: none."""
    eval_episodes: int = 64
    """Validation boards per task and level."""
    workers: int = 0
    """Processes that reset environments beside the training one."""
    dtype: str = "float32"
    """Weights in memory: `float32`, or `bfloat16` to halve them where only adapters are trained."""
    min_pixels: int = 0
    """Smaller pictures are enlarged to so many pixels; 0: as the processor has it."""
    max_pixels: int = 0
    """Larger pictures are reduced to so many pixels; 0: as the processor has it."""
    report_to: tuple[str, ...] = ()
    """Where curves go beside `run.json`: `tensorboard`, `wandb`, `trackio`, `swanlab`."""
    on_nan: str = "stop"
    """A step whose gradient is not finite: `stop`, or `skip` it and go on."""

    def kinds(self) -> list[TaskLevel]:
        """The kinds of boards that `tasks` selects."""
        return list(self.mixture())

    def mixture(self) -> dict[TaskLevel, int]:
        """The kinds with their weights."""
        return select_mixture(self.tasks)

    def resumes_every(self) -> int:
        """A run can be resumed after a step that this divides."""
        return 1

    def parts(self) -> int:
        """Micro-batches that a step falls into by itself: boards of one kind, without padding."""
        return 1 if self.mix_kinds else sum(self.mixture().values())


BYTES = {"float32": 4, "bfloat16": 2}
"""Bytes of a weight by dtype."""
ON_NAN = ("stop", "skip")
PRECISIONS = ("auto", "float32", "bfloat16")
