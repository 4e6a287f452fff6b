"""The command: `python -m training.opcd`."""

from training.opcd.config import OPCDConfig
from training.presets import main

if __name__ == "__main__":
    main("training.opcd.trainer:train_opcd", OPCDConfig, "opcd")
