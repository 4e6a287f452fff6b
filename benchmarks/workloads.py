"""Work that several benchmarks time: steps of environments, and boards with their solutions."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks.measure import Work
from vsp_envs import TASKS, LayoutSpec
from vsp_envs.core.generator import passing
from vsp_envs.envs.vector_env import PlanningVectorEnv


def vector_steps(env: gym.vector.VectorEnv[Any, Any, Any], steps: int = 8) -> Work:
    """Random steps of a vector environment, resets included."""
    count, last = env.num_envs, int(env.single_action_space.n)  # type: ignore[attr-defined]
    actions = np.random.default_rng(0).integers(last, size=(512, count))
    turn = 0
    env.reset(seed=0)

    def work() -> int:
        nonlocal turn
        for _ in range(steps):
            env.step(actions[turn % 512])
            turn += 1
        return steps * count

    for _ in range(max(1, 2048 // (steps * count) + 20)):
        work()  # past the first episodes, which all begin at once
    return work


def vector(task: str, level: int, count: int, **settings: Any) -> PlanningVectorEnv:
    """Our vector environment, without images unless `observation` says otherwise."""
    settings = {"observation": "symbolic", "max_episode_steps": 100, **settings}
    return PlanningVectorEnv(count, task, level=level, **settings)


def lake_8x8(mode: str, count: int) -> gym.vector.VectorEnv[Any, Any, Any]:
    """Gymnasium's FrozenLake."""
    return gym.make_vec("FrozenLake-v1", count, vectorization_mode=mode, map_name="8x8")


def generating(task: str, level: int, count: int = 1024) -> Work:
    """Boards with the distances of all their states."""
    rng, spec = np.random.default_rng(0), LayoutSpec(task, level)

    def work() -> int:
        layouts = TASKS[task].generate(level, count, rng, **spec.build_arguments())
        return sum(len(each) for each in passing(layouts, spec))

    return work
