"""The three stages by their settings, for programs that train several."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from training import base, sft
from training.base import BaseConfig
from training.config import TrainingConfig
from training.opcd import trainer as opcd
from training.opcd.config import OPCDConfig
from training.sft import SFTConfig

STAGES: dict[type, Callable[[Any], Path]] = {
    BaseConfig: base.train,
    SFTConfig: sft.train,
    OPCDConfig: opcd.train,
}


def train(config: TrainingConfig) -> Path:
    """Run the stage that the settings are of; returns the folder of the final checkpoint."""
    return STAGES[type(config)](config)
