"""What other users of FrozenLake ask for: a map of their own, moves that slip, a price per step."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

from tests.drawn import lake
from vsp_envs import TASKS, Layout, LayoutError, LayoutSpec, Outcome, PlanningEnv, draw_distinct
from vsp_envs.wrappers import StepCost

MAP = ["SFFF", "FHFH", "FFFH", "HFFG"]
PLAIN = lake("SFFFF FFFFF FFFFF FFFFF FFFFG")
MOVES = 600
every_task = pytest.mark.parametrize("task", TASKS)


def board(task: str) -> Layout:
    return draw_distinct(LayoutSpec(task, TASKS[task].paper_levels[0]), 1, seed=3)[0]


def test_a_map_of_gymnasiums_is_an_argument() -> None:
    env = gym.make("VSP/FrozenLake-v0", layout={"map": MAP})
    for seed in (0, None, 1):
        observation, _ = env.reset(seed=seed)
        assert env.unwrapped.layout.to_data() == {"map": MAP}
        assert observation["symbolic"]["grid"].shape == (4, 4)
    other, _ = env.reset(options={"layout": {"map": ["SFFF", "FFFF", "FFFF", "FFFG"]}})
    assert not (other["symbolic"]["grid"] == 2).any()
    check_env(gym.make("VSP/FrozenLake-v0", layout={"map": MAP}).unwrapped, skip_render_check=True)


@pytest.mark.parametrize(
    "desc",
    [
        np.asarray(MAP, dtype="c"),  # what Gymnasium's environment keeps
        np.array([list(row) for row in MAP]),
        [row.encode() for row in MAP],
        tuple(MAP),
    ],
    ids=["bytes in an array", "letters in an array", "rows of bytes", "a tuple"],
)
def test_gymnasiums_map_may_be_of_any_of_its_types(desc: Any) -> None:
    env = gym.make("VSP/FrozenLake-v0", layout={"map": desc})
    env.reset()
    assert env.unwrapped.layout.to_data() == {"map": MAP}
    with pytest.raises(LayoutError, match="rows of S, F, H and G"):
        gym.make("VSP/FrozenLake-v0", layout={"map": [b"S\xff", b"FG"]})


@every_task
@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
@pytest.mark.parametrize("pool", [None, 2])
def test_every_episode_plays_the_layout(task: str, mode: str, pool: int | None) -> None:
    layout = board(task)
    many = gym.make_vec(
        TASKS[task].id, 3, layout=layout, pool=pool, max_episode_steps=2, observation="symbolic",
        autoreset_mode=mode,
    )  # fmt: skip
    many.reset(seed=0)
    for _ in range(7):
        many.step(np.zeros(3, int))
        assert many.unwrapped.layouts == (layout,) * 3
    assert gym.make(TASKS[task].id, layout=layout).unwrapped.levels == (layout.level,) * 2


def test_a_layout_travels_in_the_specification_as_json() -> None:
    env = gym.make("VSP/Maze-v0", layout=board("maze"))
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    again.reset()
    assert again.unwrapped.layout == board("maze")


def test_a_layout_that_does_not_fit_is_refused() -> None:
    with pytest.raises(LayoutError, match="must be square"):
        gym.make("VSP/FrozenLake-v0", layout={"map": ["SFF", "FFG"]})
    with pytest.raises(ValueError, match="plays maze up to level 3, got a layout of frozenlake"):
        gym.make("VSP/Maze-v0", layout=PLAIN, level=3)
    with pytest.raises(ValueError, match="plays frozenlake up to level 3, got a layout"):
        gym.make("VSP/FrozenLake-v0", layout=PLAIN, level=3)


def arrivals(slip: float, action: int) -> dict[int, float]:
    """Share of cells that a move from the middle of a 5×5 lake leads to."""
    env = PlanningEnv(
        "frozenlake", layout=lake("FFFFF FFFFF FFSFF FFFFF FFFFG"), slip=slip,
        observation="symbolic",
    )  # fmt: skip
    env.reset(seed=1)
    found: dict[int, float] = {}
    for _ in range(MOVES):
        env.step(action)
        found[env.state] = found.get(env.state, 0) + 1 / MOVES
        env.reset()
    return found


@pytest.mark.parametrize("action", range(4))
def test_a_move_slips_to_either_side_as_gymnasiums_does(action: int) -> None:
    middle, to = 12, [11, 17, 13, 7]
    found = arrivals(2 / 3, action)
    left, right = to[(action + 1) % 4], to[(action - 1) % 4]
    assert found.keys() == {to[action], left, right} and middle not in found
    for share in found.values():
        assert abs(share - 1 / 3) < 4 * np.sqrt(2 / 9 / MOVES)  # four standard errors


def test_nothing_slips_unless_asked_for_and_always_at_one() -> None:
    assert arrivals(0, 2) == {13: pytest.approx(1)}
    assert arrivals(1, 2).keys() == {7, 17}


@every_task
def test_slipping_changes_no_layout_and_repeats_with_the_seed(task: str) -> None:
    def run(slip: float) -> tuple[list[str], list[Any]]:
        env = gym.make(TASKS[task].id, slip=slip, observation="symbolic")
        layouts, states = [], []
        for seed in (5, None, None):
            layouts.append(env.reset(seed=seed)[1]["layout_id"])
            for action in [0, 1, 2, 3] * 3:
                if env.step(action)[2]:
                    break
                states.append(env.unwrapped.state)
        return layouts, states

    assert run(0.5) == run(0.5) and run(0.5)[1] != run(0.0)[1]
    assert run(0.5)[0] == run(0.0)[0]


@every_task
@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_the_vector_environment_slips_as_the_scalar_ones_do(task: str, mode: str) -> None:
    arguments = {"slip": 0.4, "observation": "symbolic", "max_episode_steps": 9}
    many = gym.make_vec(TASKS[task].id, 4, autoreset_mode=mode, **arguments)
    scalar = gym.vector.SyncVectorEnv(
        [lambda: gym.make(TASKS[task].id, **arguments)] * 4, autoreset_mode=AutoresetMode(mode)
    )
    many.reset(seed=7), scalar.reset(seed=7)
    rng = np.random.default_rng(0)
    for _ in range(60):
        actions = rng.integers(0, len(TASKS[task].actions), 4)
        ours, theirs = many.step(actions), scalar.step(actions)
        assert all(np.array_equal(ours[0][name], theirs[0][name]) for name in ours[0])
        assert all(np.array_equal(a, b) for a, b in zip(ours[1:4], theirs[1:4], strict=True))


def test_a_copied_environment_slips_alike() -> None:
    env = gym.make("VSP/FrozenLake-v0", layout=PLAIN, slip=0.5, observation="symbolic")
    env.reset(seed=0)
    twin = copy.deepcopy(env)
    for action in [1, 2] * 5:
        assert env.step(action)[0]["agent"].tolist() == twin.step(action)[0]["agent"].tolist()


def test_what_cannot_be_with_slips_is_refused_by_name() -> None:
    env = gym.make("VSP/FrozenLake-v0", slip=0.1)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"with slip=0\.1 no plan is sure to succeed"):
        env.unwrapped.optimal_plan()
    with pytest.raises(ValueError, match=r"slip is a probability, 0 to 1, got 1\.5"):
        gym.make("VSP/FrozenLake-v0", slip=1.5)
    with pytest.raises(ValueError, match='slip needs illegal="stay"'):
        gym.make("VSP/FrozenLake-v0", slip=0.1, illegal="fail")


def test_a_step_costs_what_it_is_said_to() -> None:
    env = StepCost(gym.make("VSP/FrozenLake-v0", layout=lake("SF FG")), cost=0.25)
    env.reset()
    assert [env.step(action)[1] for action in (0, 1, 2)] == [-0.25, -0.25, 0.75]
    assert gym.make(env.spec.to_json() and env.spec).get_wrapper_attr("cost") == 0.25


@every_task
def test_infos_are_numbers_on_request(task: str) -> None:
    layout = board(task)
    many = gym.make_vec(
        TASKS[task].id, 2, layout=layout, infos="numbers", observation="symbolic",
    )  # fmt: skip
    words = gym.make_vec(TASKS[task].id, 2, layout=layout, observation="symbolic")
    kept = many.reset(seed=0)[1]
    assert {"is_success", "outcome", "action_mask", "steps", "_steps", "_outcome"} <= kept.keys()
    words.reset(seed=0)
    for action in range(len(TASKS[task].actions)):
        kept, said = (each.step(np.full(2, action))[4] for each in (many, words))
        assert all(part.dtype != object for part in kept.values())
        assert "layout_id" not in kept and "_layout_id" not in kept
        assert [Outcome(each).name.lower() for each in kept["outcome"]] == said["outcome"].tolist()
    with pytest.raises(ValueError, match="infos is True, False or 'numbers', got 'words'"):
        gym.make_vec(TASKS[task].id, 2, infos="words")


@pytest.mark.parametrize("infos", ["numbers", False])
def test_gymnasiums_tensors_of_the_vector_environment(infos: Any) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("array_api_compat")
    from gymnasium.wrappers.vector import NumpyToTorch

    many = NumpyToTorch(gym.make_vec("VSP/Maze-v0", 2, infos=infos, max_episode_steps=3))
    observation, info = many.reset(seed=0)
    assert isinstance(observation["image"], torch.Tensor)
    for _ in range(5):
        observation, reward, *_, info = many.step(torch.tensor([0, 1]))
    assert reward.tolist() == [0, 0] and bool(info) == bool(infos)
    assert all(isinstance(each, torch.Tensor) for each in info.values())
