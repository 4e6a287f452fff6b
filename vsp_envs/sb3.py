"""The batched environment as a `VecEnv` of Stable-Baselines3, which this file alone needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from stable_baselines3.common.vec_env import VecEnv


class PlanningVecEnv(VecEnv):
    """All environments of `gym.make_vec(…, autoreset_mode="SameStep")`, wrapped or not.

    Where SB3's own vector environments step boards one by one, this one steps them together.
    `infos` hold `is_success`, `TimeLimit.truncated` and `terminal_observation` of the episodes that
    end and are empty else.
    """

    def __init__(self, envs: VectorEnv[Any, Any, Any]) -> None:
        if envs.metadata.get("autoreset_mode") != AutoresetMode.SAME_STEP:
            raise ValueError(
                "SB3 resets in the step that ends: make the environments with "
                'autoreset_mode="SameStep"'
            )
        self.envs = envs
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)

    def reset(self) -> Any:
        """The first observations; seeds and options are those of `seed` and `set_options`."""
        seeds = self._seeds if any(seed is not None for seed in self._seeds) else None
        options = next(filter(None, self._options), None)
        observations, _ = self.envs.reset(seed=seeds, options=options)
        self._reset_seeds()
        self._reset_options()
        return observations

    def step_async(self, actions: Any) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = np.asarray(actions)

    def step_wait(self) -> tuple[Any, Any, Any, list[dict[str, Any]]]:
        """Observations, rewards, dones, infos."""
        observations, rewards, terminated, truncated, seen = self.envs.step(self._actions)
        done = terminated | truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for i in done.nonzero()[0].tolist():
            infos[i] = {
                "terminal_observation": seen["final_obs"][i],
                "TimeLimit.truncated": bool(truncated[i] and not terminated[i]),
            }
            if "is_success" in seen["final_info"]:
                infos[i]["is_success"] = bool(seen["final_info"]["is_success"][i])
        return observations, rewards.astype(np.float32), done, infos

    def close(self) -> None:
        """Close the environments."""
        self.envs.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """An attribute of each environment."""
        return self._of(self.envs.unwrapped.get_attr(attr_name), indices)  # type: ignore[attr-defined]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Keep an attribute for all environments."""
        self.envs.unwrapped.set_attr(attr_name, value)  # type: ignore[attr-defined]

    def env_method(
        self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any
    ) -> list[Any]:
        """What a method of each environment returns, `action_masks` for example."""
        call = self.envs.unwrapped.call  # type: ignore[attr-defined]
        return self._of(call(method_name, *method_args, **method_kwargs), indices)

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """False: there are no single environments that could be."""
        return self._of([False] * self.num_envs, indices)

    def get_images(self) -> Sequence[Any]:
        """The boards as images, in render mode `rgb_array`."""
        return self.envs.render() or []

    def _of(self, values: Sequence[Any], indices: int | Iterable[int] | None) -> list[Any]:
        return [values[i] for i in self._get_indices(indices)]
