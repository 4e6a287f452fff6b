"""Stable-Baselines3's PPO on the symbolic state: FrozenLake 4 in minutes on a CPU.

    python -m examples.sb3_ppo --steps 500000 --curve docs/images/sb3_ppo.png

Trains on layouts of the split `train`, measures on 500 different ones of `test`.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import gymnasium as gym
import torch
from matplotlib.figure import Figure

from agents.scripted import Blind
from evaluation.rates import Rate, wilson
from examples import missing
from vsp_envs import Layout, LayoutSpec, draw_distinct, score_reply
from vsp_envs.wrappers import FlatSymbolic

NEEDS = missing("stable_baselines3")
if not NEEDS:
    from stable_baselines3 import PPO
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_vec_env
else:
    BaseCallback = object


def make(level: int, split: str) -> gym.Env:
    """One environment; episodes end after 30 actions."""
    env = gym.make(
        "VSP/FrozenLake-v0",
        level=level,
        split=split,
        observation="symbolic",
        max_episode_steps=30,
    )
    return FlatSymbolic(env, one_hot=True)


def solves(model: PPO, env: gym.Env, layout: Layout) -> bool:
    """Whether the policy's most likely actions lead to the goal."""
    observation, info = env.reset(options={"layout": layout})
    done = False
    while not done:
        action, _ = model.predict(observation, deterministic=True)
        observation, _, terminated, truncated, info = env.step(int(action))
        done = terminated or truncated
    return info["is_success"]


class Curve(BaseCallback):
    """Measures the policy on held-out boards at the start and at intervals during training."""

    def __init__(self, env: gym.Env, boards: list[Layout], every: int) -> None:
        super().__init__()
        self.env, self.boards, self.every = env, boards, every
        self.points: list[tuple[int, Rate]] = []

    def _on_rollout_start(self) -> None:
        if self.num_timesteps >= len(self.points) * self.every:
            self.measure()

    def _on_step(self) -> bool:
        return True

    def measure(self) -> Rate:
        """Success with its interval; printed, and kept as a point of the curve."""
        wins = sum(solves(self.model, self.env, board) for board in self.boards)
        rate = wilson(wins, len(self.boards))
        self.points.append((self.num_timesteps, rate))
        print(f"{self.num_timesteps:8} steps: {100 * rate.value:5.1f} % "
              f"({100 * rate.low:.1f}–{100 * rate.high:.1f})", flush=True)  # fmt: skip
        return rate


def draw(points: list[tuple[int, Rate]], blind: Rate, title: str, file: Path) -> None:
    """The learning curve with its 95 % band, and the line of a player who sees no holes."""
    steps = [step for step, _ in points]
    figure = Figure((5.6, 3.4), layout="constrained")
    axes = figure.subplots()
    low, high = ([100 * getattr(rate, end) for _, rate in points] for end in ("low", "high"))
    axes.fill_between(steps, low, high, color="#2f7fc1", alpha=0.2, linewidth=0)
    axes.plot(steps, [100 * rate.value for _, rate in points], color="#2f7fc1", label="PPO")
    axes.axhline(100 * blind.value, color="grey", linestyle="--", label="blind: ignores the holes")
    axes.set(title=title, xlabel="steps of training", ylabel="boards solved, %", ylim=(0, 102))
    axes.set_xlim(0, steps[-1])
    axes.xaxis.set_major_formatter(lambda step, _: f"{step / 1000:g} k" if step else "0")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="lower right")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=130)


def main(args: list[str] | None = None) -> Rate:
    """Train and measure; returns the success on held-out boards."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], epilog=NEEDS)
    parser.add_argument("--level", type=int, default=4, help="side of the boards")
    parser.add_argument("--steps", type=int, default=500_000, help="of all environments together")
    parser.add_argument("--boards", type=int, default=500, help="held-out boards to measure on")
    parser.add_argument("--points", type=int, default=15, help="of the learning curve")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--curve", type=Path, help="draw the learning curve into this PNG file")
    options = parser.parse_args(args)
    if NEEDS:
        parser.error(NEEDS)
    torch.set_num_threads(1)  # the network is small: more threads would only wait for each other
    boards = draw_distinct(LayoutSpec("frozenlake", options.level, "test"), options.boards, seed=0)
    envs = make_vec_env(partial(make, options.level, "train"), n_envs=64, seed=options.seed)
    settings: dict[str, Any] = {"n_steps": 64, "batch_size": 512, "n_epochs": 8, "gamma": 0.9}
    model = PPO(
        "MlpPolicy", envs, learning_rate=lambda left: 1e-3 * left, ent_coef=0.01,
        policy_kwargs={"net_arch": [256, 256]}, seed=options.seed, device="cpu", **settings,
    )  # fmt: skip
    curve = Curve(make(options.level, "test"), boards, options.steps // options.points)
    began = perf_counter()
    model.learn(options.steps, callback=curve)
    rate = curve.measure()
    solved = sum(score_reply(board, Blind().answer(board)).success for board in boards)
    blind = wilson(solved, len(boards))
    print(
        f"{perf_counter() - began:.0f} s; blind, who ignores the holes: {100 * blind.value:.1f} %"
    )
    if options.curve:
        title = f"FrozenLake {options.level}: {len(boards)} held-out boards"
        draw(curve.points, blind, title, options.curve)
    return rate


if __name__ == "__main__":
    main()
