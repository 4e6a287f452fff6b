"""Several processes evaluate one run: `accelerate launch -m evaluation.planning`, or torchrun.

Each plays its share of the boards and keeps the replies in a file of its own, which the first one
adds to the run's. They meet at the launcher's store alone: no process group is made, so an engine
may make its own.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from evaluation.rates import Record
from vsp_envs.scoring.episode import read_records
from vsp_envs.utils.files import append_json_line

Item = TypeVar("Item")
FOREVER = timedelta(days=30)


class Processes:
    """The processes that share a run, and which of them this is."""

    def __init__(self, rank: int, count: int, store: Any = None) -> None:
        """`store` is torch's; one process needs none."""
        self.rank, self.count, self.store = rank, count, store
        self._meetings = 0

    @property
    def is_first(self) -> bool:
        """Whether this one writes what all have found."""
        return self.rank == 0

    def share(self, items: Sequence[Item]) -> list[Item]:
        """What this process does of a list that all have."""
        return list(items[self.rank :: self.count])

    def meet(self) -> None:
        """Wait until all processes have come here."""
        if self.store is None:
            return
        self._meetings += 1
        here, all_here = (f"vsp/{self._meetings}/{word}" for word in ("here", "all"))
        if self.store.add(here, 1) == self.count:
            self.store.set(all_here, "1")
        self.store.wait([all_here], FOREVER)

    def replies_file(self, out: Path) -> Path:
        """Where this process keeps its replies."""
        return out / ("replies.jsonl" if self.is_first else f"replies.{self.rank}.jsonl")


@lru_cache(maxsize=1)
def processes() -> Processes:
    """The processes that a launcher has started, as its environment says; without one, this one."""
    count = int(os.environ.get("WORLD_SIZE", 1))
    if count == 1:
        return Processes(0, 1)
    from torch.distributed import rendezvous  # the scripted agents do without torch

    store, rank, _ = next(rendezvous("env://", timeout=FOREVER))
    return Processes(rank, count, store)


def take_gpus(count: int) -> None:
    """Leave this process `count` GPUs of its own, and let an engine take it for the only one."""
    if processes().count == 1:
        return
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    first = int(os.environ["LOCAL_RANK"]) * count
    mine = range(first, first + count)
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(
        seen.split(",")[each] if seen else str(each) for each in mine
    )
    for name in (
        "RANK",
        "LOCAL_RANK",
        "WORLD_SIZE",
        "LOCAL_WORLD_SIZE",
        "MASTER_ADDR",
        "MASTER_PORT",
    ):
        os.environ.pop(name, None)


def collect_shares(out: Path) -> None:
    """Add to a run's replies what other processes than the first have kept."""
    held: list[Record] = []
    files = sorted(out.glob("replies.*.jsonl"))
    for file in files:
        held += read_records(file, repair=True)
    for record in held:
        append_json_line(out / "replies.jsonl", record)
    for file in files:
        file.unlink()
