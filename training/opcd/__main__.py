"""The command: `python -m training.opcd`."""

from training.opcd.config import OPCDConfig
from training.opcd.trainer import train
from training.presets import main

if __name__ == "__main__":
    main(train, OPCDConfig, "opcd")
