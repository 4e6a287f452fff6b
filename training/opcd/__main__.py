"""The command: `python -m training.opcd`."""

from training.opcd.config import OPCDConfig
from training.opcd.trainer import train_opcd
from training.presets import main

if __name__ == "__main__":
    main(train_opcd, OPCDConfig, "opcd")
