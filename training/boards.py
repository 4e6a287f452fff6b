"""Live environments as a map-style data set: index → seed → reset. Nothing is built beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import gymnasium as gym
import numpy as np
from torch.utils.data import Dataset

from agents.agent import Prompt, View
from agents.prompts import text_prompt, visual_prompt
from agents.rollouts import INPUTS, live_env
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
        kind = self.kinds[index // self.block % len(self.kinds)]
        env: gym.Env = live_env(kind.task, kind.level, self.view, self.split)
        seed = np.random.SeedSequence([self.seed, index]).generate_state(1)[0]
        image, _ = env.reset(seed=int(seed))
        return Board(env.unwrapped.layout, image)  # type: ignore[attr-defined]
