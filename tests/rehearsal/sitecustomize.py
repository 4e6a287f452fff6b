"""Lets `accelerate launch` shard on CPUs with the project's configurations for GPUs.

Python runs this file at its start, because the rehearsal puts its folder on PYTHONPATH. accelerate
keeps FSDP to accelerators, though torch's FSDP2 needs none; behind this one check everything is
what runs on GPUs, but for the device.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

if "ACCELERATE_USE_FSDP" in os.environ:

    class _LiftTheCheck:
        """An import hook that finds nothing: it sees the Trainer's module coming."""

        def find_spec(self, name, path=None, target=None):
            if name == "transformers.trainer":
                from fsdp_on_cpus import lift_the_gate

                sys.meta_path.remove(self)
                lift_the_gate()

    sys.path.append(str(Path(__file__).parents[1]))
    sys.meta_path.insert(0, _LiftTheCheck())

# The engine's environment has a file of this name too, further down the path.
_other = Path(__file__).parents[1] / "engine/sitecustomize.py"
if find_spec("vllm"):
    exec(compile(_other.read_text(), str(_other), "exec"))
