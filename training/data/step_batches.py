"""How the boards of an optimizer step are divided among processes and micro-batches."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import ceil

from torch.utils.data import Sampler

from vsp_envs.utils.words import counted


class StepBatches(Sampler[list[int]]):
    """Indices of the stream, one list per micro-batch; the processes take the lists in turn.

    Step s holds boards s·`batch_size` to (s+1)·`batch_size` − 1 for any number of processes and
    micro-batches, so neither number changes the training data. Neighbours, which are boards of one
    kind, stay together. Sizes differ by at most one. None is 0: the other processes would wait for
    the gradients of a process without a batch.
    """

    def __init__(self, steps: int, batch_size: int, parts: int, dealt: bool = False) -> None:
        """`parts` is processes × micro-batches of each.

        With `dealt` neighbours go to different parts, so that each has boards of all kinds.
        """
        self.steps, self.stride, self.dealt = steps, batch_size, dealt
        self.cuts = [batch_size * part // parts for part in range(parts + 1)]

    def __len__(self) -> int:
        return self.steps * (len(self.cuts) - 1)

    def __iter__(self) -> Iterator[list[int]]:
        parts = len(self.cuts) - 1
        for first in range(0, self.steps * self.stride, self.stride):
            for part, (start, end) in enumerate(pairwise(self.cuts)):
                if self.dealt:
                    yield list(range(first + part, first + self.stride, parts))
                else:
                    yield list(range(first + start, first + end))


def count_micro_batches(batch_size: int, largest: int | None, kinds: int, processes: int) -> int:
    """Micro-batches of each process in a step: one for each kind, or more to respect `largest`.

    A process's micro-batch is at most `largest` boards (None: any number). Raises ValueError if
    the processes cannot all have the same number of them.
    """
    if batch_size < processes:
        raise ValueError(
            f"--batch-size {batch_size} has no board for each of {processes} processes; "
            f"take at least {processes}"
        )
    largest = batch_size if largest is None else largest
    count = kinds * ceil(batch_size / (kinds * processes * largest))
    count = min(count, batch_size // processes)
    if ceil(batch_size / (processes * count)) > largest:
        raise ValueError(
            f"--batch-size {batch_size} cannot be dealt to {counted(processes, 'process')} in as "
            f"many micro-batches of at most {largest} each; take a multiple of {processes}"
        )
    return count
