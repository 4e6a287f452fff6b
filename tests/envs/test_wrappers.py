"""Wrappers: each keeps the Gymnasium contract and says what the environment knows."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from drawn import lake, maze, plan, room
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from vsp_envs import TASKS, Layout, describe
from vsp_envs.envs.minigrid_encoding import encode
from vsp_envs.rendering.perturbations import PERTURBATIONS
from vsp_envs.vector_wrappers import (
    VectorFlatDict,
    VectorFlatSymbolic,
    VectorImageOnly,
    VectorSymbolicOnly,
)
from vsp_envs.wrappers import (
    DistanceReward,
    FlatDict,
    FlatSymbolic,
    History,
    ImageOnly,
    MinigridEncoding,
    Perturbed,
    SymbolicOnly,
    TextObservation,
)

every_task = pytest.mark.parametrize("task", TASKS)
Wrap = Callable[[gym.Env[Any, Any]], gym.Env[Any, Any]]
WRAPS: dict[str, Wrap] = {
    "image": ImageOnly,
    "symbolic": SymbolicOnly,
    "flat": FlatSymbolic,
    "flat one-hot": lambda env: FlatSymbolic(env, one_hot=True),
    "flat dict": FlatDict,
    "text": TextObservation,
    "distance": DistanceReward,
    "history": History,
    "minigrid": MinigridEncoding,
    "perturbed": lambda env: Perturbed(env, list(PERTURBATIONS)),
    "perturbed image": lambda env: Perturbed(ImageOnly(env), ["noise"]),
}


def made(task: str, **wishes: Any) -> gym.Env[Any, Any]:
    return gym.make(TASKS[task].id, image_size=64, **wishes)


def on(layout: Layout, wrap: Wrap, **wishes: Any) -> gym.Env[Any, Any]:
    env = wrap(made(layout.task, **wishes))
    env.reset(options={"layout": layout})
    return env


@every_task
@pytest.mark.parametrize("name", WRAPS)
def test_gymnasiums_checker_is_content(task: str, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Gymnasium asks that bare environments be checked; a wrapped one is what is meant here.
        warnings.filterwarnings("ignore", message=".*is different from the unwrapped version")
        check_env(WRAPS[name](made(task, level=(5, 6))), skip_render_check=True)


@every_task
def test_image_only_and_symbolic_only_are_the_parts(task: str) -> None:
    whole = made(task).reset(seed=1)[0]
    assert np.array_equal(ImageOnly(made(task)).reset(seed=1)[0], whole["image"])
    symbolic = SymbolicOnly(made(task)).reset(seed=1)[0]
    assert all(np.array_equal(symbolic[name], whole["symbolic"][name]) for name in symbolic)
    with pytest.raises(ValueError, match="the observations have no 'image'"):
        ImageOnly(made(task, observation="symbolic"))


@every_task
@pytest.mark.parametrize("one_hot", [False, True])
def test_the_flat_vector_tells_all_states_of_a_board_apart(task: str, one_hot: bool) -> None:
    env = FlatSymbolic(made(task, level=5, observation="symbolic"), one_hot)
    assert isinstance(env.observation_space, spaces.Box)
    assert len(env.observation_space.shape) == 1
    seen = {}
    observation, _ = env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(200):
        seen.setdefault(env.unwrapped.state, set()).add(observation.tobytes())  # type: ignore
        observation, _, terminated, _, _ = env.step(env.action_space.sample())
        if terminated:
            observation, _ = env.reset(options={"layout": env.unwrapped.layout})  # type: ignore
    assert len(seen) > 2
    assert all(len(vectors) == 1 for vectors in seen.values())
    assert len(set().union(*seen.values())) == len(seen)


def test_a_one_hot_vector_has_a_one_for_every_number_of_the_state() -> None:
    env = on(lake("SF HG"), lambda env: FlatSymbolic(env, one_hot=True), level=2)
    flat = env.observation(env.unwrapped.observation_space.sample())  # type: ignore[attr-defined]
    level, grid, places = 3, 2 * 2 * 5, 2 * 2
    assert flat.shape == (level + grid + 2 * places,)
    assert set(flat.tolist()) == {0.0, 1.0} and flat.sum() == 1 + 4 + 2 + 2


def test_the_text_says_where_play_stands() -> None:
    layout = room("""AP...
                     .....
                     TTT..
                     TTT..
                     .....""")
    env = on(layout, TextObservation)
    text = env.step(4)[0]
    assert text == describe(layout) + "\nnow: agent (0,0), printer (-1,-1), table (2,0), carrying 1"


def test_distance_reward_pays_for_each_step_nearer_and_back() -> None:
    env = on(lake("SFF FFF FFG"), lambda env: DistanceReward(env, weight=0.5))
    # A step nearer, one back, one against the edge, and the four to the goal.
    rewards = [env.step(action)[1] for action in plan("R L L R R D D")]
    assert rewards == [0.5, -0.5, 0.0, 0.5, 0.5, 0.5, 1.5]
    env = on(lake("SH FG"), DistanceReward)
    assert env.step(2)[1] == pytest.approx(0.2)  # the potential of every final state is zero


def test_history_keeps_the_steps_of_the_episode() -> None:
    env = on(lake("SF HG"), History)
    for action in plan("U R D"):
        env.step(action)
    assert isinstance(env, History)
    kept = [(step.state, step.action, step.reward, step.outcome) for step in env.history]
    assert kept == [(0, 3, 0.0, "illegal"), (0, 2, 0.0, "running"), (1, 1, 1.0, "success")]
    env.reset()
    assert env.history == []


def test_minigrid_reads_its_encoding_of_a_board() -> None:
    from minigrid.core.grid import Grid

    one = maze("""
        +-+-+
        |S G|
        + +-+
        |   |
        +-+-+
    """)
    code = encode(TASKS["maze"], one, 1)
    grid, _ = Grid.decode(code[:, :, :])
    kinds = [[getattr(grid.get(col, row), "type", " ")[0] for col in range(5)] for row in range(5)]
    assert ["".join(row) for row in kinds] == ["wwwww", "w   w", "w www", "w   w", "wwwww"]
    assert code[3, 1].tolist() == [10, 0, 0]  # the agent covers the goal
    pond = encode(TASKS["frozenlake"], lake("SH FG"), 0)
    assert pond[:, :, 0].T.tolist() == [[2, 2, 2, 2], [2, 10, 9, 2], [2, 1, 8, 2], [2, 2, 2, 2]]


def test_minigrid_shows_the_printer_until_it_is_carried() -> None:
    layout = room("""AP.
                     TTT
                     TTT""")
    env = on(layout, MinigridEncoding, level=3)
    before = env.reset(options={"layout": layout})[0]
    after = env.step(4)[0]
    ball, box = 6, 7
    assert (before[:, :, 0] == ball).sum() == 1 and (after[:, :, 0] == ball).sum() == 0
    assert (before[:, :, 0] == box).sum() == (after[:, :, 0] == box).sum() == 6


@every_task
@pytest.mark.parametrize("kind", PERTURBATIONS)
def test_a_perturbation_hangs_on_the_seed_and_stays_for_the_episode(task: str, kind: str) -> None:
    plain = made(task).reset(seed=0)[0]["image"]
    one, two = (Perturbed(made(task), [kind]) for _ in range(2))
    first = one.reset(seed=0)[0]["image"]
    assert first.shape == plain.shape and not np.array_equal(first, plain)
    assert np.array_equal(first, two.reset(seed=0)[0]["image"])
    legal = int(np.flatnonzero(made(task).reset(seed=0)[1]["action_mask"])[0])
    assert np.array_equal(one.step(legal)[0]["image"], two.step(legal)[0]["image"])
    layout = one.unwrapped.layout  # type: ignore[attr-defined]
    again = [one.reset(options={"layout": layout})[0]["image"].tobytes() for _ in range(12)]
    assert len(set(again)) > 1


def test_a_turned_picture_is_the_same_picture_turned() -> None:
    env = Perturbed(made("maze"), ["rotate"])
    turned, plain = env.reset(seed=4)[0]["image"], made("maze").reset(seed=4)[0]["image"]
    assert sum(np.array_equal(turned, np.rot90(plain, turn)) for turn in (1, 2, 3)) == 1


def test_an_unknown_perturbation_gives_one_line_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"unknown perturbation 'blurr'.*Did you mean 'blur'"):
        Perturbed(made("maze"), ["blurr"])


def test_where_there_is_no_picture_there_is_nothing_to_perturb() -> None:
    with pytest.raises(ValueError, match="the observations have no 'image'"):
        Perturbed(made("maze", observation="symbolic"), ["blur"])


PAIRS: list[tuple[Any, Any]] = [
    (ImageOnly, VectorImageOnly),
    (SymbolicOnly, VectorSymbolicOnly),
    (FlatSymbolic, VectorFlatSymbolic),
    (FlatDict, VectorFlatDict),
]


@every_task
@pytest.mark.parametrize(("one", "many"), PAIRS)
@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_a_batch_is_wrapped_as_each_of_its_environments_would_be(
    task: str, one: Any, many: Any, mode: str
) -> None:
    wishes: dict[str, Any] = {"level": (5, 6), "max_episode_steps": 3, "image_size": 64}
    ours = many(gym.make_vec(TASKS[task].id, 2, autoreset_mode=mode, **wishes))
    theirs = SyncVectorEnv(
        [lambda: one(gym.make(TASKS[task].id, **wishes))] * 2, autoreset_mode=AutoresetMode(mode)
    )
    assert ours.single_observation_space == theirs.single_observation_space
    assert ours.observation_space == theirs.observation_space
    assert equal(ours.reset(seed=0)[0], theirs.reset(seed=0)[0])
    for _ in range(7):
        left, right = ours.step(np.array([0, 1])), theirs.step(np.array([0, 1]))
        assert equal(left[0], right[0])
        assert ours.observation_space.contains(left[0])
        if "final_obs" in right[-1]:
            for pair in zip(left[-1]["final_obs"], right[-1]["final_obs"], strict=True):
                assert pair[0] is pair[1] is None or equal(*pair)


def equal(left: Any, right: Any) -> bool:
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
    return np.array_equal(left, right)


def test_a_batch_without_the_part_says_so() -> None:
    for many, observation in ((VectorImageOnly, "symbolic"), (VectorFlatSymbolic, "image")):
        with pytest.raises(ValueError, match='observation="both"'):
            many(gym.make_vec("VSP/Maze-v0", 2, observation=observation))
