"""The vector environment against Gymnasium's SyncVectorEnv over the scalar one, entry by entry."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, VectorEnv

from vsp_envs import TASKS, LayoutSpec, draw_distinct, layout_id
from vsp_envs.envs.vector_env import PlanningVectorEnv

every_task = pytest.mark.parametrize("task", TASKS)
MODES = [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP]
WISHES: list[dict[str, Any]] = [
    {"observation": "symbolic", "level": 5},
    {"observation": "symbolic", "level": (5, 7), "max_level": 8, "split": "test"},
    {"image_size": 64, "level": (5, 6), "theme": "random"},
    {"observation": "image", "image_size": 70, "level": 5, "illegal": "fail"},
]


def vector(task: str, count: int, **wishes: Any) -> PlanningVectorEnv:
    made = gym.make_vec(TASKS[task].id, count, vectorization_mode="vector_entry_point", **wishes)
    assert isinstance(made, PlanningVectorEnv)
    return made


def sync(task: str, count: int, mode: AutoresetMode, **wishes: Any) -> VectorEnv:
    return gym.make_vec(
        TASKS[task].id, count, vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": mode}, **wishes,
    )  # fmt: skip


def same(left: Any, right: Any, path: str = "") -> None:
    """Raise unless all is equal: keys, types, shapes, dtypes and entries."""
    if isinstance(left, dict):
        assert left.keys() == right.keys(), path
        for key in left:
            same(left[key], right[key], f"{path}/{key}")
    elif isinstance(left, tuple) or (isinstance(left, np.ndarray) and left.dtype == object):
        for i, (one, other) in enumerate(zip(left, right, strict=True)):
            same(one, other, f"{path}[{i}]")
    else:
        assert type(left) is type(right), (path, left, right)
        assert getattr(left, "dtype", None) == getattr(right, "dtype", None), path
        assert np.array_equal(left, right), (path, left, right)


@every_task
@pytest.mark.parametrize("spec", WISHES, ids=str)
@pytest.mark.parametrize("mode", MODES, ids=str)
def test_it_returns_what_gymnasiums_sync_vector_env_would(
    task: str, spec: dict[str, Any], mode: AutoresetMode
) -> None:
    spec = {**spec, "max_episode_steps": 9}
    ours, theirs = vector(task, 5, autoreset_mode=mode, **spec), sync(task, 5, mode, **spec)
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    same(ours.reset(seed=3), theirs.reset(seed=3), "reset")
    draw = np.random.default_rng(0)
    for step in range(60):
        actions = draw.integers(len(TASKS[task].actions), size=5)
        result = ours.step(actions)
        assert result[0] in ours.observation_space
        same(result, theirs.step(actions), f"step {step}")
    seeds = [7, None, 8, None, None]
    same(ours.reset(seed=seeds), theirs.reset(seed=seeds), "reset again")
    same(ours.step(actions), theirs.step(actions), "after the reset")


@every_task
def test_reset_options_and_masks_are_those_of_the_sync_vector_env(task: str) -> None:
    ours, theirs = (
        make(task, 4, level=(5, 6), image_size=64)
        for make in (vector, lambda *a, **k: sync(*a, AutoresetMode.NEXT_STEP, **k))
    )
    layout = draw_distinct(LayoutSpec(task, 5), 1, 0)[0]
    for options in ({}, {"level": 6}, {"layout": layout}, {"level": 5}):
        same(ours.reset(options=dict(options), seed=1), theirs.reset(options=options, seed=1))
    actions = np.zeros(4, int)
    for _ in range(3):
        same(ours.step(actions), theirs.step(actions))
    options = {"reset_mask": np.array([True, False, True, False])}
    same(ours.reset(options=dict(options)), theirs.reset(options=options), "masked")
    same(ours.step(actions), theirs.step(actions), "after the mask")


def test_a_seed_may_be_a_number_of_numpy_and_a_list_must_fit() -> None:
    one, two = (vector("maze", 3, observation="symbolic") for _ in range(2))
    same(one.reset(seed=4), two.reset(seed=np.int64(4)))
    with pytest.raises(ValueError, match="2 seeds for 3 environments"):
        one.reset(seed=[1, 2])
    with pytest.raises(ValueError, match="the first reset is of all environments"):
        vector("maze", 2).reset(options={"reset_mask": np.array([True, False])})


def test_with_a_pool_a_masked_reset_with_a_seed_leaves_the_other_boards_alone() -> None:
    env = vector("maze", 3, level=4, observation="symbolic", pool=9)
    env.reset(seed=0)
    before = env.layouts
    env.reset(seed=5, options={"reset_mask": np.array([True, False, False])})
    assert env.layouts[1:] == before[1:] and env.layouts[0] != before[0]


@every_task
def test_infos_can_be_left_out(task: str) -> None:
    env = vector(task, 2, level=5, observation="symbolic", infos=False, max_episode_steps=1,
                 autoreset_mode="SameStep")  # fmt: skip
    assert env.reset(seed=0)[1] == {}
    with_infos = vector(task, 2, level=5, observation="symbolic", max_episode_steps=1,
                        autoreset_mode="SameStep")  # fmt: skip
    with_infos.reset(seed=0)
    one, two = env.step(np.ones(2, int)), with_infos.step(np.ones(2, int))
    same(one[:4], two[:4])
    same(one[4]["final_obs"], two[4]["final_obs"])


@every_task
def test_mode_disabled_leaves_resets_to_the_caller(task: str) -> None:
    env = vector(task, 2, autoreset_mode="Disabled", max_episode_steps=1, image_size=64)
    env.reset(seed=0)
    env.step(np.zeros(2, int))
    with pytest.raises(ValueError, match="have ended; reset them first"):
        env.step(np.zeros(2, int))
    env.reset(options={"reset_mask": np.array([True, True])})
    env.step(np.zeros(2, int))


@every_task
def test_with_copy_false_the_arrays_are_the_same_ones_at_every_step(task: str) -> None:
    for copied in (True, False):
        env = vector(task, 2, observation="image", image_size=64, copy=copied)
        first = env.reset(seed=0)[0]
        assert np.shares_memory(first, env.step(np.zeros(2, int))[0]) is not copied


@every_task
def test_with_copy_false_the_arrays_hold_what_copies_would(task: str) -> None:
    ours, theirs = (vector(task, 3, image_size=64, max_episode_steps=5, copy=copied)
                    for copied in (False, True))  # fmt: skip
    first = ours.reset(seed=1)[0]["symbolic"]
    theirs.reset(seed=1)
    draw = np.random.default_rng(0)
    for _ in range(30):
        actions = draw.integers(len(TASKS[task].actions), size=3)
        shown = ours.step(actions)[0]
        same(shown, theirs.step(actions)[0])
        assert all(shown["symbolic"][name] is part for name, part in first.items())


@every_task
def test_no_two_results_share_memory(task: str) -> None:
    env = vector(task, 2, image_size=64)
    one, two = env.reset(seed=0), env.step(np.zeros(2, int))
    arrays = [
        [*obs["symbolic"].values(), obs["image"], *(a for a in info.values() if a.dtype != object)]
        for obs, info in ((one[0], one[1]), (two[0], two[4]))
    ]
    assert not any(np.shares_memory(a, b) for a in arrays[0] for b in arrays[1])


@every_task
def test_a_pool_deals_every_layout_once_before_any_again(task: str) -> None:
    env = vector(task, 8, level=5, observation="symbolic", pool=64, max_episode_steps=1,
                 autoreset_mode="SameStep")  # fmt: skip
    dealt = [*env.reset(seed=0)[1]["layout_id"]]
    for _ in range(15):
        dealt += [*env.step(np.zeros(8, int))[4]["layout_id"]]
    assert len(set(dealt[:64])) == len(set(dealt[64:])) == len(set(dealt)) == 64
    assert dealt[:64] != dealt[64:]
    again = vector(task, 8, level=5, observation="symbolic", pool=64)
    assert [*again.reset(seed=0)[1]["layout_id"]] == dealt[:8]


@every_task
def test_a_pool_is_drawn_anew_after_its_rounds_and_no_board_in_play_is_touched(task: str) -> None:
    env = vector(task, 8, level=5, observation="symbolic", pool=16, pool_rounds=2,
                 max_episode_steps=1, autoreset_mode="SameStep")  # fmt: skip
    dealt = [*env.reset(seed=0)[1]["layout_id"]]
    for _ in range(23):
        playing = env.layouts
        info = env.step(np.zeros(8, int))[4]
        dealt += [*info["layout_id"]]
        ended = info["final_info"]["layout_id"].tolist()
        assert ended == [layout_id(layout) for layout in playing]
    rounds = [set(dealt[first : first + 16]) for first in range(0, len(dealt), 16)]
    assert all(len(each) == 16 for each in rounds)
    for first in range(0, 12, 2):
        assert rounds[first] == rounds[first + 1]
        assert first == 0 or len(rounds[first] & rounds[first - 1]) < 8
    assert len(env._state.store.level) <= 64  # the rows of old pools are used again


def test_a_pool_keeps_no_layout_that_was_asked_for_once_it_is_played() -> None:
    env = vector("maze", 2, level=4, observation="symbolic", pool=6, pool_rounds=1)
    [asked] = draw_distinct(LayoutSpec("maze", 4), 1, seed=9)
    for turn in range(50):
        env.reset(seed=turn if turn % 10 == 0 else None)
        env.reset(options={"layout": asked})
        one = {"reset_mask": np.array([True, False])}
        env.reset(options=one)
        assert env.layouts[1] == asked
        env.reset(options=one | {"layout": asked})
        assert env.layouts == (asked, asked)
    assert len(env._state.store.level) <= 24


def test_a_pool_is_no_larger_than_the_space_and_spans_the_levels() -> None:
    env = vector("minibehaviour", 2, level=(3, 4), observation="symbolic", pool=100)
    env.reset(seed=0)
    levels = [layout.level for _ in range(62 // 2) for layout in next_layouts(env)]
    assert {3: levels.count(3), 4: levels.count(4)} == {3: 12, 4: 50}


def next_layouts(env: PlanningVectorEnv) -> Any:
    layouts = env.layouts
    env.reset()
    return layouts


@every_task
@pytest.mark.parametrize("way", ["deepcopy", "pickle"])
def test_a_copied_or_pickled_vector_env_plays_on_as_the_original_would(task: str, way: str) -> None:
    env = vector(task, 3, image_size=64, max_episode_steps=4)
    env.reset(seed=8)
    twin = copy.deepcopy(env) if way == "deepcopy" else pickle.loads(pickle.dumps(env))
    for _ in range(12):
        same(env.step(np.ones(3, int)), twin.step(np.ones(3, int)))


@every_task
def test_render_shows_every_board(task: str) -> None:
    env = vector(task, 2, image_size=64, render_mode="rgb_array", observation="both")
    observation, _ = env.reset(seed=0)
    same(np.stack(env.render() or ()), observation["image"])
    plain = vector(task, 2, image_size=64, render_mode="rgb_array", observation="symbolic")
    plain.reset(seed=0)
    same(plain.render(), env.render())
    same(plain.step(np.ones(2, int))[1], env.step(np.ones(2, int))[1])
    same(plain.render(), env.render())
    text = vector(task, 2, render_mode="ansi")
    text.reset(seed=0)
    assert all(str(each.cell(TASKS[task].landmarks[0])) in shown
               for each, shown in zip(text.layouts, text.render() or (), strict=True))  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"pool": 0}, "pool is the number of layouts, at least 1, got 0"),
        ({"pool_rounds": 2}, "pool_rounds is at least 1 and needs a pool, got 2"),
        ({"render_mode": "human"}, "'human' shows one environment"),
        ({"theme": "clasic"}, "Did you mean 'classic'"),
    ],
)
def test_a_mistake_gives_one_line_with_the_way_out(spec: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        PlanningVectorEnv(2, "maze", **spec)


def test_actions_out_of_range_are_refused() -> None:
    env = vector("maze", 2, level=3, observation="symbolic")
    env.reset(seed=0)
    for actions in ([0, 4], [-1, 0], [0]):
        with pytest.raises(ValueError, match="actions are 2 numbers of 0 to 3"):
            env.step(np.array(actions))


@pytest.mark.parametrize(
    ("count", "wishes", "message"),
    [
        (0, {}, "num_envs is at least 1, got 0"),
        (2, {"pol": 64}, "unexpected keyword argument 'pol'; .*infos. Did you mean 'pool'?"),
    ],
)
def test_a_mistake_in_an_argument_is_named(
    count: int, wishes: dict[str, Any], message: str
) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        vector("maze", count, **wishes)


@every_task
def test_async_plays_the_same_episodes(task: str) -> None:
    ours = vector(task, 2, image_size=64)
    theirs = gym.make_vec(TASKS[task].id, 2, vectorization_mode="async", image_size=64,
                          vector_kwargs={"context": "fork"})  # fmt: skip
    try:
        same(ours.reset(seed=1), theirs.reset(seed=1))
        same(ours.step(np.ones(2, int)), theirs.step(np.ones(2, int)))
    finally:
        theirs.close()
