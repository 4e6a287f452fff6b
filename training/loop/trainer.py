"""The Trainer that SFT and OPCD share: a loss over completion tokens, normalised per step.

One optimizer step, in order:

1. `take_batches` takes the boards of the step from the loader.
2. `prepare_step` makes micro-batches of them: OPCD samples the answers of the whole step there.
3. `get_batch_samples` counts the completion tokens of all processes, and adds a blank image where
   a process has none.
4. `compute_loss` of the stage, for each micro-batch, divides its sum by those tokens; `over_ranks`
   undoes the averaging over processes; backward adds up the gradients.
5. `_get_grad_norm` clips the gradient; `_check_finite` stops the run or skips the step if the
   gradient is not finite.
6. AdamW of `create_optimizer` updates the weights, with a learning rate for each parameter group.
7. `log` writes the means of what `note` collected; `ValidationCallback` measures the model.
8. `_save_checkpoint` writes a checkpoint, and its manifest last.
"""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback

from agents.vlm.checkpoint import CONFIG, Loaded
from agents.vlm.encoding import Completed
from agents.vlm.image_patches import unpack
from training.config import TrainingConfig
from training.data.blank_image import with_blank_image
from training.data.layout_stream import LiveBoards
from training.data.step_batches import StepBatches
from training.loop.arguments import micro_batches, processes, training_arguments
from training.loop.checkpoints import TrainingStopped, last_checkpoint, write_manifest, writing
from training.loop.deadline import Deadline, ignore_interrupts
from training.model.sharding import set_up_fsdp
from training.model.trainable import parameter_groups
from vsp_envs.utils.files import read_json, write_json

TIME = "process_seconds"
"""What a log calls the time that training took so far."""
PATIENCE = 20
"""Steps in a row without a finite gradient after which `skip` gives up."""


class CompletionTrainer(Trainer):
    """A Trainer whose loss is a sum over completion tokens, normalised over the whole step."""

    # `compute_loss` divides by the step's token count, so the Trainer must not average again.
    loss_is_scaled_for_ga = True
    optimizer: Any

    def __init__(self, config: TrainingConfig, loaded: Loaded, boards: LiveBoards, **options: Any):
        """`options` go to transformers' Trainer."""
        self.config, self.processor, self.view = config, loaded.processor, loaded.view
        self.metrics: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self.skipped, self.clock = 0, time.perf_counter()
        super().__init__(
            model=loaded.model,
            args=training_arguments(config),
            train_dataset=boards,
            processing_class=loaded.processor,
            **options,
        )
        set_up_fsdp(self.accelerator)
        if config.minutes:
            self.add_callback(Deadline(config.minutes, config.resumes_every()))

    def get_train_dataloader(self) -> Any:
        """The stream in its own order, which is random already: a resumed run goes on in it."""
        parts = processes() * micro_batches(self.config)
        dealt = bool(self.config.micro_batch_tokens)
        batches = StepBatches(self.config.steps, self.config.batch_size, parts, dealt)
        loader = DataLoader(
            self.train_dataset,
            batch_sampler=batches,
            collate_fn=self.data_collator,
            num_workers=self.args.dataloader_num_workers,
            worker_init_fn=ignore_interrupts,
            pin_memory=self.args.device.type == "cuda",
        )
        return self.accelerator.prepare(loader)

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], torch.Tensor]:
        """All micro-batches of one optimizer step, and its completion tokens over all ranks.

        They come as lists, each for one `training_step`.
        """
        batches = self.prepare_step(self.take_batches(epoch_iterator, num_batches, device))
        masks = [self.shown(batch)["inputs"]["attention_mask"] for batch in batches]
        self.note(padding=1 - sum(int(mask.sum()) for mask in masks) / sum(map(torch.numel, masks)))
        if self.config.micro_batch_tokens:  # all processes need the same number
            smallest = min(batches, key=lambda batch: batch["mask"].numel())
            missing = self.most(len(batches)) - len(batches)
            batches += [self.without_tokens(smallest) for _ in range(missing)]
        tokens = sum(int(batch["mask"].sum()) for batch in batches)
        seen = ["pixel_values" in self.shown(batch)["inputs"] for batch in batches]
        counts = torch.tensor([tokens, *seen], device=device)
        total, *seen_by = self.accelerator.reduce(counts).tolist()
        for batch, mine, all_ in zip(batches, seen, seen_by, strict=True):
            if all_ and not mine:
                filled = with_blank_image(Completed(**self.shown(batch)), self.processor)
                self.shown(batch).update(filled._asdict())
        steps = [batches] if self.config.micro_batch_tokens else [[batch] for batch in batches]
        return steps, torch.tensor(total, device=device)

    def most(self, count: int) -> int:
        """The largest count of all processes."""
        return int(self.accelerator.gather(torch.tensor([count], device=self.args.device)).max())

    def take_batches(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> list[Any]:
        """What the loader has for this step."""
        return super().get_batch_samples(epoch_iterator, num_batches, device)[0]

    def prepare_step(self, batches: list[Any]) -> list[dict[str, Any]]:
        """The micro-batches of a step, after all work that comes before any gradient of it."""
        return [micro for batch in batches for micro in batch]

    def read_by(self, board: Any) -> dict[str, Completed]:
        """What each model of the run reads of a board: its name → prompt and answer."""
        batch, *_ = self.prepare_step([self.data_collator([board])])
        return {"student": Completed(**batch)}

    def without_tokens(self, batch: dict[str, Any]) -> dict[str, Any]:
        """A micro-batch of the same boards from which nothing is learned."""
        return {**batch, "mask": torch.zeros_like(batch["mask"])}

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
        """Forward and backward of some micro-batches; gradients are exchanged after the last."""
        losses = []
        for left, batch in zip(reversed(range(len(inputs))), inputs, strict=True):
            with self.accelerator.no_sync(model) if left else nullcontext():
                losses.append(super().training_step(model, batch, num_items_in_batch))
        return torch.stack(losses).sum()

    def floating_point_ops(self, inputs: Any) -> int:
        """Not counted."""
        return 0

    def shown(self, batch: dict[str, Any]) -> dict[str, Any]:
        """What the trained model sees of a prepared micro-batch: the fields of `Completed`."""
        return batch

    def _prepare_input(self, data: Any) -> Any:
        # Pictures move to the device as bytes and become floats there.
        return unpack(super()._prepare_input(data))

    def over_ranks(self, loss: torch.Tensor) -> torch.Tensor:
        """Undo the averaging of gradients over processes: the loss is part of a global mean."""
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

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm)
        self._check_finite(model, float(norm or 0))  # None: an engine that steps by itself
        return norm

    def _check_finite(self, model: Any, norm: float) -> None:
        # A loss that is not finite makes the gradient norm so too, equally on every rank.
        step = self.state.global_step + 1
        self.skipped = 0 if math.isfinite(norm) else self.skipped + 1
        if not self.skipped:
            return
        if self.config.on_nan == "stop" or self.skipped >= PATIENCE:
            last = last_checkpoint(Path(self.args.output_dir))
            often = f" for {self.skipped} steps in a row" if self.skipped > 1 else ""
            raise TrainingStopped(
                f"the gradient of step {step} is {norm}{often}; {last or 'no checkpoint'} is kept. "
                "Go on from there with --on-nan skip, or start anew in another --out with a lower "
                "--learning-rate"
            )
        print(f"step {step} is left out: its gradient is {norm}", file=sys.stderr)
        self.note(skipped_steps=1)
        model.zero_grad(set_to_none=True)  # AdamW leaves alone what has no gradient

    def _maybe_log_save_evaluate(self, *args: Any, **kwargs: Any) -> None:
        # A checkpoint does not hold noted values: they are logged first, so none is lost.
        self.control.should_log |= self.control.should_save
        super()._maybe_log_save_evaluate(*args, **kwargs)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        checkpoints = Path(self.args.output_dir)
        folder = checkpoints / f"checkpoint-{self.state.global_step}"
        if self.is_world_process_zero():
            shutil.rmtree(folder, ignore_errors=True)  # from a run that ended while it wrote
        self.accelerator.wait_for_everyone()
        with writing(folder, checkpoints):
            super()._save_checkpoint(model, trial)
            if self.is_fsdp_enabled and self.is_world_process_zero():
                self._describe(folder)
        self.accelerator.wait_for_everyone()
        if self.is_world_process_zero():
            with writing(folder, checkpoints):
                write_manifest(folder)

    def _describe(self, folder: Path) -> None:
        """Save what belongs to the weights, which are sharded and say nothing of themselves."""
        self.processor.save_pretrained(folder)
        self.model.config.save_pretrained(folder)
        self.model.generation_config.save_pretrained(folder)
        for adapter in getattr(self.model, "peft_config", {}).values():
            adapter.save_pretrained(str(folder))

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save weights that transformers loads, as `save_dtype` has them; every process takes part.

        Checkpoints to resume from may be sharded, and then hold none.
        """
        if _internal_call:
            return super().save_model(output_dir, _internal_call)
        sharded = self.is_fsdp_enabled or self.is_deepspeed_enabled
        weights = self.accelerator.get_state_dict(self.model_wrapped) if sharded else None
        if not self.args.should_save:  # other processes may have none
            return
        recast = self.config.save_dtype != "auto" and not self.config.lora_rank
        if recast:
            dtype = getattr(torch, self.config.save_dtype)
            weights = to_dtype(weights or self.model.state_dict(), dtype)
        if weights:  # a tied one is a copy by now, which safetensors takes for a second tensor
            for tied in getattr(self.model, "all_tied_weights_keys", {}):
                weights.pop(tied, None)
        self.model.config.use_cache = True  # generation needs it; training has turned it off
        self._save(output_dir, state_dict=weights)
        if recast:  # the model itself is as it was
            declare_dtype(Path(output_dir or self.args.output_dir), self.config.save_dtype)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        super()._save(output_dir, state_dict)
        if self.config.lora_rank:  # peft leaves out the view of boards
            self.model.config.save_pretrained(output_dir or self.args.output_dir)

    def note(self, weight: float = 1, /, **values: float) -> None:
        """Collect values until the next log, which writes their means by weight."""
        for name, value in values.items():
            self.metrics[name].append((float(value), weight))

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Log, with the means of what all processes noted, and the time that it took so far.

        `process_seconds` is summed over processes, and over the pieces of a run that was resumed.
        """
        noted: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for metrics in gather_object([dict(self.metrics)]):
            for name, values in metrics.items():
                noted[name] += values
        means = {
            name: sum(value * weight for value, weight in values)
            / sum(weight for _, weight in values)
            for name, values in noted.items()
        }
        self.metrics.clear()
        logs.pop(
            "train_loss", None
        )  # the Trainer's mean covers only the steps since the last resume
        logs = {name: value for name, value in {**logs, **means}.items() if math.isfinite(value)}
        entries = self.state.log_history
        before = entries[-1].get(TIME, 0.0) if entries else 0.0
        last, self.clock = self.clock, time.perf_counter()
        logs[TIME] = before + processes() * (self.clock - last)
        super().log(logs, *args, **kwargs)


def to_dtype(weights: Mapping[str, Any], dtype: torch.dtype) -> dict[str, Any]:
    """The weights, those that are floating-point in another dtype."""
    return {
        name: each.to(dtype) if each.is_floating_point() else each for name, each in weights.items()
    }


def declare_dtype(folder: Path, dtype: str) -> None:
    """Say in a model's configuration in which dtype its weights are stored."""
    config = read_json(folder / CONFIG)
    for part in (config, *config.values()):
        if isinstance(part, dict) and "dtype" in part:
            part["dtype"] = dtype
    write_json(folder / CONFIG, config)


class ValidationCallback(TrainerCallback):
    """Calls `validate()` before the first step and every so many steps, and logs what it returns.

    With `keep_best` the checkpoint of the best step is saved and kept.
    """

    def __init__(
        self, trainer: CompletionTrainer, every: int, validate: Callable[[], dict[str, float]]
    ):
        """With `every` 0 it is never called."""
        self.trainer, self.every, self.validate = trainer, every, validate

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Validate what the run starts from."""
        if self.every and state.global_step == 0:
            self.trainer.log(self.validate())

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Validate after every `every`-th step."""
        if self.every and state.global_step % self.every == 0:
            measured = self.validate()
            due = control.should_log
            self.trainer.log(measured)
            control.should_log = due  # logging clears it, and the step's own entry is still to come
            rates = [measured[name] for name in ("success", "perception") if name in measured]
            score = sum(rates) / len(rates)
            is_best = state.best_metric is None or score > state.best_metric
            if self.trainer.config.keep_best and is_best:
                state.best_metric, state.best_global_step = score, state.global_step
                control.should_save = True
