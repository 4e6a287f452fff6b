"""A vision-language model plays step by step, over any endpoint that speaks OpenAI's API.

    python -m examples.chat_agent --model NAME --base-url http://127.0.0.1:8000/v1 --task maze

Closed loop: the model sees the board, names one action, and sees what became of it. The key is
read from OPENAI_API_KEY. (`python -m evaluation.planning --agent openai --act step` does this for
many boards at once, with retries, costs and intervals.)
"""

from __future__ import annotations

import argparse
import os
from typing import Any

import gymnasium as gym

from examples import missing
from vsp_envs import get_task, parse_plan
from vsp_envs.rendering.png import data_url
from vsp_envs.scoring.answer_format import action_name, format_instruction

NEEDS = missing("openai")
if not NEEDS:
    from openai import OpenAI


def question(task: str, image: Any, note: str) -> list[dict[str, Any]]:
    """One user message: the picture, the rules, what became of the last action."""
    words = f"""{get_task(task).rules_text}
{get_task(task).theme_legend("classic")}
{note}
Which action comes next on a shortest way? Think, then name this one action.
{format_instruction(task)}"""
    picture = {"type": "image_url", "image_url": {"url": data_url(image)}}
    return [{"role": "user", "content": [picture, {"type": "text", "text": words}]}]


def play(client: OpenAI, model: str, env: gym.Env, task: str, seed: int) -> dict[str, Any]:
    """One episode; returns its last info."""
    image, info = env.reset(seed=seed)
    note, done = "This is the start.", False
    while not done:
        answer = client.chat.completions.create(model=model, messages=question(task, image, note))
        parsed = parse_plan(answer.choices[0].message.content or "", task)
        if not parsed.plan:
            print(f"  no readable answer: {parsed.status} {parsed.answer!r}")
            break
        image, _, terminated, truncated, info = env.step(parsed.plan[0])
        note = f"You played {action_name(parsed.plan[0])}"
        note += f", which is refused: {info['illegal_reason']}." if info["illegal_reason"] else "."
        done = terminated or truncated
    return info


def main(args: list[str] | None = None) -> float:
    """Play held-out boards; returns the share of them that was solved."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], epilog=NEEDS)
    parser.add_argument("--model", required=True, help="its name at the endpoint")
    parser.add_argument("--base-url", default="https://api.openai.com/v1")
    parser.add_argument("--task", default="frozenlake", help="frozenlake, maze or minibehaviour")
    parser.add_argument("--level", type=int, help="side of the boards; unset: the paper's levels")
    parser.add_argument("--episodes", type=int, default=5)
    parser.add_argument("--steps", type=int, default=30, help="turns after which a game is lost")
    options = parser.parse_args(args)
    if NEEDS:
        parser.error(NEEDS)
    client = OpenAI(
        base_url=options.base_url, api_key=os.environ.get("OPENAI_API_KEY", "none needed")
    )
    env = gym.make(
        get_task(options.task).id,
        level=options.level,
        split="test",
        observation="image",
        max_episode_steps=options.steps,
    )
    solved = 0
    for seed in range(options.episodes):
        info = play(client, options.model, env, options.task, seed)
        solved += info["is_success"]
        print(f"board {seed}: {info['outcome']}, actions: {info['steps']}")
    print(f"solved {solved} of {options.episodes}")
    return solved / options.episodes


if __name__ == "__main__":
    main()
