"""Which parameters are trained, and at what rate."""

from __future__ import annotations

from typing import Any

import torch

from training.settings import TrainingConfig


def parameter_groups(model: Any, config: TrainingConfig) -> list[dict[str, Any]]:
    """Trainable parameters by learning rate: the vision tower's, and all others."""
    groups: dict[bool, list[torch.nn.Parameter]] = {True: [], False: []}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups[".visual." in f".{name}"].append(parameter)
    rates = {True: config.vision_learning_rate or config.learning_rate, False: config.learning_rate}
    return [{"params": groups[part], "lr": rates[part]} for part in (False, True) if groups[part]]
