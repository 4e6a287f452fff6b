"""Draws the pictures of the docs: `python docs/figures.py --run runs/demo`.

Without a run it draws only the animated picture. The picture of the method shows a real board and
the models of a demo run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from agents.agent import Reply, Request
from agents.backends.hf import HFAgent, sample
from agents.multi_turn import TurnPolicy
from agents.rollout import Case, play_together, start_turns
from agents.sampling import Sampling
from agents.vlm.checkpoint import Loaded, load_checkpoint
from agents.vlm.encoding import ModelInputs, complete, encode_prompts
from training.opcd.divergences import log_probs
from vsp_envs import TASKS, Layout, LayoutSpec, draw_distinct, render
from vsp_envs.card import motion
from vsp_envs.prompts.question import teacher_prompt, text_prompt, visual_prompt
from vsp_envs.prompts.targets import ROUTE
from vsp_envs.utils.cli import main

IMAGES = Path(__file__).parent / "images"
SHADES = LinearSegmentedColormap.from_list("divergence", ["#f4f6f8", "#f2c14e", "#d1495b"])


@dataclass(frozen=True)
class FiguresConfig:
    """Draw the pictures of the docs."""

    run: Path | None = None
    """A finished demo run on FrozenLake; its models draw the picture of the method."""
    board: int = 1
    """Which of the held-out boards that picture shows."""
    rollout_board: int = 2
    """The same for the picture of a rollout in steps."""
    rollout_seed: int = 1
    """Its sampling seed."""


def draw(config: FiguresConfig) -> None:
    """Write the pictures into `docs/images`."""
    save_gif(IMAGES / "tasks.gif", tasks_frames())
    if config.run:
        figure = method_figure(config.run, config.board)
        figure.savefig(IMAGES / "opcd.png", dpi=160)
        rollout = rollout_figure(config.run, config.rollout_board, config.rollout_seed)
        rollout.savefig(IMAGES / "rollout.png", dpi=160)


def tasks_frames(side: int = 240, gap: int = 16, head: int = 34) -> list[Image.Image]:
    """The three tasks side by side, each along a shortest plan; the short ones wait at the end."""
    shown = {task.title: motion(task, side) for task in TASKS.values()}
    length = max(map(len, shown.values()))
    font = ImageFont.load_default(size=19)
    frames = []
    for step in range(length):
        page = Image.new("RGB", (gap + len(shown) * (side + gap), head + side + gap), "white")
        pen = ImageDraw.Draw(page)
        for column, (title, pictures) in enumerate(shown.items()):
            left = gap + column * (side + gap)
            pen.text((left + side / 2, head / 2), title, "#2b3340", font, anchor="mm")
            page.paste(Image.fromarray(pictures[min(step, len(pictures) - 1)]), (left, head))
        frames.append(page)
    return frames


def save_gif(path: Path, frames: list[Image.Image]) -> None:
    """An endless GIF that rests at its beginning and its end."""
    small = [frame.quantize(96, dither=Image.Dither.NONE) for frame in frames]
    waits = [1000, *[400] * (len(small) - 2), 2200]
    small[0].save(path, save_all=True, append_images=small[1:], duration=waits, loop=0)


class Token(NamedTuple):
    """A token of a student's answer and KL(student ‖ teacher) there, in nats."""

    text: str
    divergence: float


@torch.no_grad()
def scored_answer(
    student: Loaded, teacher: Loaded, layout: Layout, image: np.ndarray, prefill: str = ""
) -> list[Token]:
    """The student's greedy answer to the image, scored by the teacher that reads the state.

    Both are prefilled with `prefill`; the answer goes on from there.
    """
    tokenizer = student.processor.tokenizer
    student_prompt = visual_prompt(layout.task, image, "plan", student.view)
    read = text_prompt(layout, "plan", teacher.view.style)
    asked = [
        encode_prompts(student.processor, [each], [prefill]) for each in (student_prompt, read)
    ]
    answers = sample(student.model, asked[0], Sampling(max_new_tokens=80), tokenizer.pad_token_id)
    return scored(student, teacher, asked, answers[0])


@torch.no_grad()
def scored(
    student: Loaded, teacher: Loaded, asked: Sequence[ModelInputs], answer: Sequence[int]
) -> list[Token]:
    """The tokens of an answer; `asked` is the prompt of the student and that of the teacher."""
    tokenizer, rows = student.processor.tokenizer, []
    for loaded, prompt in zip((student, teacher), asked, strict=True):
        completed = complete(prompt, [answer], tokenizer.pad_token_id)
        width = completed.ids.shape[1]
        logits = loaded.model(**completed.inputs, logits_to_keep=width + 1).logits[0, :-1]
        rows.append(log_probs(logits))
    divergence = (rows[0].exp() * (rows[0] - rows[1])).sum(-1).tolist()
    words = [tokenizer.decode([token]) for token in answer]
    return [Token(word, value) for word, value in zip(words, divergence, strict=True)]


def method_figure(run: Path, board: int) -> Figure:
    """One board, what the teacher reads, and the student's tokens before and after OPCD."""
    models = {
        stage: load_checkpoint(str(run / stage), dtype="float32")
        for stage in ("base", "sft", "opcd")
    }
    level = 3
    layout = draw_distinct(LayoutSpec("frozenlake", level, "test", min_plan=3), board + 1, seed=0)[
        board
    ]
    view = models["sft"].view
    image = render(layout, view.pixels(level), view.theme)
    figure = Figure((9.6, 3.9), layout="constrained", facecolor="white")
    grid = figure.add_gridspec(6, 2, width_ratios=[1, 3.1])
    seen, read = figure.add_subplot(grid[:3, 0]), figure.add_subplot(grid[3:, 0])
    seen.imshow(render(layout, 512, view.theme))
    seen.set_title("the student sees", fontsize=10)
    read.text(
        0.02, 0.95, teacher_words(layout, view.style), va="top", family="monospace", fontsize=9
    )
    read.set_title("the teacher reads", fontsize=10)
    before = scored_answer(models["sft"], models["base"], layout, image)
    prefill = "".join(token.text for token in before[:-1]) + f"\n{ROUTE}"
    rows = {
        "before OPCD, the student's own answer": before,
        "before OPCD, prefilled up to the route": scored_answer(
            models["sft"], models["base"], layout, image, prefill
        ),
        "after OPCD, the student's own answer": scored_answer(
            models["opcd"], models["base"], layout, image
        ),
    }
    for row, (title, tokens) in enumerate(rows.items()):
        axes = figure.add_subplot(grid[2 * row : 2 * row + 2, 1])
        draw_tokens(axes, tokens)
        axes.set_title(title, fontsize=10, loc="left")
    for axes in figure.axes:
        axes.set_axis_off()
    shades = figure.colorbar(
        _scale(), ax=figure.axes[2:], shrink=0.8, label="KL(student ‖ teacher), nats"
    )
    shades.outline.set_visible(False)
    return figure


class Shown(NamedTuple):
    """A turn of a rollout: what was asked, and the tokens that were said."""

    request: Request
    tokens: list[Token]


def played_turns(student: Loaded, teacher: Loaded, layout: Layout, seed: int) -> list[Shown]:
    """A rollout in steps, sampled as in training, with the teacher's disagreement."""
    agent = HFAgent(student, Sampling(1.0, 48, seed))
    policy = TurnPolicy(act="step", history=0, max_turns=12)
    turns = list[Shown]()

    def answer(requests: Sequence[Request]) -> list[Reply]:
        replies = agent.reply(requests)
        for request, reply in zip(requests, replies, strict=True):
            state = layout.cells[0] if request.state is None else request.state
            read = teacher_prompt(layout, state, policy.chunk, teacher.view.style, told=False)
            asked = [encode_prompts(student.processor, [each]) for each in (request.prompt, read)]
            turns.append(Shown(request, scored(student, teacher, asked, reply.ids)))
        return replies

    game = start_turns(Case(layout), student.view, policy, "env")
    list(play_together(answer, iter([(0, game)]), 1))
    return turns


def rollout_figure(run: Path, board: int, seed: int, most: int = 4) -> Figure:
    """A board played in steps: a row per turn with its picture and its tokens."""
    student, teacher = (
        load_checkpoint(str(run / stage), dtype="float32") for stage in ("opcd", "base")
    )
    spec = LayoutSpec("frozenlake", 3, "test", min_plan=3)
    layout = draw_distinct(spec, board + 1, seed=0)[board]
    turns = played_turns(student, teacher, layout, seed)[:most]
    figure = Figure((9.6, 1.35 * len(turns)), layout="constrained", facecolor="white")
    grid = figure.add_gridspec(len(turns), 2, width_ratios=[1, 7.2])
    for row, (request, tokens) in enumerate(turns):
        seen, said = (figure.add_subplot(grid[row, column]) for column in (0, 1))
        seen.imshow(render(layout, 512, student.view.theme, request.state))
        seen.set_title(f"turn {row + 1}", fontsize=10)
        draw_tokens(said, tokens)
        for axes in (seen, said):
            axes.set_axis_off()
    shades = figure.colorbar(
        _scale(), ax=figure.axes[1::2], shrink=0.8, label="KL(student ‖ teacher), nats"
    )
    shades.outline.set_visible(False)
    return figure


def teacher_words(layout: Layout, style: str) -> str:
    """The text of the teacher's prompt."""
    return text_prompt(layout, "plan", style).messages[0]["content"][-1]["text"]


LARGEST = 5.0
"""Divergence of the darkest shade, in nats."""


def _scale() -> Any:
    return ScalarMappable(Normalize(0, LARGEST), SHADES)


def draw_tokens(axes: Axes, tokens: list[Token], columns: int = 76) -> None:
    """The tokens in reading order, each on its shade. Lines are not those of the answer."""
    axes.set(xlim=(0, columns), ylim=(3.4, 0))
    row, left = 0.6, 0.0
    for token in tokens:
        shown = {"\n": "⏎", "<|im_end|>": "END"}.get(token.text, token.text.strip())
        if not shown:
            continue
        width = len(shown) + 1.3
        if left + width > columns:
            row, left = row + 1.2, 0.0
        shade = SHADES(min(token.divergence / LARGEST, 1.0))
        axes.text(
            left + width / 2, row, shown, ha="center", va="center", family="monospace", fontsize=9,
            bbox={"boxstyle": "round,pad=0.25", "facecolor": shade, "edgecolor": "none"},
        )  # fmt: skip
        left += width


if __name__ == "__main__":
    main(draw, FiguresConfig)
