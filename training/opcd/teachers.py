"""The teachers: a frozen checkpoint, the student without LoRA, or the student's average."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.distributed.tensor import DTensor
from transformers import TrainerCallback

from agents.vlm.checkpoint import CheckpointError, load_checkpoint
from agents.vlm.encoding import Completed
from training.config import TeacherKind
from training.loop.chunked_loss import completion_hidden, output_layer, to_autocast_dtype
from training.model.sharding import reading


class Teacher:
    """A frozen model with the student's vocabulary."""

    def __init__(self, model: Any):
        """`model` is not trained from here on."""
        self.model = model.requires_grad_(False).eval()

    @torch.no_grad()
    def hidden(self, completed: Completed) -> Tensor:
        """The input of its output layer at the completion tokens: [token, hidden]."""
        with self.evaluating() as model:
            return to_autocast_dtype(completion_hidden(model, completed))

    @property
    def weight(self) -> Tensor:
        """The matrix of its output layer: [vocab, hidden]."""
        weight = output_layer(self.model).weight.detach()
        return to_autocast_dtype(weight.full_tensor() if isinstance(weight, DTensor) else weight)

    @contextmanager
    def evaluating(self) -> Iterator[Any]:
        """The model, ready for a forward pass."""
        yield self.model

    def update(self, student: Any) -> None:
        """Follow the student after one of its steps. A frozen teacher does not."""

    def save(self, folder: Path) -> None:
        """Write what a resumed run needs besides the settings: nothing."""

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""


class BaseModelTeacher(Teacher):
    """The student with its LoRA adapter switched off, so that no second model is in memory."""

    def __init__(self, student: Any):
        """`student` is a peft model."""
        self.model = student

    @contextmanager
    def evaluating(self) -> Iterator[Any]:
        """The student without its adapter, for the time of a forward pass."""
        training = self.model.training
        self.model.eval()
        with self.model.disable_adapter():
            yield self.model
        self.model.train(training)


class EMATeacher(Teacher):
    """The exponential moving average of the student's weights, in their precision."""

    FILE = "teacher.safetensors"

    def __init__(self, student: Any, decay: float):
        """Starts as a copy of the student; `decay` is from 0 to below 1."""
        self.decay = decay
        self.learned = [name for name, each in student.named_parameters() if each.requires_grad]
        super().__init__(copy.deepcopy(student))

    @torch.no_grad()
    def update(self, student: Any) -> None:
        """Move 1 − `decay` of the way to the student."""
        weights = dict(student.named_parameters())
        torch._foreach_lerp_(
            list(self._averages().values()),
            [weights[name] for name in self.learned],
            1 - self.decay,
        )

    def save(self, folder: Path) -> None:
        """Write the averages."""
        save_file(self._averages(), folder / self.FILE)

    @torch.no_grad()
    def load(self, folder: Path) -> None:
        """Read the averages."""
        saved = load_file(folder / self.FILE)
        for name, average in self._averages().items():
            average.copy_(saved[name])

    def _averages(self) -> dict[str, Tensor]:
        weights = dict(self.model.named_parameters())
        return {name: weights[name].detach() for name in self.learned}


class UpdateTeacher(TrainerCallback):
    """Updates the teacher after each step."""

    def __init__(self, teacher: Teacher):
        """`teacher.update` is called with the student."""
        self.teacher = teacher

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """The student has made a step."""
        self.teacher.update(model)


def make_teacher(
    kind: TeacherKind, checkpoint: str, decay: float, student: Any, dtype: str = "auto"
) -> Teacher:
    """The teacher of that kind for a student; `frozen` is loaded from a checkpoint.

    Raises CheckpointError.
    """
    if kind == "frozen":
        with reading(first_alone=False):
            model = load_checkpoint(checkpoint, dtype=dtype).model
        check_same_vocabulary(student, model)
        return Teacher(model)
    return BaseModelTeacher(student) if kind == "adapter-off" else EMATeacher(student, decay)


def check_same_vocabulary(student: Any, teacher: Any) -> None:
    """Raise CheckpointError unless both models have the same number of tokens."""
    sizes = [model.config.get_text_config().vocab_size for model in (student, teacher)]
    if sizes[0] != sizes[1]:
        raise CheckpointError(
            "student and teacher must share a vocabulary; theirs have "
            f"{sizes[0]} and {sizes[1]} tokens"
        )
