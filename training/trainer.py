"""What SFT and OPCD share: settings, loss over completion tokens, learning rates, run folders."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import SequentialSampler
from transformers import Trainer, TrainerCallback, TrainingArguments

from agents.encoding import Completed
from agents.loading import Loaded
from evaluation.folder import write_json
from training.boards import LiveBoards
from vsp_envs.select import Kind, select_kinds
from vsp_envs.task import pick_name


@dataclass(frozen=True)
class TrainingConfig:
    """Settings that every stage has."""

    out: Path
    """Run folder: the final checkpoint, `run.json`, and `checkpoints/` to resume from."""
    tasks: tuple[str, ...] = ("frozenlake:3",)
    """Boards to train on, such as `frozenlake:3-8 maze:3`; a bare name has the paper's levels."""
    split: str = "train"
    """Split the boards are drawn from."""
    seed: int = 0
    """Seed of the boards and of all that is drawn in training."""
    steps: int = 300
    """Optimizer steps."""
    batch_size: int = 64
    """Boards per optimizer step over all processes, divided evenly among the kinds of boards."""
    learning_rate: float = 1e-4
    """Peak learning rate of the language model."""
    vision_learning_rate: float | None = None
    """Peak learning rate of the vision tower; None: the same."""
    schedule: str = "cosine"
    """`cosine` (the paper's), or `half-linear`: constant, then linear over the second half."""
    warmup: float = 0.1
    """Share of the steps over which the learning rate rises."""
    weight_decay: float = 0.01
    """AdamW's weight decay."""
    adam_beta2: float = 0.98
    """AdamW's second momentum."""
    clip: float = 1.0
    """Largest gradient norm."""
    save_every: int = 100
    """Steps between checkpoints to resume from; the last two are kept."""
    eval_every: int = 50
    """Steps between measurements on validation boards; 0: none."""
    eval_episodes: int = 64
    """Validation boards per task and level."""
    workers: int = 0
    """Processes that reset environments beside the training one."""

    def kinds(self) -> list[Kind]:
        """The kinds of boards that `tasks` selects."""
        return select_kinds(self.tasks)


SCHEDULES = ("cosine", "half-linear")


class CompletionTrainer(Trainer):
    """A Trainer whose loss is a sum over completion tokens, normalised over the whole step."""

    # The loss is divided by the step's token count, so the Trainer must not average it again.
    loss_is_scaled_for_ga = True
    optimizer: Any

    def __init__(self, config: TrainingConfig, loaded: Loaded, boards: LiveBoards, **options: Any):
        """`options` go to transformers' Trainer."""
        self.config, self.processor, self.view = config, loaded.processor, loaded.view
        self.metrics: dict[str, list[float]] = defaultdict(list)
        super().__init__(
            model=loaded.model,
            args=training_arguments(config),
            train_dataset=boards,
            processing_class=loaded.processor,
            **options,
        )

    def _get_train_sampler(self, train_dataset: Any = None) -> SequentialSampler:
        # The stream is random already; in order, a resumed run goes on where it stopped.
        return SequentialSampler(self.train_dataset)

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], torch.Tensor]:
        """All micro-batches of one optimizer step, and its completion tokens over all ranks."""
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        batches = [self.prepare_batch(batch, micro) for micro, batch in enumerate(batches)]
        tokens = sum((batch["mask"].sum() for batch in batches), start=torch.tensor(0))
        return batches, self.accelerator.gather(tokens.to(device)).sum()

    def prepare_batch(self, batch: dict[str, Any], micro: int) -> dict[str, Any]:
        """What is to be done once per micro-batch, before any gradient of the step."""
        return batch

    def completion_logits(self, model: Any, completed: Completed) -> torch.Tensor:
        """Logits that score the completion tokens: [batch, completion, vocab]."""
        width = completed.ids.shape[1]
        # Row t scores token t + 1, so the completion's scores begin one row before it.
        return model(**completed.inputs, logits_to_keep=width + 1, use_cache=False).logits[:, :-1]

    def over_ranks(self, loss: torch.Tensor) -> torch.Tensor:
        """Undo the averaging of gradients over processes: the loss is a share of a global mean."""
        return loss * self.accelerator.num_processes

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """AdamW with a learning rate for the vision tower and one for the rest."""
        if self.optimizer is None:
            self.optimizer = torch.optim.AdamW(
                parameter_groups(self.model, self.config),
                betas=(0.9, self.config.adam_beta2),
                weight_decay=self.config.weight_decay,
            )
        return self.optimizer

    def note(self, **values: float) -> None:
        """Remember values until the next log, which writes their means."""
        for name, value in values.items():
            self.metrics[name].append(float(value))

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Log with the means of what was noted."""
        means = {name: sum(values) / len(values) for name, values in self.metrics.items()}
        self.metrics.clear()
        super().log({**logs, **means}, *args, **kwargs)


def training_arguments(config: TrainingConfig) -> TrainingArguments:
    """The Trainer's arguments: one micro-batch per kind of board."""
    micro_batches = len(config.kinds())
    schedule: dict[str, Any] = {"lr_scheduler_type": "cosine"}
    if pick_name("schedule", config.schedule, SCHEDULES) == "half-linear":
        decay = {"num_decay_steps": config.steps // 2, "decay_type": "linear", "min_lr_ratio": 0.0}
        schedule = {"lr_scheduler_type": "warmup_stable_decay", "lr_scheduler_kwargs": decay}
    return TrainingArguments(
        output_dir=str(config.out / "checkpoints"),
        max_steps=config.steps,
        per_device_train_batch_size=micro_batch_size(config),
        gradient_accumulation_steps=micro_batches,
        learning_rate=config.learning_rate,
        warmup_steps=int(config.warmup * config.steps),
        max_grad_norm=config.clip,
        save_steps=config.save_every,
        save_total_limit=2,
        logging_steps=10,
        logging_nan_inf_filter=False,
        dataloader_num_workers=config.workers,
        remove_unused_columns=False,
        report_to="none",
        seed=config.seed,
        use_cpu=not torch.cuda.is_available(),
        bf16=torch.cuda.is_available(),
        **schedule,
    )


def micro_batch_size(config: TrainingConfig) -> int:
    """Boards per micro-batch and process. Raises ValueError if the batch cannot be divided."""
    import os

    parts = len(config.kinds()) * int(os.environ.get("WORLD_SIZE", 1))
    if config.batch_size % parts:
        raise ValueError(
            f"batch_size {config.batch_size} cannot be divided evenly among {parts} "
            f"(kinds of boards × processes); take a multiple of {parts}"
        )
    return config.batch_size // parts


def parameter_groups(model: Any, config: TrainingConfig) -> list[dict[str, Any]]:
    """Trainable parameters by learning rate: the vision tower's, and all others."""
    groups: dict[bool, list[torch.nn.Parameter]] = {True: [], False: []}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups[".visual." in f".{name}"].append(parameter)
    rates = {True: config.vision_learning_rate or config.learning_rate, False: config.learning_rate}
    return [{"params": groups[part], "lr": rates[part]} for part in (False, True) if groups[part]]


class Measure(TrainerCallback):
    """Calls `measure(step)` every so many steps and at the start, and logs what it returns."""

    def __init__(
        self, trainer: CompletionTrainer, every: int, measure: Callable[[], dict[str, float]]
    ):
        """`every` 0 measures nothing."""
        self.trainer, self.every, self.measure = trainer, every, measure

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Measure after every `every`-th step."""
        if self.every and state.global_step % self.every == 0:
            self.trainer.log(self.measure())


def run(trainer: CompletionTrainer, loaded: Loaded) -> Path:
    """Train, resuming from the last checkpoint in the run folder, and save the final one.

    A finished run is left alone. Raises ValueError if the folder holds a run of other settings.
    """
    config, out = trainer.config, trainer.config.out
    settings = json.loads(
        json.dumps({"stage": type(trainer).__name__, **asdict(config)}, default=str)
    )
    if is_done(out, settings):
        print(f"{out} is done; delete it to train again", file=sys.stderr)
        return out
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "run.json", {"settings": settings, "done": False})
    last = last_checkpoint(out / "checkpoints")
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    if trainer.is_world_process_zero():
        trainer.save_model(str(out))
        loaded.processor.save_pretrained(out)
        loaded.model.generation_config.save_pretrained(out)
        history = trainer.state.log_history
        write_json(out / "run.json", {"settings": settings, "done": True, "history": history})
    return out


def is_done(out: Path, settings: dict[str, Any]) -> bool:
    """Whether the folder holds a finished run of these settings."""
    file = out / "run.json"
    if not file.exists():
        return False
    kept = json.loads(file.read_text())
    changed = [name for name in settings if kept["settings"].get(name) != settings[name]]
    if changed:
        raise ValueError(
            f"{out} holds a run with another {', '.join(changed)}; "
            "choose another --out or delete the folder"
        )
    return bool(kept["done"])


def last_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint, or None."""
    found = [path for path in folder.glob("checkpoint-*") if (path / "trainer_state.json").exists()]
    return max(found, key=lambda path: int(path.name.split("-")[1]), default=None)
