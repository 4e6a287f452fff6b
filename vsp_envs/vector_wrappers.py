"""The wrappers of `vsp_envs.wrappers` that batches of environments have too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gymnasium import spaces
from gymnasium.vector import VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space

from vsp_envs.wrappers import Flattener

Batch = VectorEnv[Any, Any, Any]


if TYPE_CHECKING:
    _Wrapper = VectorWrapper[Any, Any, Any, Any, Any]
else:
    _Wrapper = VectorWrapper  # which is not generic in Gymnasium 1.2


class VectorObservation(_Wrapper):
    """Other observations, `final_obs` included: unlike Gymnasium's for every autoreset mode."""

    def __init__(self, env: Batch, single: spaces.Space[Any]) -> None:
        super().__init__(env)
        self.single_observation_space = single
        self.observation_space = batch_space(single, env.num_envs)

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """As the environments."""
        observations, infos = self.env.reset(seed=seed, options=options)
        return self.observations(observations, (self.num_envs,)), infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """As the environments."""
        observations, rewards, terminated, truncated, infos = self.env.step(actions)
        if "final_obs" in infos:
            last = infos["final_obs"]
            for i in infos["_final_obs"].nonzero()[0].tolist():
                last[i] = self.observations(last[i], ())
        seen = self.observations(observations, (self.num_envs,))
        return seen, rewards, terminated, truncated, infos

    def observations(self, observations: Any, lead: tuple[int, ...]) -> Any:
        """A batch of observations (`lead` is its size) or a single one (`lead` is empty)."""
        raise NotImplementedError


class VectorImageOnly(VectorObservation):
    """The pictures alone: uint8[num_envs, S, S, 3]."""

    def __init__(self, env: Batch) -> None:
        super().__init__(env, _part(env, "image"))

    def observations(self, observations: Any, lead: tuple[int, ...]) -> Any:
        """The `image` of the observations."""
        return observations["image"]


class VectorSymbolicOnly(VectorObservation):
    """The symbolic states alone."""

    def __init__(self, env: Batch) -> None:
        super().__init__(env, _part(env, "symbolic"))

    def observations(self, observations: Any, lead: tuple[int, ...]) -> Any:
        """The `symbolic` part of the observations."""
        return observations["symbolic"]


class VectorFlatSymbolic(VectorObservation):
    """The symbolic states as float32[num_envs, length]; see `FlatSymbolic`."""

    def __init__(self, env: Batch, one_hot: bool = False) -> None:
        self._flatten = Flattener(env.single_observation_space, one_hot)
        super().__init__(env, self._flatten.space)

    def observations(self, observations: Any, lead: tuple[int, ...]) -> Any:
        """All parts in the order of the space, one after another."""
        return self._flatten(observations, lead)


class VectorFlatDict(VectorObservation):
    """`image` as it is and `symbolic` as in `VectorFlatSymbolic`."""

    def __init__(self, env: Batch, one_hot: bool = False) -> None:
        self._flatten = Flattener(env.single_observation_space, one_hot)
        single = spaces.Dict(image=_part(env, "image"), symbolic=self._flatten.space)
        super().__init__(env, single)

    def observations(self, observations: Any, lead: tuple[int, ...]) -> Any:
        """The observations with their symbolic part as vectors."""
        return {"image": observations["image"], "symbolic": self._flatten(observations, lead)}


def _part(env: Batch, name: str) -> spaces.Space[Any]:
    space = env.single_observation_space
    if not isinstance(space, spaces.Dict) or name not in space.spaces:
        raise ValueError(f'the observations have no {name!r}; use observation="both"')
    return space[name]
