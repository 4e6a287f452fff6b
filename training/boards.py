"""Live environments as a map-style data set: index → seed → reset. Nothing is built beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
from torch.utils.data import Dataset

from agents.agent import Prompt, View
from agents.prompts import text_prompt, visual_prompt
from agents.rollouts import INPUTS, live_envs
from vsp_envs import Layout
from vsp_envs.select import Kind
from vsp_envs.task import pick_name


class Board(NamedTuple):
    """What one reset of an environment shows."""

    layout: Layout
    image: np.ndarray  # uint8[S, S, 3]

    def prompt(self, input: str, goal: str, view: View) -> Prompt:
        """The board's prompt by `image` or by `text`."""
        if pick_name("input", input, INPUTS) == "text":
            return text_prompt(self.layout, goal, view.style)
        return visual_prompt(self.layout.task, self.image, goal, view)


class LiveBoards(Dataset[Board]):
    """Board i of a stream that is a function of its seed.

    Any index can be had at any time, so samplers shard, workers share and runs resume without
    replaying what came before. Kinds take turns, `block` boards each: a micro-batch then holds
    boards of one shape and needs no padding, and the micro-batches of a step hold all kinds.
    """

    def __init__(
        self, kinds: Sequence[Kind], view: View, split: str, seed: int, size: int, block: int
    ) -> None:
        """`size` boards in all."""
        self.kinds, self.view, self.split = tuple(kinds), view, split
        self.seed, self.size, self.block = seed, size, block

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Board:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Board]:
        """Many boards at once, as PyTorch asks for a batch: a quarter of the time of one by one."""
        boards: list[Board] = []
        for kind, some in groupby(indices, self._kind):
            seeds = [self._seed(index) for index in some]
            envs = live_envs(kind.task, kind.level, self.view, self.split, len(seeds))
            images, _ = envs.reset(seed=seeds)
            boards += map(Board, envs.layouts, images)
        return boards

    def _kind(self, index: int) -> Kind:
        return self.kinds[index // self.block % len(self.kinds)]

    def _seed(self, index: int) -> int:
        return int(np.random.SeedSequence([self.seed, index]).generate_state(1)[0])
