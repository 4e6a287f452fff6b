"""Speed of the environments: `python -m benchmarks.envs [--quick] [--json FILE] [--plots DIR]`."""

from __future__ import annotations

import argparse
import io
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import minigrid  # noqa: F401 - registers its ids
import numpy as np
from minigrid.wrappers import RGBImgObsWrapper
from PIL import Image

from benchmarks import plain, plots
from benchmarks.measure import Race, Work, run, save, table
from benchmarks.workloads import generating, lake_8x8, vector, vector_steps
from vsp_envs import TASKS, LayoutSpec, draw_distinct
from vsp_envs.core.layout import UInt8
from vsp_envs.core.solver import solve_layout
from vsp_envs.rendering.png import png_bytes
from vsp_envs.rendering.renderer import BoardRenderer

try:
    import envpool
except ImportError:  # a peer, not a dependency
    envpool = None

SIDE = 256
POOL = 4096


def scalar_steps(env: gym.Env[Any, Any]) -> Work:
    """Random steps of one environment, resets included."""
    last = int(env.action_space.n)  # type: ignore[attr-defined]
    actions = np.random.default_rng(0).integers(last, size=500).tolist()
    env.reset(seed=0)

    def work() -> int:
        for action in actions:
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()
        return len(actions)

    return work


def endless_steps(env: gym.Env[Any, Any], **settings: Any) -> Work:
    """Steps left and right in turns, which never end the episode."""
    env.reset(seed=0, options=settings or None)

    def work() -> int:
        for action in (0, 2) * 250:
            env.step(action)
        return 500

    return work


def symbolic_races() -> Iterator[Race]:
    """Vector and scalar steps without pictures, against Gymnasium's FrozenLake."""
    work = "symbolic vector steps, {} envs, {}"
    peer = "Gymnasium SyncVectorEnv FrozenLake8x8"
    for count, pooled, fresh in ((16, 6, None), (128, 30, None), (1024, 150, 5)):
        theirs = vector_steps(lake_8x8("sync", count), max(1, 64 // count))
        for what, floor, settings in (
            ("pool", pooled, {"pool": POOL}),
            ("pool, no infos", None, {"pool": POOL, "infos": False}),
            ("fresh layouts", fresh, {}),
        ):
            ours = vector_steps(vector("frozenlake", 8, count, **settings))
            yield Race(work.format(count, what), peer, "steps", ours, theirs, floor)
    for task in ("maze", "minibehaviour"):
        name = work.format(1024, f"{task} 6, pool")
        yield Race(name, peer, "steps", vector_steps(vector(task, 6, 1024, pool=POOL)), theirs)
    yield from envpool_races()
    peer = "FrozenLake-v1 8x8, gym.make"
    board = {"layout": {"map": ["SFFFFFFF", *["FFFFFFFF"] * 6, "FFFFFFFG"]}}
    limit: dict[str, Any] = {"max_episode_steps": 1 << 40}
    ours = endless_steps(scalar("frozenlake", 8, **limit), **board)
    theirs = endless_steps(gym.make("FrozenLake-v1", map_name="8x8", **limit))
    yield Race("symbolic scalar steps, gym.make", peer, "steps", ours, theirs, 2.5)
    ours = scalar_steps(scalar("frozenlake", 8))
    theirs = scalar_steps(gym.make("FrozenLake-v1", map_name="8x8"))
    yield Race("the same, resets and fresh layouts included", peer, "steps", ours, theirs)


def envpool_races() -> Iterator[Race]:
    """Against envpool, where it is installed."""
    if envpool is None:
        return
    env = envpool.make("FrozenLake8x8-v1", env_type="gymnasium", num_envs=1024, num_threads=1)
    env.reset()
    actions = np.random.default_rng(0).integers(4, size=(64, 1024)).astype(np.int32)

    def theirs() -> int:
        for each in actions:
            env.step(each)
        return actions.size

    ours = vector_steps(vector("frozenlake", 8, 1024, pool=POOL))
    name = "symbolic vector steps, 1024 envs, pool"
    yield Race(name, "envpool FrozenLake8x8, 1 thread", "steps", ours, theirs, 12)


def image_races() -> Iterator[Race]:
    """Steps with images, against a copy of the frames and against Minigrid."""
    name = f"image steps, {SIDE} px, 64 envs, {{}} {{}}, {{}}"
    for task, level in (("frozenlake", 8), ("maze", 6), ("minibehaviour", 6)):
        for copy, floor in ((False, 1.0), (True, 0.45)):
            env = vector(task, level, 64, observation="image", copy=copy, pool=POOL)
            ours, frames = vector_steps(env), np.zeros((64, SIDE, SIDE, 3), np.uint8)
            title = name.format(task, level, "copied" if copy else "not copied")
            yield Race(title, "np.copyto of the frames", "frames", ours, copying(frames), floor)
    theirs = scalar_steps(minigrid_env())
    ours = scalar_steps(gym.make("VSP/Maze-v0", level=6, observation="image"))
    peer = f"MiniGrid-Empty-8x8 RGBImgObsWrapper, {SIDE} px"
    yield Race(f"image steps, {SIDE} px, one env", peer, "frames", ours, theirs, 50)


def copying(frames: np.ndarray) -> Work:
    """Copy frames into an array of their own."""
    copied = np.zeros_like(frames)

    def work() -> int:
        np.copyto(copied, frames)
        return len(frames)

    return work


def board_races() -> Iterator[Race]:
    """Boards with their solutions, and PNG files."""
    literature: dict[str, Callable[[int, random.Random], int]] = {
        "frozenlake": plain.lake, "maze": plain.maze, "minibehaviour": plain.room
    }  # fmt: skip
    for task, level in (("frozenlake", 8), ("maze", 6), ("minibehaviour", 6)):
        ours, theirs = generating(task, level), plainly(literature[task], level)
        name = f"generate and solve 1024 boards, {task} {level}"
        yield Race(name, "plain Python generator and search", "boards", ours, theirs, 5)
    for task, level in (("frozenlake", 8), ("maze", 6), ("minibehaviour", 6)):
        ours, theirs = filing(task, level, png_bytes), filing(task, level, pillow_png)
        name = f"PNG along episodes, {SIDE} px, {task} {level}"
        yield Race(name, "Pillow's default encoder", "files", ours, theirs, 10)


def plainly(make: Callable[[int, random.Random], int], level: int) -> Work:
    """Boards with the length of a shortest plan."""
    rng = random.Random(0)

    def work() -> int:
        for _ in range(32):
            make(level, rng)
        return 32

    return work


def filing(task: str, level: int, encode: Callable[..., bytes]) -> Work:
    """PNG files of the states along shortest plans, board after board."""
    # More boards than the cache of packed rows holds, so that a pass finds no row of the last one.
    layouts = draw_distinct(LayoutSpec(task, level), 2000, 0)
    episodes = [(layout, along_the_plan(layout)) for layout in layouts]
    picture = BoardRenderer(np.empty((SIDE, SIDE, 3), np.uint8), layouts[0], "classic", 0)
    turn = 0

    def work() -> int:
        nonlocal turn
        layout, states = episodes[turn % len(episodes)]
        turn += 1
        picture.change(layout, states[0])
        for state in states:
            picture.show(state)
            encode(picture.image, level)
        return len(states)

    return work


def pillow_png(image: UInt8, level: int) -> bytes:
    """The same file by Pillow."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def along_the_plan(layout: Any) -> list[int]:
    """The states of a shortest plan, the first and the last included."""
    solved = solve_layout(layout)
    states = [solved.start]
    for _ in range(solved.distance[solved.start]):
        action = solved.optimal[states[-1]].index(True)
        states.append(solved.next_state[states[-1]][action])
    return states


def scalar(task: str, level: int, **settings: Any) -> gym.Env[Any, Any]:
    """Our scalar environment without pictures."""
    return gym.make(TASKS[task].id, level=level, observation="symbolic", **settings)


def minigrid_env() -> gym.Env[Any, Any]:
    """Minigrid's empty room of 8 × 8 cells as pictures of 256 px."""
    return RGBImgObsWrapper(gym.make("MiniGrid-Empty-8x8-v0"), tile_size=SIDE // 8)


def main() -> None:
    """Run all races, print the table, and write the files that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few rounds, within 50 s")
    parser.add_argument("--json", type=Path, help="file for the rows")
    parser.add_argument("--plots", type=Path, help="folder for plots over level and envs")
    options = parser.parse_args()
    began, rows = time.perf_counter(), []
    for races in (symbolic_races, image_races, board_races):
        for race in races():
            # Other programs disturb wall-clock time more than CPU time.
            race = replace(race, clock=time.process_time)
            rows.append(run(race, 0.3 if options.quick else 4))
    print(table(rows))
    print(f"\n{time.perf_counter() - began:.0f} s")
    if options.json:
        save(rows, options.json)
    if options.plots:
        plots.draw(options.plots)


if __name__ == "__main__":
    main()
