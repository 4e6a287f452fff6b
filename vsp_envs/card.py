"""The cards of the environments, made from the code: `python -m vsp_envs.card` writes them."""

from __future__ import annotations

import argparse
import inspect
from dataclasses import fields
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from PIL import Image, ImageDraw, ImageFont

from vsp_envs.core.generator import LayoutSpec, draw_distinct
from vsp_envs.core.layout import Layout, Outcome, UInt8
from vsp_envs.core.registry import TASKS
from vsp_envs.core.solver import solve_layout
from vsp_envs.core.task import MAX_LEVEL, Task
from vsp_envs.envs.config import EnvConfig
from vsp_envs.envs.planning_env import PlanningEnv
from vsp_envs.rendering.renderer import render
from vsp_envs.utils.field_docs import field_docs
from vsp_envs.utils.terminal import printing

MOTION, SHEET = "episode.gif", "themes.png"
TITLE = 30
"""Height of the names on a sheet, in pixels."""


def card(task: Task) -> str:
    """The page of a task, Gymnasium's headings first."""
    env = PlanningEnv(task.name)
    parts = {
        "": _head(task, env),
        "Description": task.rules_text + "\n\n" + _legend(task),
        "Action Space": _actions(task),
        "Observation Space": _observation(env),
        "Starting State": task.notes["Starting State"],
        "Rewards": "1 for success, 0 for every other step; `vsp_envs.wrappers.DistanceReward` "
        "shapes it.",
        "Episode End": _ends(task),
        "Information": _information(env),
        "Arguments": _arguments(task),
        "Differences": task.notes["Differences"],
        "Version History": task.notes["Version History"],
    }
    blocks = (f"## {name}\n\n{text}" if name else text for name, text in parts.items())
    return "\n\n".join(blocks) + "\n"


def _head(task: Task, env: PlanningEnv) -> str:
    levels = ", ".join(map(str, task.paper_levels))
    return f"""# {task.title}

![A shortest plan, step by step]({MOTION})

| | |
|---|---|
| Make | `gym.make("{task.id}")`, `gym.make_vec("{task.id}", 64)` |
| Action space | `{env.action_space}` |
| Observation space | `Dict` of `image` and `symbolic`, see below |
| Levels | sides of {task.min_level} to {MAX_LEVEL} cells; {levels} unless others are asked for |

*This page is made from the code by `python -m vsp_envs.card`.*"""


def _legend(task: Task) -> str:
    lines = [
        f"- `{theme}{':FOLDER' * (theme in task.folder_themes)}`: {legend}"
        for theme, legend in task.legend.items()
    ]
    return "Themes:\n\n" + "\n".join(lines) + f"\n\n![Every theme]({SHEET})"


def _actions(task: Task) -> str:
    rows = "\n".join(f"| {action.value} | {action.name} |" for action in task.actions)
    reasons = ", ".join(f"`{reason}`" for reason in task.reasons)
    return (
        f"| number | action |\n|---|---|\n{rows}\n\nThe rules refuse an action for these reasons, "
        f"and the state stays as it is: {reasons}."
    )


def _observation(env: PlanningEnv) -> str:
    assert isinstance(env.observation_space, spaces.Dict)
    symbolic = env.observation_space["symbolic"]
    assert isinstance(symbolic, spaces.Dict)
    rows = [f"| `image` | `{env.observation_space['image']}` |"]
    rows += [f"| `symbolic/{name}` | `{space}` |" for name, space in symbolic.spaces.items()]
    text = inspect.getdoc(env.task.symbolic) or ""
    table = "| part | space |\n|---|---|\n" + "\n".join(rows)
    return (
        f"{table}\n\nSymbolic: {text}\n\nPositions are (row, col) from the top left, 0-based. "
        "Grids are padded with 0 to the right and below up to `max_level`."
    )


def _ends(task: Task) -> str:
    names = {Outcome.SUCCESS: "success", Outcome.FAILURE: f"failure (`{task.failure_reason}`)"}
    possible = _outcomes(task)
    ends = [name for outcome, name in names.items() if outcome in possible]
    return (
        f'- Termination: {" or ".join(ends)}; with `illegal="fail"` a refused action too.\n'
        f"- Truncation: after {gym.spec(task.id).max_episode_steps} steps (`max_episode_steps` of "
        "`gym.make`). A shortest plan on a large board may be longer: raise it there."
    )


def _outcomes(task: Task) -> set[int]:
    """The outcomes that occur on some boards of the task."""
    layouts = draw_distinct(LayoutSpec(task.name, task.paper_levels[0]), 20, 0)
    tables = (solve_layout(layout).outcome for layout in layouts)
    return {outcome for table in tables for row in table for outcome in row}


_INFO = {
    "is_success": "the goal is reached",
    "outcome": "`running`, `success`, `failure` or `illegal`: what the last action led to",
    "illegal_reason": "why the last action was refused, else empty",
    "action_mask": "1 for each action that the rules allow now; for `action_space.sample(mask)`",
    "steps": "actions so far",
    "optimal_length": "actions of a shortest plan from the start",
    "distance_to_goal": "actions of a shortest plan from here; -1 where none succeeds",
    "layout_id": "hash of the board's content",
}


def _information(env: PlanningEnv) -> str:
    _, info = env.reset(seed=0)
    rows = [f"| `{name}` | {_type(value)} | {_INFO[name]} |" for name, value in info.items()]
    return "The same keys after reset and step.\n\n| key | type | meaning |\n|---|---|---|\n" + (
        "\n".join(rows)
    )


def _type(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype}[{len(value)}]"
    return type(value).__name__


def _arguments(task: Task) -> str:
    documented = field_docs(EnvConfig)
    rows = [
        f"| `{each.name}` | `{each.default!r}` | {documented[each.name]} |"
        for each in fields(EnvConfig)
        if each.name != "task" and (each.name != "frozen_prob" or each.name in task.build_arguments)
    ]
    return (
        "| argument | default | meaning |\n|---|---|---|\n" + "\n".join(rows) + "\n\n"
        "`reset(options=…)` takes `layout` (a `Layout` or its JSON data), `level` and "
        "`difficulty`; they hold for that episode."
    )


def folder(task: Task) -> Path:
    """The folder of the task's own files, in this package or another."""
    return Path(inspect.getfile(task.load)).parent


def write() -> list[Path]:
    """Card, animated picture and contact sheet of every task into the task's folder."""
    files = []
    for task in TASKS.values():
        target = folder(task)
        (target / "README.md").write_text(card(task), encoding="utf-8")
        frames = [Image.fromarray(frame) for frame in motion(task)]
        frames = [frame.quantize(64, dither=Image.Dither.NONE) for frame in frames]
        waits = [900, *[350] * (len(frames) - 2), 1800]
        frames[0].save(
            target / MOTION, save_all=True, append_images=frames[1:], duration=waits, loop=0
        )
        Image.fromarray(sheet(task)).quantize(256).save(target / SHEET, optimize=True)
        files += [target / "README.md", target / MOTION, target / SHEET]
    return files


def motion(task: Task, image_size: int = 256) -> list[UInt8]:
    """The pictures of a shortest plan."""
    layout = _example(task)
    return [render(layout, image_size, state=state) for state in _states(layout)]


def sheet(task: Task, image_size: int = 256, gap: int = 6) -> UInt8:
    """Below each theme's name the start of a shortest plan, its last two states and a failure."""
    layout = _example(task)
    states = _states(layout)
    shown = [states[0], states[-2], states[-1]]
    shown += _failures(layout)[:1]
    space = ((gap, gap), (gap, gap), (0, 0))
    rows = []
    for theme in task.themes:
        boards = [np.pad(render(layout, image_size, theme, state), space, constant_values=255)
                  for state in shown]  # fmt: skip
        row = np.concatenate(boards, axis=1)
        rows += [_title(theme, row.shape[1]), row]
    return np.concatenate(rows)


def _title(text: str, width: int) -> UInt8:
    """A line of black text on white."""
    line = Image.new("RGB", (width, TITLE), "white")
    ImageDraw.Draw(line).text((8, TITLE // 2), text, "black", ImageFont.load_default(20), "lm")
    return np.asarray(line)


def _example(task: Task) -> Layout:
    spec = LayoutSpec(task.name, 5, min_plan=7)
    drawn = draw_distinct(spec, 20, seed=3)
    # A failure to show, where the task has one.
    return next((layout for layout in drawn if _failures(layout)), drawn[0])


def _states(layout: Layout) -> list[int]:
    solved = solve_layout(layout)
    states = [solved.start]
    for _ in range(solved.distance[solved.start]):
        action = solved.optimal[states[-1]].index(True)
        states.append(solved.next_state[states[-1]][action])
    return states


def _failures(layout: Layout) -> list[int]:
    solved = solve_layout(layout)
    return [
        solved.next_state[state][action]
        for state in _states(layout)[:-1]
        for action, outcome in enumerate(solved.outcome[state])
        if outcome == Outcome.FAILURE
    ]


@printing()
def main() -> None:
    """Write all cards and say where."""
    argparse.ArgumentParser(
        prog="python -m vsp_envs.card",
        description="Write the card of every task (README.md) and its pictures into its folder.",
    ).parse_args()
    for file in write():
        print(f"written: {file}")
    print("next: git diff --stat vsp_envs/tasks")


if __name__ == "__main__":
    main()
