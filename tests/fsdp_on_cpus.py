"""accelerate shards on CPUs, for tests of what runs on GPUs."""

from typing import Any

from accelerate import PartialState
from accelerate.utils import DistributedType


def lift_the_gate() -> None:
    """Let accelerate shard on CPUs. It keeps FSDP and DeepSpeed to accelerators, though torch's
    FSDP2 needs none; everything behind this gate is what runs on GPUs, but for the device."""
    first = PartialState.__init__

    def begin(self: PartialState, *args: Any, **kwargs: Any) -> None:
        first(self, *args, **kwargs)
        if self.distributed_type == DistributedType.MULTI_CPU:
            PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU

    PartialState.__init__ = begin
