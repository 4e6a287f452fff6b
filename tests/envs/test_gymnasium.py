"""What Gymnasium's own tools ask of an environment beyond its checker."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode

from vsp_envs import TASKS, PlanningEnv, PlanningVectorEnv, canonical_id, shortest_plan

every_task = pytest.mark.parametrize("task", TASKS)
COLLECTIONS: dict[str, Callable[[list[str]], Any]] = {
    "list": list, "tuple": tuple, "set": set, "frozenset": frozenset, "keys": dict.fromkeys,
}  # fmt: skip


def vector(task: str = "maze", count: int = 3, **wishes: Any) -> Any:
    return gym.make_vec(
        TASKS[task].id, count, vectorization_mode="vector_entry_point", image_size=64, **wishes
    )


def sync(task: str, mode: AutoresetMode, **wishes: Any) -> Any:
    return gym.make_vec(TASKS[task].id, 3, vectorization_mode="sync", image_size=64,
                        vector_kwargs={"autoreset_mode": mode}, **wishes)  # fmt: skip


@every_task
@pytest.mark.parametrize("kind", COLLECTIONS)
def test_hashes_to_leave_out_come_in_any_collection_and_the_spec_is_json(
    task: str, kind: str
) -> None:
    env: Any = gym.make(TASKS[task].id, level=5)
    env.reset(seed=0)
    hashes = [canonical_id(env.unwrapped.layout), "0" * 16]
    made: Any = gym.make(TASKS[task].id, level=5, exclude=COLLECTIONS[kind](hashes))
    text = made.spec.to_json()
    again: Any = gym.make(EnvSpec.from_json(text))
    for each in (made, again):
        each.reset(seed=0)
        assert canonical_id(each.unwrapped.layout) != hashes[0]
    assert sorted(json.loads(text)["kwargs"]["exclude"]) == sorted(hashes)
    batch = vector(task, level=5, exclude=COLLECTIONS[kind](hashes))
    assert sorted(json.loads(batch.spec.to_json())["kwargs"]["exclude"]) == sorted(hashes)


def test_a_file_of_hashes_stands_in_the_spec_as_its_path(tmp_path: Path) -> None:
    file = tmp_path / "hashes.txt"
    file.write_text("0" * 16)
    env = gym.make("VSP/Maze-v0", exclude=file)
    assert env.spec and json.loads(env.spec.to_json())["kwargs"]["exclude"] == str(file)
    with pytest.raises(FileNotFoundError):
        gym.make("VSP/Maze-v0", exclude="0" * 16)


@pytest.mark.parametrize("level", [np.int64(3), (np.int64(3), np.int64(4)), [3, np.int8(4)]])
def test_the_spec_is_json_with_numbers_of_numpy_too(level: Any) -> None:
    made = gym.make("VSP/Maze-v0", level=level, min_plan=np.int64(2), image_size=np.int32(64))
    assert made.spec
    again = gym.make(EnvSpec.from_json(made.spec.to_json()))
    assert made.observation_space == again.observation_space
    batch = gym.make_vec("VSP/Maze-v0", np.int64(2), level=level)
    assert batch.spec and EnvSpec.from_json(batch.spec.to_json())


@pytest.mark.parametrize("way", [deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_before_the_first_reset_everything_says_that_one_is_needed(way: Any) -> None:
    one = way(PlanningEnv("maze", render_mode="rgb_array"))
    many = way(PlanningVectorEnv(2, "maze", render_mode="rgb_array"))
    calls: list[Callable[[], Any]] = [
        lambda: one.step(0), lambda: one.render(), lambda: one.layout, lambda: one.state,
        lambda: one.action_masks(), lambda: one.optimal_plan(), lambda: one.symbolic(),
        lambda: many.step([0, 0]), lambda: many.render(), lambda: many.layouts,
        lambda: many.action_masks(), lambda: many.call("optimal_plan"),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(ResetNeeded, match=r"call reset\(\) first"):
            call()
    one.reset()
    many.reset()
    for call in calls:
        call()


@every_task
def test_action_masks_are_those_of_the_infos(task: str) -> None:
    one: Any = gym.make(TASKS[task].id, image_size=64)
    many = vector(task, count=1)
    info, infos = one.reset(seed=0)[1], many.reset(seed=0)[1]
    for action in one.unwrapped.optimal_plan():
        mask = one.unwrapped.action_masks()
        assert mask.dtype == bool and mask.tolist() == info["action_mask"].astype(bool).tolist()
        assert many.action_masks().tolist() == infos["action_mask"].astype(bool).tolist()
        info, infos = one.step(action)[-1], many.step([action])[-1]


@pytest.mark.parametrize("actions", [[1.7, 0, 0], ["2", "0", "0"], [None, 0, 0], [0, 0], [0, 0, 9]])
def test_a_batch_of_actions_that_are_no_whole_numbers_is_refused(actions: list[Any]) -> None:
    env = vector()
    env.reset(seed=0)
    with pytest.raises(ValueError, match="actions are 3 numbers of 0 to 3"):
        env.step(actions)


def test_the_frames_of_a_second_are_the_same_for_one_and_for_many() -> None:
    assert vector().metadata["render_fps"] == PlanningEnv.metadata["render_fps"] == 4


@every_task
@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP], ids=str)
@pytest.mark.parametrize("drawn", ["rgb_array_list", "ansi_list"])
def test_frames_are_collected_as_the_sync_vector_env_collects_them(
    task: str, mode: AutoresetMode, drawn: str
) -> None:
    wishes: dict[str, Any] = {"render_mode": drawn, "max_episode_steps": 3, "level": 5}
    ours, theirs = vector(task, autoreset_mode=mode, **wishes), sync(task, mode, **wishes)
    for env in (ours, theirs):
        env.reset(seed=0)
    for step in range(8):
        for env in (ours, theirs):
            env.step(np.array([0, 1, 2]))
        if step in (1, 2, 6, 7):
            frames = [env.render() for env in (ours, theirs)]
            assert [len(each) for each in frames[0]] == [len(each) for each in frames[1]]
            for one, other in zip(*frames, strict=True):
                assert all(np.array_equal(*pair) for pair in zip(one, other, strict=True))


@every_task
def test_call_gives_what_the_sync_vector_env_would(task: str) -> None:
    ours, theirs = vector(task, level=5), sync(task, AutoresetMode.NEXT_STEP, level=5)
    for env in (ours, theirs):
        env.reset(seed=0)
        env.step(np.array([0, 1, 2]))
    for name in ("layout", "state", "optimal_plan", "task", "action_space", "observation_space"):
        assert ours.call(name) == theirs.call(name), name
        assert ours.get_attr(name) == ours.call(name) or name == "optimal_plan"
    assert np.array_equal(ours.call("action_masks"), theirs.call("action_masks"))
    assert ours.call("optimal_plan") == tuple(map(shortest_plan, ours.layouts))
    assert ours.call("render") == (None,) * 3
    with pytest.raises(AttributeError, match=r"'layuot' of .*Did you mean 'layout'\?"):
        ours.call("layuot")
    with pytest.raises(TypeError, match="takes no further arguments"):
        ours.call("render", 3)


def test_attributes_of_the_users_own_are_kept_and_ours_are_not_overwritten() -> None:
    env = vector()
    env.reset(seed=0)
    env.set_attr("difficulty", 2)
    assert env.get_attr("difficulty") == (2, 2, 2)
    env.set_attr("name", ["a", "b", "c"])
    assert env.call("name") == ("a", "b", "c")
    with pytest.raises(ValueError, match="2 values of 'name' for 3 environments"):
        env.set_attr("name", ["a", "b"])
    with pytest.raises(AttributeError, match=r"'layout' cannot be set; .*reset\(options="):
        env.set_attr("layout", [1, 2, 3])


@pytest.mark.parametrize("make", [gym.make, gym.make_vec])
@pytest.mark.parametrize(
    "name",
    ["level", "max_level", "image_size", "theme", "split", "frozen_prob", "min_plan", "illegal",
     "observation", "difficulty", "plan_length", "exclude", "layout", "slip", "min_distance"],
)  # fmt: skip
@pytest.mark.parametrize("value", [-1, float("nan"), b"x"])
def test_a_value_of_the_wrong_kind_is_refused(
    make: Callable[..., Any], name: str, value: Any
) -> None:
    with pytest.raises(ValueError) as said:
        make("VSP/FrozenLake-v0", **{name: value})
    assert name.removeprefix("max_")[:7] in str(said.value)


@pytest.mark.parametrize("value", ["0.5", True, None])
@pytest.mark.parametrize("name", ["frozen_prob", "slip", "min_plan", "min_distance"])
def test_numbers_are_not_read_out_of_words(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"{name} is a .*, got {value!r}"):
        gym.make("VSP/FrozenLake-v0", **{name: value})
