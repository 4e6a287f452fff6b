"""Runs the stage that the class of the settings belongs to, for programs of several stages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from training.base import BaseConfig, train_base
from training.config import TrainingConfig
from training.opcd.config import OPCDConfig
from training.opcd.trainer import train_opcd
from training.sft import SFTConfig, train_sft

STAGES: dict[type, Callable[[Any], Path]] = {
    BaseConfig: train_base,
    SFTConfig: train_sft,
    OPCDConfig: train_opcd,
}


def train(config: TrainingConfig) -> Path:
    """Run the stage of these settings; returns the folder of the final checkpoint."""
    return STAGES[type(config)](config)
