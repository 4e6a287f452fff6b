"""An agent of your own: plain `gym.make`, nothing but the picture.

    python -m examples.gym_agent --task Maze --level 4 --episodes 50

Replace `Curious` by your agent. It explores: it plays the action that it has played least often in
front of the same picture.
"""

import argparse
from collections import Counter

import gymnasium as gym
import numpy as np

import vsp_envs  # registers VSP/FrozenLake-v0, VSP/Maze-v0 and VSP/MiniBehaviour-v0


class Curious:
    """Plays the action that it has played least often in front of this picture."""

    def __init__(self, actions: int) -> None:
        self.actions, self.played = actions, Counter()

    def act(self, image: np.ndarray) -> int:
        """The next action for uint8[size, size, 3]."""
        seen = image.tobytes()
        action = min(range(self.actions), key=lambda each: self.played[seen, each])
        self.played[seen, action] += 1
        return action


def play(env: gym.Env, seed: int) -> dict:
    """One episode; returns its last info."""
    image, info = env.reset(seed=seed)
    agent = Curious(int(env.action_space.n))
    done = False
    while not done:
        image, _, terminated, truncated, info = env.step(agent.act(image))
        done = terminated or truncated
    return info


def main(args: list[str] | None = None) -> float:
    """Play held-out boards; returns the share of them that was solved."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--task", default="FrozenLake", help="FrozenLake, Maze or MiniBehaviour")
    parser.add_argument("--level", type=int, help="side of the boards; unset: the paper's levels")
    parser.add_argument("--episodes", type=int, default=50)
    options = parser.parse_args(args)
    env = gym.make(f"VSP/{options.task}-v0", level=options.level, split="test", observation="image")
    infos = [play(env, seed) for seed in range(options.episodes)]
    solved = [info for info in infos if info["is_success"]]
    print(f"vsp_envs {vsp_envs.__version__}: solved {len(solved)} of {len(infos)}")
    if solved:
        extra = np.mean([info["steps"] / info["optimal_length"] for info in solved])
        print(f"with {extra:.1f} times as many actions as a shortest plan")
    return len(solved) / len(infos)


if __name__ == "__main__":
    main()
