"""What every task and every environment promises; a new task is tested by being there."""

from __future__ import annotations

import copy
import itertools
import pickle
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from vsp_envs import (
    TASKS,
    Action,
    Layout,
    LayoutSpec,
    Outcome,
    PlanningEnv,
    draw_distinct,
    format_answer,
    get_task,
    load_layout,
    render,  # fmt: skip
    score_reply,
    shortest_plan,
    simulate,  # fmt: skip
    split_of,
)  # fmt: skip
from vsp_envs.core.layout import canonical_id
from vsp_envs.core.simulator import RULE_SETS, layout_in
from vsp_envs.core.solver import SolvedLayout, optimal_actions, solve_layout
from vsp_envs.scoring.describe import describe, symbolic_state
from vsp_envs.utils.choices import pick_name
from vsp_envs.utils.words import counted

every_task = pytest.mark.parametrize("task", TASKS)
ENV_OPTIONS: list[dict[str, Any]] = [
    {},
    {"observation": "image", "image_size": 64},
    {"observation": "symbolic", "max_level": 8},
    {"observation": "both", "level": (5, 6), "image_size": 100},
    {"illegal": "fail", "image_size": 64, "render_mode": "rgb_array"},
    {"split": "test", "level": 5, "image_size": 64, "render_mode": "ansi"},
    {"theme": "random", "image_size": 64, "render_mode": "human"},
]
CROSSED: dict[str, list[Any]] = {
    "observation": ["both", "image", "symbolic"],
    "level": [5, (5, 6)],
    "max_level": [None, 8],
    "illegal": ["stay", "fail"],
    "theme": ["classic", "random"],
    "render_mode": [None, "rgb_array"],
}


@pytest.fixture(autouse=True)
def hurried_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PlanningEnv.metadata, "render_fps", 1000)


def make(task: str, **options: Any) -> PlanningEnv:
    env = gym.make(get_task(task).id, **options).unwrapped
    assert isinstance(env, PlanningEnv)
    return env


def small(task: str) -> int:
    return get_task(task).paper_levels[0]


def layouts(task: str, count: int, level: int | None = None, **spec: Any) -> list[Layout]:
    return draw_distinct(LayoutSpec(task, level or small(task), **spec), count, seed=7)


def play_randomly(env: PlanningEnv, seed: int, steps: int = 30) -> Iterator[tuple[Any, Any]]:
    """Observation and info of a reset and of random steps, resetting after each end."""
    yield env.reset(seed=seed)
    actions = np.random.default_rng(seed)
    for _ in range(steps):
        observation, _, terminated, _, info = env.step(int(actions.integers(env.action_space.n)))
        yield observation, info
        if terminated:
            yield env.reset()


def arrays(value: Any) -> list[np.ndarray]:
    if isinstance(value, dict):
        return [array for each in value.values() for array in arrays(each)]
    return [value] if isinstance(value, np.ndarray) else []


def same(left: Any, right: Any) -> bool:
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return type(left) is type(right) and np.array_equal(left, right)


def reachable(layout: Layout) -> list[int]:
    """States in which play can stand and go on."""
    machine = solve_layout(layout)
    found = [machine.start]
    for state in found:
        for action, outcome in enumerate(machine.outcome[state]):
            after = machine.next_state[state][action]
            if outcome == Outcome.RUNNING and after not in found:
                found.append(after)
    return found


def refused_at_the_start(layout: Layout) -> Action:
    machine = solve_layout(layout)
    actions = get_task(layout.task).actions
    return next(a for a in actions if machine.outcome[machine.start][a] == Outcome.ILLEGAL)


# The Gymnasium contract


def pairs(values: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Each two of the values, with the places where they stand."""
    return itertools.combinations(enumerate(values), 2)


@every_task
@pytest.mark.slow
@pytest.mark.parametrize("options", ENV_OPTIONS, ids=str)
def test_gymnasiums_checker_is_content(task: str, options: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(make(task, **options))


@every_task
def test_gymnasiums_checker_is_content_with_every_pair_of_arguments(task: str) -> None:
    mixtures = [*itertools.product(*CROSSED.values())]
    some = mixtures[::7]
    assert {*itertools.chain(*map(pairs, some))} == {*itertools.chain(*map(pairs, mixtures))}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for values in some:
            arguments = dict(zip(CROSSED, values, strict=True))
            env = make(task, image_size=64, **arguments)
            check_env(env, skip_render_check=True)


@every_task
def test_gymnasium_collects_the_frames_of_an_episode(task: str) -> None:
    env = gym.make(get_task(task).id, render_mode="rgb_array_list", image_size=64)
    env.reset(seed=0)
    env.step(0)
    frames = env.render()
    assert isinstance(frames, list) and [frame.shape for frame in frames] == [(64, 64, 3)] * 2


def test_every_id_can_be_made_by_module_in_a_fresh_process() -> None:
    code = "import gymnasium as g, sys; [g.make(f'vsp_envs:{i}').reset() for i in sys.argv[1:]]"
    ids = [each.id for each in TASKS.values()]
    assert "VSP/Maze-v0" in ids
    subprocess.run([sys.executable, "-W", "error", "-c", code, *ids], check=True)


@every_task
@pytest.mark.parametrize("options", ENV_OPTIONS, ids=str)
def test_every_observation_lies_in_the_space(task: str, options: dict[str, Any]) -> None:
    env = make(task, **options)
    for observation, _ in play_randomly(env, seed=1):
        assert observation in env.observation_space


@every_task
def test_every_observation_shows_the_state_of_play(task: str) -> None:
    env = make(task, image_size=64, max_level=8)
    for observation, _ in play_randomly(env, seed=1):
        image = render(env.layout, 64, "classic", env.state)
        assert np.array_equal(observation["image"], image)
        assert same(observation["symbolic"], symbolic_state(env.layout, env.state, 8))
        agent = observation["symbolic"]["agent"].tolist()
        assert agent == list(divmod(env.state % env.layout.level**2, env.layout.level))


@every_task
def test_no_two_observations_or_infos_share_memory(task: str) -> None:
    env = make(task, image_size=64)
    seen = [arrays(observation) + arrays(info) for observation, info in play_randomly(env, 2, 12)]
    assert all(seen)
    for i, earlier in enumerate(seen):
        for later in seen[i + 1 :]:
            assert not any(np.shares_memory(a, b) for a in earlier for b in later)


@every_task
def test_writing_into_an_observation_changes_nothing_else(task: str) -> None:
    env = make(task, image_size=64)
    first, info = env.reset(seed=3)
    kept = copy.deepcopy((first, info))
    for array in arrays(first) + arrays(info):
        array[...] = 0
    assert same(env.reset(options={"layout": env.layout})[0], kept[0])


INFO_TYPES = {
    "is_success": bool,
    "outcome": str,
    "illegal_reason": str,
    "action_mask": np.ndarray,
    "steps": int,
    "optimal_length": int,
    "distance_to_goal": int,
    "layout_id": str,
}


@every_task
@pytest.mark.parametrize("illegal", ["stay", "fail"])
def test_info_has_the_same_keys_and_types_at_reset_and_step(task: str, illegal: str) -> None:
    env = make(task, image_size=64, illegal=illegal)
    for _, info in play_randomly(env, seed=4):
        assert {name: type(value) for name, value in info.items()} == INFO_TYPES
        assert info["action_mask"].shape == (env.action_space.n,)
        assert info["action_mask"].dtype == np.int8
        assert info["outcome"] in ("running", "success", "failure", "illegal")
        assert (info["illegal_reason"] != "") == (info["outcome"] == "illegal")


@every_task
def test_a_sample_under_the_action_mask_is_never_refused(task: str) -> None:
    env = make(task, image_size=64)
    env.action_space.seed(0)
    _, info = env.reset(seed=5)
    for _ in range(30):
        action = env.action_space.sample(mask=info["action_mask"])
        _, _, terminated, _, info = env.step(action)
        assert info["outcome"] != "illegal"
        if terminated:
            assert not info["action_mask"].any()
            _, info = env.reset()


@every_task
def test_equal_seeds_give_equal_episodes_and_other_seeds_others(task: str) -> None:
    one = list(play_randomly(make(task, image_size=64), seed=6))
    two = list(play_randomly(make(task, image_size=64), seed=6))
    assert all(
        same(a, b) for pair in zip(one, two, strict=True) for a, b in zip(*pair, strict=True)
    )
    env = make(task, image_size=64)
    assert len({env.reset(seed=seed)[1]["layout_id"] for seed in range(8)}) > 1


@every_task
@pytest.mark.parametrize("way", ["deepcopy", "pickle"])
def test_a_copied_or_pickled_env_plays_on_as_the_original_would(task: str, way: str) -> None:
    env = make(task, image_size=64, min_plan=4)
    env.reset(seed=8)
    env.step(env.optimal_plan()[0])
    twin = copy.deepcopy(env) if way == "deepcopy" else pickle.loads(pickle.dumps(env))
    assert same(env.step(1)[0], twin.step(1)[0])
    assert same(env.reset()[0], twin.reset()[0])  # the generators of layouts stand at one place


@every_task
def test_a_time_limit_truncates_and_does_not_terminate(task: str) -> None:
    env = gym.make(get_task(task).id, max_episode_steps=3, image_size=64)
    layout = layouts(task, 1, min_plan=5)[0]
    env.reset(options={"layout": layout})
    ends = [env.step(refused_at_the_start(layout))[2:4] for _ in range(3)]
    assert ends == [(False, False), (False, False), (False, True)]


@every_task
def test_every_id_has_a_time_limit_far_beyond_a_shortest_plan(task: str) -> None:
    limit = gym.spec(get_task(task).id).max_episode_steps
    longest = max(len(shortest_plan(each) or []) for each in layouts(task, 50))
    assert limit is not None and limit > 4 * longest


@every_task
def test_the_reward_is_one_at_success_and_zero_at_every_other_step(task: str) -> None:
    env = make(task, image_size=64)
    env.reset(seed=9)
    rewards = [env.step(action)[1] for action in env.optimal_plan()]
    assert rewards == [0.0] * (len(rewards) - 1) + [1.0]


@every_task
def test_after_the_end_nothing_moves_and_no_reward_is_paid_again(task: str) -> None:
    env = make(task, image_size=64)
    env.reset(seed=9)
    for action in env.optimal_plan():
        last = env.step(action)
    with pytest.warns(UserWarning, match="call reset"):
        observation, reward, terminated, truncated, info = env.step(0)
    assert same(observation, last[0]) and same(info, last[4])
    assert (reward, terminated, truncated) == (0.0, True, False)


@every_task
def test_illegal_fail_ends_the_episode_at_the_first_refused_action(task: str) -> None:
    layout = layouts(task, 1, min_plan=3)[0]
    refused = refused_at_the_start(layout)
    for illegal, ends in (("stay", False), ("fail", True)):
        env = make(task, illegal=illegal, image_size=64)
        before, _ = env.reset(options={"layout": layout})
        after, reward, terminated, _, info = env.step(refused)
        assert (reward, terminated, info["outcome"]) == (0.0, ends, "illegal")
        assert same(before, after)


@every_task
def test_render_modes(task: str) -> None:
    env = make(task, render_mode="rgb_array", image_size=64)
    observation, _ = env.reset(seed=1)
    assert np.array_equal(env.render(), observation["image"])
    env = make(task, render_mode="ansi")
    env.reset(seed=1)
    assert str(env.layout.cell(env.task.landmarks[0])) in env.render()


# Wishes and mistakes


@every_task
def test_a_plan_length_is_drawn_exactly(task: str) -> None:
    env = make(task, level=5, plan_length=6, observation="symbolic")
    assert {env.reset(seed=seed)[1]["optimal_length"] for seed in range(10)} == {6}


BUCKETS = {"maze": {"easy": (1, 2), "medium": (3, 5), "hard": (6, 24)},
           "minibehaviour": {"easy": (2, 4), "medium": (5, 6), "hard": (7, 20)}}  # fmt: skip


@pytest.mark.parametrize("task", BUCKETS)
def test_difficulties_are_the_references_buckets_by_plan_length(task: str) -> None:
    env = make(task, level=5, observation="symbolic")
    for difficulty, (low, high) in BUCKETS[task].items():
        lengths = {
            env.reset(seed=seed, options={"difficulty": difficulty})[1]["optimal_length"]
            for seed in range(40)
        }
        assert low <= min(lengths) and max(lengths) <= high and len(lengths) > 1
        always = make(task, level=5, observation="symbolic", difficulty=difficulty)
        assert low <= always.reset(seed=0)[1]["optimal_length"] <= high


def test_frozenlake_has_no_difficulties_and_says_so() -> None:
    with pytest.raises(ValueError, match="frozenlake has no difficulties; ask for min_plan"):
        make("frozenlake", difficulty="easy")


@every_task
def test_a_bucket_that_a_level_does_not_have_is_refused_in_bounded_time(task: str) -> None:
    level = get_task(task).min_level
    every_state = get_task(task).phases * level**2
    env = make(task, level=level, plan_length=every_state, observation="symbolic")
    with pytest.raises(ValueError, match=rf"no .* with .*plan_length={every_state}.* among"):
        env.reset(seed=0)
    with pytest.raises(ValueError, match=rf"there is no {task} .* with .*plan_length=60"):
        make(task, level=level, plan_length=60)
    if get_task(task).difficulty:
        with pytest.raises(ValueError, match=r"there is no .* with .*difficulty='easy'"):
            make(task, level=5, min_plan=9, difficulty="easy")


@every_task
def test_excluded_hashes_are_not_drawn_nor_their_turned_and_mirrored_boards(
    task: str, tmp_path: Any
) -> None:
    level = get_task(task).min_level
    known = layouts(task, 12, level)
    file = tmp_path / "known.txt"
    classes = sorted({canonical_id(layout) for layout in known})
    file.write_text("# seen in a benchmark\n" + "\n".join(classes[1:]) + "\n\n")
    for exclude in (str(file), set(classes[1:])):
        env = make(task, level=level, exclude=exclude, observation="symbolic")
        for seed in range(20):
            env.reset(seed=seed)
            assert canonical_id(env.layout) not in classes[1:]
    file.write_text("no hash\n")
    with pytest.raises(ValueError, match="'no hash' is no hash of 16"):
        make(task, exclude=file)


@every_task
@pytest.mark.parametrize("theme", ["random", "all by name"])
def test_sampled_themes_differ_between_episodes_and_leave_the_layouts_alone(
    task: str, theme: str
) -> None:
    named = ",".join(get_task(task).themes)
    env = make(task, theme="random" if theme == "random" else named, image_size=64)
    plain, themes = make(task, image_size=64), set()
    for seed in range(12):
        observation, info = env.reset(seed=seed)
        assert info["layout_id"] == plain.reset(seed=seed)[1]["layout_id"]
        assert np.array_equal(observation["image"], render(env.layout, 64, env.theme))
        themes.add(env.theme)
    assert themes == set(get_task(task).themes)
    with pytest.raises(ValueError, match=f"unknown {task} theme 'clasic'"):
        make(task, theme=f"{named},clasic")


# A seeded reset gives these layouts: results that were measured on them stay comparable.
FIRST_LAYOUTS = {
    "frozenlake": "030e113c9ec24700 f1b25b8df6ca8732 b3107b27c9ba5e4b 9f8adfd7a550478b",
    "maze": "aa9eff5b5cd08a3a 06701df83437998d b6b0efff73ab649f 80d55ac42b2348be",
    "minibehaviour": "6415d7378f9a5fc7 d18fb218c0d882ed 5c44a9ebf02b8024 7f0e668708430ce4",
}


@pytest.mark.parametrize("task", FIRST_LAYOUTS)
def test_a_seed_gives_the_layouts_that_it_gave_in_version_0_1(task: str) -> None:
    env = make(task, level=(5, 6), split="train", observation="symbolic")
    first = [env.reset(seed=seed)[1]["layout_id"] for seed in range(4)]
    assert " ".join(first) == FIRST_LAYOUTS[task]


@every_task
def test_a_range_of_levels_is_drawn_from(task: str) -> None:
    first = small(task)
    env = make(task, level=(first, first + 2), observation="symbolic")
    low, high = env.levels
    drawn = {int(env.reset(seed=seed)[0]["level"]) for seed in range(30)}
    assert drawn == set(range(low, high + 1))
    assert env.max_level == high


@every_task
def test_a_split_is_all_that_is_drawn_from(task: str) -> None:
    env = make(task, split="val", observation="symbolic")
    for _ in range(10):
        env.reset()
        assert split_of(env.layout) == "val"


@every_task
def test_reset_takes_a_layout_its_data_or_a_level(task: str) -> None:
    env = make(task, max_level=8, observation="symbolic")
    layout = layouts(task, 1)[0]
    for given in (layout, layout.to_data()):
        _, info = env.reset(options={"layout": given})
        assert env.layout == layout
        assert info["layout_id"] == layout.layout_id
        assert info["optimal_length"] == len(shortest_plan(layout) or [])
    assert env.reset(options={"level": 7})[0]["level"] == 7


MISTAKES: list[tuple[dict[str, Any], list[str]]] = [
    ({"level": 1}, ["level 1", "32"]),
    ({"level": 33}, ["level 33", "32"]),
    ({"level": 5.5}, ["level 5.5"]),
    ({"level": "five"}, ["level 'five'", "side of a board in cells"]),
    ({"level": (6, 5)}, ["(6, 5)", "low ≤ high"]),
    ({"level": (5, 6, 7)}, ["(5, 6, 7)", "(low, high)"]),
    ({"level": 6, "max_level": 5}, ["max_level 5", "6"]),
    ({"max_level": 0}, ["level 0"]),
    ({"image_size": 63}, ["63", "64 to 1024"]),
    ({"image_size": 1025}, ["1025", "64 to 1024"]),
    ({"image_size": (64, 64)}, ["(64, 64)", "side"]),
    ({"theme": "clasic"}, ["'clasic'", "Did you mean 'classic'?"]),
    ({"theme": None}, ["theme None", "classic"]),
    ({"plan_length": 0}, ["plan_length", "0"]),
    ({"split": "dev"}, ["'dev'", "train, val, test"]),
    ({"frozen_prob": 1.5}, ["frozen_prob", "1.5"]),
    ({"illegal": "die"}, ["'die'", "stay, fail"]),
    ({"observation": "pixels"}, ["'pixels'", "both, image, symbolic"]),
    ({"render_mode": "rgb"}, ["'rgb'", "rgb_array"]),
]


@every_task
@pytest.mark.parametrize(("options", "words"), MISTAKES, ids=lambda value: str(value))
def test_a_mistake_in_a_keyword_gives_one_line_with_the_value_and_the_way_out(
    task: str, options: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(ValueError) as caught:
        PlanningEnv(task, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


@every_task
def test_an_unknown_keyword_is_a_type_error_that_lists_the_arguments(task: str) -> None:
    begins = r".* got an unexpected keyword argument 'levle'; arguments are level, .*image_size, "
    with pytest.raises(TypeError, match=rf"{begins}.*exclude, .*\. Did you mean 'level'\?$"):
        PlanningEnv(task, levle=5)  # type: ignore[arg-type]


def test_an_unknown_task_gives_one_line_with_the_nearest_name() -> None:
    with pytest.raises(ValueError) as caught:
        PlanningEnv("mase")
    tasks = ", ".join(TASKS)
    assert str(caught.value) == f"unknown task 'mase'; tasks are {tasks}. Did you mean 'maze'?"


@pytest.mark.parametrize(
    ("kind", "kinds"),
    [
        ("loss", "losses"),
        ("status", "statuses"),
        ("illegal policy", "illegal policies"),
        ("policy on illegal actions", "policies on illegal actions"),
        ("way to act", "ways to act"),
        ("reply", "replies"),
        ("key", "keys"),
        ("box", "boxes"),
    ],
)
def test_what_there_is_stands_in_the_plural(kind: str, kinds: str) -> None:
    with pytest.raises(ValueError, match=rf"unknown {kind} 'x'; {kinds} are a, b\.$"):
        pick_name(kind, "x", ["a", "b"])


def test_a_number_has_its_noun_in_the_singular_or_the_plural() -> None:
    assert [counted(n, "other reason") for n in (0, 1, 2)] == [
        "0 other reasons", "1 other reason", "2 other reasons",
    ]  # fmt: skip
    assert counted(1, "value of 'x'") == "1 value of 'x'"
    assert counted(3, "value of 'x'") == "3 values of 'x'"


@every_task
def test_an_unknown_landmark_gives_one_line_that_lists_them(task: str) -> None:
    with pytest.raises(
        ValueError, match=f"unknown landmark of {task} 'exit'; landmarks of .*start"
    ):
        layouts(task, 1)[0].cell("exit")


RESET_MISTAKES: list[tuple[dict[str, Any], list[str]]] = [
    ({"layuot": 1}, ["'layuot'", "Did you mean 'layout'?"]),
    ({"level": 9}, ["level 9", "max_level 6"]),
    ({"level": 1}, ["level 1", "side of"]),
    ({"level": "6"}, ["level '6'", "side of"]),
    ({"layout": "SFG"}, ["mapping", "str"]),
    ({"layout": {"board": 3}}, []),
]


@every_task
@pytest.mark.parametrize(("options", "words"), RESET_MISTAKES, ids=lambda value: str(value))
def test_a_mistake_in_a_reset_option_gives_one_line_with_the_value_and_the_way_out(
    task: str, options: dict[str, Any], words: list[str]
) -> None:
    env = make(task, max_level=6, level=(5, 6), image_size=64)
    with pytest.raises(ValueError) as caught:
        env.reset(options=options)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


@every_task
def test_a_layout_of_another_task_or_beyond_max_level_is_refused(task: str) -> None:
    env = make(task, level=5, image_size=64)
    other = next(name for name in TASKS if name != task)
    with pytest.raises(ValueError, match=f"plays {task} up to level 5, got a layout of {other}"):
        env.reset(options={"layout": layouts(other, 1)[0]})
    with pytest.raises(ValueError, match=f"up to level 5, got a layout of {task} level 6"):
        env.reset(options={"layout": layouts(task, 1, level=6)[0]})


@every_task
def test_an_action_beyond_the_last_is_refused(task: str) -> None:
    env = make(task, image_size=64)
    env.reset(seed=0)
    for action in (-1, env.action_space.n, 1.7, 1.0, "2", None, [1]):
        with pytest.raises(ValueError, match=re.escape(f"action {action!r} is not one of 0 to")):
            env.step(action)
    for action in (1, np.int8(1), np.array(1), Action.DOWN):
        env.reset()
        env.step(action)


# Layouts, rules and plans


@every_task
def test_layout_data_comes_back_as_the_same_layout(task: str) -> None:
    for level in get_task(task).paper_levels:
        for layout in layouts(task, 10, level):
            again = load_layout(task, layout.to_data())
            assert again == layout
            assert hash(again) == hash(layout)
            assert again.layout_id == layout.layout_id


@every_task
def test_the_shortest_plan_succeeds_and_is_optimal_under_every_rule_set(task: str) -> None:
    for layout in layouts(task, 20):
        plan = shortest_plan(layout)
        assert plan
        reply = format_answer(plan, task)
        for rules in RULE_SETS:
            score = score_reply(layout, reply, rules)
            assert (score.success, score.optimal, score.illegal) == (True, True, 0)
            assert score.steps == score.optimal_length == len(plan)
            assert score.outcome is Outcome.SUCCESS


@every_task
def test_a_reply_without_an_answer_plays_nothing_and_fails(task: str) -> None:
    for reply in (None, "", "I cannot see the picture.", "<answer></answer>", "<answer>?</answer>"):
        for rules in RULE_SETS:
            score = score_reply(layouts(task, 1)[0], reply, rules)
            assert (score.success, score.optimal, score.steps) == (False, False, 0)
            assert score.outcome is Outcome.RUNNING


@every_task
def test_an_illegal_action_leaves_the_state(task: str) -> None:
    for layout in layouts(task, 20):
        machine = solve_layout(layout)
        for state in reachable(layout):
            for action, outcome in enumerate(machine.outcome[state]):
                if outcome == Outcome.ILLEGAL:
                    assert machine.next_state[state][action] == state


@every_task
def test_every_refused_action_has_a_reason_in_one_word(task: str) -> None:
    for layout in layouts(task, 10):
        machine = solve_layout(layout)
        for state in reachable(layout):
            for action in get_task(task).actions:
                if machine.outcome[state][action] == Outcome.ILLEGAL:
                    reason = get_task(task).reasons[machine.reason[state, action]]
                    assert reason.replace("_", "").isalpha()


@every_task
@pytest.mark.parametrize(("illegal", "rules"), [("stay", "env"), ("fail", "mgsd-eval")])
def test_a_plan_played_step_by_step_ends_as_when_it_is_simulated(
    task: str, illegal: str, rules: str
) -> None:
    env = make(task, illegal=illegal, observation="symbolic")
    draw = np.random.default_rng(0)
    for layout in layouts(task, 40):
        plan = [Action(a) for a in draw.integers(env.action_space.n, size=12)]
        trace = simulate(layout, plan, rules)
        env.reset(options={"layout": layout})
        states, refused, ended = [env.state], 0, False
        for action in plan:
            _, _, ended, _, info = env.step(action)
            states.append(env.state)
            refused += info["outcome"] == "illegal"
            if ended:
                break
        assert states == trace.states
        assert refused == trace.illegal
        assert info["steps"] == trace.steps
        assert info["is_success"] == (trace.outcome is Outcome.SUCCESS)
        assert ended == (trace.outcome is not Outcome.RUNNING)


@every_task
def test_an_unknown_rule_set_gives_one_line_that_lists_them(task: str) -> None:
    with pytest.raises(ValueError, match="unknown rule set 'mgsd'; rule sets are env, mgsd-train"):
        score_reply(layouts(task, 1)[0], "", "mgsd")


@every_task
def test_the_distance_to_the_goal_falls_by_one_along_an_optimal_plan(task: str) -> None:
    env = make(task, observation="symbolic")
    _, info = env.reset(seed=11)
    distances = [info["distance_to_goal"]]
    for action in env.optimal_plan():
        distances.append(env.step(action)[4]["distance_to_goal"])
    assert distances == list(range(info["optimal_length"], -1, -1))


@every_task
def test_every_question_has_a_name_of_its_own_and_an_answer(task: str) -> None:
    asked = None
    for level in get_task(task).paper_levels:
        for layout in layouts(task, 20, level):
            questions = get_task(task).questions(layout)
            names = [question.name for question in questions]
            assert len(set(names)) == len(names)
            assert asked in (None, names)  # names do not depend on the board
            asked = names
            for question in questions:
                assert question.text.endswith((".", "?"))
                assert question.answer.strip() == question.answer != ""
            states = [question.states for question in questions]
            assert any(states) and states == sorted(states, reverse=True)


@every_task
def test_the_facts_that_state_a_board_differ_between_boards(task: str) -> None:
    drawn = layouts(task, 200)
    facts = {
        tuple(q.answer for q in get_task(task).questions(layout) if q.states) for layout in drawn
    }
    texts = {get_task(task).state_text(layout) for layout in drawn}
    assert len(facts) == len(texts) == len(drawn)


@every_task
def test_every_state_in_which_play_goes_on_has_words_of_its_own(task: str) -> None:
    for layout in layouts(task, 5):
        solved = solve_layout(layout)
        alive = [state for state, far in enumerate(solved.distance) if far > 0]
        reached = [state for state in alive if way_to(solved, state) is not None]
        known = get_task(task)
        texts = {known.state_text(layout_in(layout, state)) for state in reached}
        assert len(texts) == len({describe(layout, state) for state in reached}) == len(reached)
        assert layout_in(layout, solved.start) == layout
        for state in reached:
            plan = shortest_plan(layout, state) or []
            assert len(plan) == solved.distance[state]
            assert plan[0] in optimal_actions(layout, state)
            trace = simulate(layout, plan, start=state)
            assert trace.outcome == Outcome.SUCCESS and trace.states[0] == state


@every_task
def test_a_task_names_the_failure_that_its_rules_know_and_no_other(task: str) -> None:
    failures = 0
    for layout in layouts(task, 20):
        solved = solve_layout(layout)
        for state, action in zip(
            *np.nonzero(np.array(solved.outcome) == Outcome.FAILURE), strict=True
        ):
            failures += 1
            way = way_to(solved, state)
            if way is not None:
                trace = simulate(layout, [*way, Action(action)])
                assert trace.outcome == Outcome.FAILURE
                assert trace.reason == get_task(task).failure_reason
    assert bool(failures) == bool(get_task(task).failure_reason)


def way_to(solved: SolvedLayout, end: int) -> list[Action] | None:
    """Actions that lead from the start to a state while play goes on, if there are any."""
    ways: dict[int, list[Action]] = {solved.start: []}
    queue = [solved.start]
    for state in queue:
        for action, outcome in enumerate(solved.outcome[state]):
            after = solved.next_state[state][action]
            if outcome == Outcome.RUNNING and after not in ways:
                ways[after] = [*ways[state], Action(action)]
                queue.append(after)
    return ways.get(end)


@every_task
def test_a_task_has_waypoints_among_its_landmarks_and_counts_obstacles(task: str) -> None:
    known = get_task(task)
    assert known.waypoints
    for waypoint in known.waypoints:
        assert waypoint.landmark in known.landmarks
        assert waypoint.action in (None, *known.actions)
    if known.obstacles:
        assert all(known.obstacles.count_on(layout) >= 0 for layout in layouts(task, 20))


@every_task
def test_a_task_without_frozen_prob_refuses_one(task: str) -> None:
    if get_task(task).build_arguments:
        assert PlanningEnv(task, frozen_prob=0.5).config.spec.frozen_prob == 0.5
    else:
        with pytest.raises(ValueError, match=f"{task} has no frozen_prob, got 0.5; leave it out"):
            PlanningEnv(task, frozen_prob=0.5)


@every_task
def test_every_theme_has_a_legend(task: str) -> None:
    drawn = get_task(task)
    known = drawn.themes.keys() | drawn.missing_themes.keys() | drawn.folder_themes.keys()
    assert known == drawn.legend.keys()
    assert drawn.theme_legend("classic") == drawn.legend["classic"]
