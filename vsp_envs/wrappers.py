"""Wrappers: fewer or other observations, shaped rewards, histories, perturbed images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple, SupportsFloat

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import NDArray

from vsp_envs.core.layout import Cell, LayoutBatch, UInt8
from vsp_envs.envs.minigrid_encoding import encode
from vsp_envs.envs.planning_env import PlanningEnv
from vsp_envs.rendering.perturbations import PERTURBATIONS, episode_of, perturb
from vsp_envs.scoring.describe import describe
from vsp_envs.utils.choices import pick_name

Env = gym.Env[Any, Any]


def planning_env(env: Env) -> PlanningEnv:
    """The environment under the wrappers. Raises TypeError if it is not a PlanningEnv."""
    inner = env.unwrapped
    if not isinstance(inner, PlanningEnv):
        raise TypeError(f"this wrapper is for a PlanningEnv, not {type(inner).__name__}")
    return inner


class ImageOnly(gym.ObservationWrapper[Any, Any, Any], RecordConstructorArgs):
    """The picture alone: uint8[S, S, 3]."""

    def __init__(self, env: Env) -> None:
        RecordConstructorArgs.__init__(self)
        super().__init__(env)
        self.observation_space = _part(env, "image")

    def observation(self, observation: Any) -> Any:
        """The `image` of the observation."""
        return observation["image"]


class SymbolicOnly(gym.ObservationWrapper[Any, Any, Any], RecordConstructorArgs):
    """The symbolic state alone: a flat Dict."""

    def __init__(self, env: Env) -> None:
        RecordConstructorArgs.__init__(self)
        super().__init__(env)
        self.observation_space = _part(env, "symbolic")

    def observation(self, observation: Any) -> Any:
        """The `symbolic` part of the observation."""
        return observation["symbolic"]


def _part(env: Env, name: str) -> spaces.Space[Any]:
    space = env.observation_space
    if not isinstance(space, spaces.Dict) or name not in space.spaces:
        raise ValueError(f'the observations have no {name!r}; make the env with observation="both"')
    return space[name]


class FlatSymbolic(gym.ObservationWrapper[Any, Any, Any], RecordConstructorArgs):
    """The symbolic state as one float32 vector, numbers one-hot: for learners without Dict support.

    `env` observes `both` or `symbolic`. Grids and positions are scaled to [-1, 1] by their bounds;
    with `one_hot` they too are one-hot, entry by entry, which networks learn from much faster.
    """

    def __init__(self, env: Env, one_hot: bool = False) -> None:
        RecordConstructorArgs.__init__(self, one_hot=one_hot)
        super().__init__(env)
        self._flatten = Flattener(planning_env(env).config.observation_space(), one_hot)
        self.observation_space = self._flatten.space

    def observation(self, observation: Any) -> Any:
        """All parts in the order of the space, one after another."""
        return self._flatten(observation)


class FlatDict(gym.ObservationWrapper[Any, Any, Any], RecordConstructorArgs):
    """`image` as it is and `symbolic` as in `FlatSymbolic`: for learners that take a flat Dict."""

    def __init__(self, env: Env, one_hot: bool = False) -> None:
        RecordConstructorArgs.__init__(self, one_hot=one_hot)
        super().__init__(env)
        self._flatten = Flattener(planning_env(env).config.observation_space(), one_hot)
        image = _part(env, "image")
        self.observation_space = spaces.Dict(image=image, symbolic=self._flatten.space)

    def observation(self, observation: Any) -> Any:
        """The observation with its symbolic part as one vector."""
        return {"image": observation["image"], "symbolic": self._flatten(observation)}


class Flattener:
    """Turns symbolic states into float32 vectors, one (`lead` empty) or a batch of them at a time.

    Raises ValueError if the observations of `space` have no symbolic state.
    """

    def __init__(self, space: spaces.Space[Any], one_hot: bool) -> None:
        if isinstance(space, spaces.Dict) and "symbolic" in space.spaces:
            space = space["symbolic"]
        if not isinstance(space, spaces.Dict):
            raise ValueError('a flat symbolic state needs observation="both" or "symbolic"')
        self._parts, self._one_hot = dict(space.spaces), one_hot
        zero = {name: np.zeros(part.shape or (), np.int64) for name, part in self._parts.items()}
        self.space = spaces.Box(-1, 1, self(zero).shape, np.float32)

    def __call__(self, observation: Any, lead: tuple[int, ...] = ()) -> NDArray[np.float32]:
        """All parts in the order of the space, one after another: float32[*lead, length]."""
        symbolic = observation.get("symbolic", observation)
        return np.concatenate(
            [
                _flat(part, symbolic[name], self._one_hot, lead)
                for name, part in self._parts.items()
            ],
            axis=-1,
        )


def _flat(
    part: spaces.Space[Any], value: Any, one_hot: bool, lead: tuple[int, ...]
) -> NDArray[np.float32]:
    numbers = np.asarray(value).reshape(*lead, -1)
    if isinstance(part, spaces.Discrete):
        low, high, one_hot = int(part.start), int(part.start + part.n - 1), True
    else:
        assert isinstance(part, spaces.Box)
        low, high = int(part.low.min()), int(part.high.max())
    if one_hot:
        return _eye(high - low + 1)[numbers.astype(np.int64) - low].reshape(*lead, -1)
    return numbers.astype(np.float32) / max(1.0, high)


@lru_cache(maxsize=16)
def _eye(size: int) -> NDArray[np.float32]:
    return np.eye(size, dtype=np.float32)


class TextObservation(gym.ObservationWrapper[Any, Any, Any], RecordConstructorArgs):
    """The board in words, as in `describe`, and a line about the current state."""

    def __init__(self, env: Env) -> None:
        RecordConstructorArgs.__init__(self)
        super().__init__(env)
        planning_env(env)
        letters = "".join(map(chr, range(32, 127))) + "\n"
        self.observation_space = spaces.Text(1 << 16, min_length=1, charset=letters)

    def observation(self, observation: Any) -> str:
        """For example `… now: agent (0,1), printer (-1,-1), carrying 1`."""
        env = planning_env(self.env)
        small = {name: part for name, part in env.symbolic().items() if np.size(part) < 3}
        now = ", ".join(
            f"{name} {Cell(*part.tolist()) if isinstance(part, np.ndarray) else part}"
            for name, part in small.items()
            if name != "level"
        )
        return f"{describe(env.layout)}\nnow: {now}"


class DistanceReward(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Adds `weight * (distance before - discount * distance after)`: nearer is better.

    The potential-based shaping of Ng, Harada and Russell (1999): the best policies stay the best.
    The distance counts the actions of a shortest plan; after the end of an episode it is 0.
    """

    def __init__(self, env: Env, weight: float = 0.1, discount: float = 1.0) -> None:
        RecordConstructorArgs.__init__(self, weight=weight, discount=discount)
        super().__init__(env)
        self.weight, self.discount = weight, discount

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """As the environment; remembers the distance."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._distance = info["distance_to_goal"]
        return observation, info

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """As the environment, with the shaped reward."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        before, self._distance = self._distance, 0 if terminated else info["distance_to_goal"]
        shaped = float(reward) + self.weight * (before - self.discount * self._distance)
        return observation, shaped, terminated, truncated, info


class StepCost(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Takes `cost` off the reward of every action, so that a short plan is worth more."""

    def __init__(self, env: Env, cost: float = 0.01) -> None:
        RecordConstructorArgs.__init__(self, cost=cost)
        super().__init__(env)
        self.cost = cost

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """As the environment, with the cost taken off."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, float(reward) - self.cost, terminated, truncated, info


class Step(NamedTuple):
    """One action and its result."""

    state: int
    """The state before it: an index into the transition tables."""
    action: int
    reward: float
    outcome: str
    """As in `info`."""


class History(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Keeps the steps of the episode in `history`, oldest first."""

    def __init__(self, env: Env) -> None:
        RecordConstructorArgs.__init__(self)
        super().__init__(env)
        self._inner = planning_env(env)
        self.history: list[Step] = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """As the environment; begins a new list."""
        self.history = []
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """As the environment; adds a step."""
        state = self._inner.state
        observation, reward, terminated, truncated, info = self.env.step(action)
        self.history.append(Step(state, int(action), float(reward), info["outcome"]))
        return observation, reward, terminated, truncated, info


class MinigridEncoding(gym.ObservationWrapper[Any, Any, Any], RecordConstructorArgs):
    """The board as Minigrid encodes a grid: uint8[width, height, 3] of object, colour and state.

    A wall surrounds the board; the agent looks right. Each task says which Minigrid object stands
    for what (`Task.minigrid`): a hole is lava, for example. In a maze every second cell is a cell.
    """

    def __init__(self, env: Env) -> None:
        RecordConstructorArgs.__init__(self)
        super().__init__(env)
        task, side = planning_env(env).task, planning_env(env).max_level
        blank = np.zeros((1, side, side), np.uint8)
        landmarks = np.zeros((1, len(task.landmarks)), np.int64)
        height = task.pattern(LayoutBatch(task.name, side, blank, landmarks)).shape[1]
        size = height + 2 * (height == side)
        self.observation_space = spaces.Box(0, 255, (size, size, 3), np.uint8)

    def observation(self, observation: Any) -> UInt8:
        """The encoding, padded with zeros (Minigrid's `unseen`)."""
        env = planning_env(self.env)
        whole = np.zeros(self.observation_space.shape or (), np.uint8)
        code = encode(env.task, env.layout, env.state)
        whole[: len(code), : len(code)] = code
        return whole


class Perturbed(gym.ObservationWrapper[Any, Any, Any], RecordConstructorArgs):
    """Images changed by one of `PERTURBATIONS` or by several, one after another.

    The strength is sampled for each episode from its seed and stays for all of its images. Only
    the image is rotated: actions keep their meaning on the original board.
    """

    def __init__(self, env: Env, kinds: Sequence[str], seed: int = 0) -> None:
        RecordConstructorArgs.__init__(self, kinds=kinds, seed=seed)
        super().__init__(env)
        if not isinstance(env.observation_space, spaces.Box):
            _part(env, "image")
        self.kinds = [pick_name("perturbation", kind, PERTURBATIONS) for kind in kinds]
        self._rng, self._episode = np.random.default_rng(seed), 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """As the environment; a seed fixes the perturbations too."""
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        self._episode = episode_of(self._rng)
        return super().reset(seed=seed, options=options)

    def observation(self, observation: Any) -> Any:
        """The observation with its picture changed."""
        if isinstance(observation, dict):
            return {**observation, "image": self._changed(observation["image"])}
        return self._changed(observation)

    def _changed(self, image: UInt8) -> UInt8:
        return perturb(image, self.kinds, self._episode)
