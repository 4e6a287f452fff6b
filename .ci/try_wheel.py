"""The wheel does what it promises, in an environment that holds nothing else of the project."""

import importlib.util
import os
from importlib.metadata import requires, version
from pathlib import Path

os.environ.update(SDL_VIDEODRIVER="dummy", SDL_AUDIODRIVER="dummy", PYGAME_HIDE_SUPPORT_PROMPT="1")

import gymnasium as gym
import numpy as np
import pygame

import vsp_envs
from vsp_envs import LayoutSpec, draw_distinct, format_answer, question, score_reply, shortest_plan
from vsp_envs.play.__main__ import PlayConfig, open_screen
from vsp_envs.play.window import Window

home = Path(vsp_envs.__file__).parent
assert "site-packages" in home.parts, f"this is no installed package: {home}"
assert version("vsp-envs") == vsp_envs.__version__
assert (home / "py.typed").is_file()
for ours in ("agents", "training", "evaluation", "tests", "examples", "benchmarks"):
    assert importlib.util.find_spec(ours) is None, f"the wheel brings {ours}"
for heavy in ("torch", "transformers"):
    assert importlib.util.find_spec(heavy) is None, f"{heavy} is here: {requires('vsp-envs')}"

# All that another program needs to ask a model and score its replies.
for name in vsp_envs.TASKS:
    for layout in draw_distinct(LayoutSpec(name, 5, split="test"), 3, seed=0):
        prompt = question(layout)
        assert len(prompt.images) == 1 and "<answer>" in prompt.text
        assert question(layout, input="text").text != prompt.text
        reply = format_answer(shortest_plan(layout), name)
        assert score_reply(layout, reply, rules="mgsd-eval").optimal

for task in vsp_envs.TASKS.values():
    env = gym.make(task.id, split="test")
    observation, _ = env.reset(seed=0)
    assert observation["image"].shape == (256, 256, 3)
    rewards = [env.step(action)[1] for action in env.unwrapped.optimal_plan()]
    assert rewards[-1] == 1
    assert (home / "tasks" / task.name / "README.md").is_file()
    many = gym.make_vec(task.id, 4, observation="symbolic")
    assert len(many.reset(seed=0)[0]["level"]) == 4
    window = Window(open_screen(PlayConfig(task=task.name, seed=0)))
    window.step()
    assert len(np.unique(pygame.surfarray.array2d(window.surface))) > 100, "the window is empty"
    print(f"{task.id}: made, solved in {len(rewards)} actions, shown")
