"""What must not change unnoticed: every seed's boards, pixels, prompts and scores, as hashes.

A change of rules, pixels, prompts or scores is meant to fail here first. Where it is wanted,
`python tests/envs/test_fixed.py` writes the hashes anew, and the change says so.
"""

import hashlib
import json
from collections.abc import Iterable
from itertools import islice, product
from pathlib import Path

import gymnasium as gym
import numpy as np
import PIL
import pytest

from vsp_envs import (
    TASKS,
    Action,
    Layout,
    LayoutSpec,
    describe,
    draw_layouts,
    load_layout,
    render,
    score_reply,
    shortest_plan,
    simulate,
)
from vsp_envs.prompts.prompt import View
from vsp_envs.prompts.question import (
    first_turn_words,
    next_turn_words,
    position_words,
    refusal_words,
    text_prompt,
    unread_words,
    visual_prompt,
)
from vsp_envs.prompts.targets import perception_target, planning_target

DATA = Path(__file__).parents[1] / "data"
OURS = ("frozenlake", "maze", "minibehaviour")
IMAGE = np.zeros((64, 64, 3), np.uint8)


def digest(parts: Iterable[object]) -> str:
    """One hash of many values, in order."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part if isinstance(part, bytes) else repr(part).encode())
        total.update(b"\0")
    return total.hexdigest()[:16]


def layouts(task: str, count: int) -> list[Layout]:
    """The first boards of each of the paper's levels, `count` in all."""
    levels = TASKS[task].paper_levels
    per_level = -(-count // len(levels))
    streams = [
        islice(draw_layouts(LayoutSpec(task, level), np.random.default_rng(level)), per_level)
        for level in levels
    ]
    return [layout for stream in streams for layout in stream][:count]


def boards(task: str) -> str:
    return digest((each.layout_id, each.to_data()) for each in layouts(task, 1000))


def resets(task: str) -> str:
    env = gym.make(TASKS[task].id, observation="symbolic", split="train")
    infos = [env.reset(seed=seed if seed < 50 else None)[1] for seed in range(200)]
    return digest((info["layout_id"], info["optimal_length"]) for info in infos)


def pixels(task: str, theme: str, image_size: int) -> str:
    return digest(
        render(layout, image_size, theme, state).tobytes()
        for layout in layouts(task, 60)[::5]
        for state in simulate(layout, shortest_plan(layout) or []).states[::2]
    )


def prompts(task: str) -> str:
    parts: list[object] = []
    themes = [name for name in TASKS[task].legend if name not in TASKS[task].folder_themes]
    for style, theme, goal in product(("full", "brief"), themes, ("plan", "perceive")):
        parts.append(visual_prompt(task, IMAGE, goal, View(style, theme=theme)).messages)
    for layout, style, goal in product(layouts(task, 20), ("full", "brief"), ("plan", "perceive")):
        for plan in (None, shortest_plan(layout)):
            parts.append(text_prompt(layout, goal, style, plan).messages)
    for layout in layouts(task, 20):
        parts += [planning_target(layout), perception_target(layout), describe(layout)]
    parts += [unread_words(status, task) for status in ("missing", "empty", "malformed")]
    parts += [refusal_words(action, "off_grid") for action in Action]
    for layout, style, chunk, seen in product(
        layouts(task, 6), ("full", "brief"), (0, 1, 3), (True, False)
    ):
        parts.append(first_turn_words(layout, View(style), chunk, seen))
        parts.append(next_turn_words(layout, View(style), chunk, seen))
        plan = shortest_plan(layout) or []
        states = simulate(layout, plan).states
        for played, state in enumerate(states[:-1]):
            parts.append(position_words(layout, plan[:played], state, "told"))
    return digest(parts)


def scores(rules: str) -> str:
    lines = (DATA / "golden" / "plan_outcomes.jsonl").read_text().splitlines()
    parts: list[object] = []
    for row in map(json.loads, lines):
        layout = load_layout(row["task"], row["layout"], row["level"])
        score = score_reply(layout, row["response"], rules)
        parts += [
            (score.success, score.optimal, score.steps, int(score.outcome), score.illegal),
            (score.reason, str(score.status), score.trace.states),
        ]
    return digest(parts)


def hashes() -> dict[str, str]:
    found = {}
    for task in OURS:
        found[f"boards {task}"] = boards(task)
        found[f"resets {task}"] = resets(task)
        found[f"prompts {task}"] = prompts(task)
        for theme, size in product(TASKS[task].themes, (256, 100)):
            found[f"pixels {task} {theme} {size}"] = pixels(task, theme, size)
    for rules in ("env", "mgsd-train", "mgsd-eval", "visualplanning"):
        found[f"scores {rules}"] = scores(rules)
    return found


FIXED = json.loads((DATA / "fixed.json").read_text()) if (DATA / "fixed.json").exists() else {}


@pytest.mark.parametrize("name", [each for each in FIXED.get("hashes", {}) if "pixels" not in each])
def test_boards_prompts_and_scores_are_what_they_were(name: str) -> None:
    kind, *arguments = name.split()
    assert globals()[kind](*arguments) == FIXED["hashes"][name]


@pytest.mark.parametrize("name", [each for each in FIXED.get("hashes", {}) if "pixels" in each])
def test_pixels_are_what_they_were(name: str) -> None:
    if FIXED["pillow"] != PIL.__version__ or FIXED["gymnasium"] != gym.__version__:
        pytest.skip("another Pillow or Gymnasium draws edges and sprites a little differently")
    _, task, theme, size = name.split()
    assert pixels(task, theme, int(size)) == FIXED["hashes"][name]


if __name__ == "__main__":
    made = {"pillow": PIL.__version__, "gymnasium": gym.__version__, "hashes": hashes()}
    (DATA / "fixed.json").write_text(json.dumps(made, indent=2) + "\n")
