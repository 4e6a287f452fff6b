"""The three stages by their settings, for programs that train several."""

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
    """Run the stage that the settings are of; returns the folder of the final checkpoint."""
    return STAGES[type(config)](config)
