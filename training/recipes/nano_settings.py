"""The settings of what `training.recipes.nano` trains and plays, in order; a rehearsal too."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from evaluation.options import Pictures
from training.config import SizeName, TrainingConfig
from training.opcd.config import OPCDConfig
from training.sft_config import BaseConfig, SFTConfig

HERE = Path()  # `training.recipes.nano` fills it in, and the models too
RecipeName = Literal["full", "levels", "rehearsal"]


@dataclass(frozen=True)
class NanoConfig:
    """Train, distil and evaluate one small model for all tasks, piece by piece."""

    out: Path = Path("runs/nano")
    """Run folder."""
    minutes: float = 0.0
    """Stop at a checkpoint after so many minutes; 0: go on to the end."""
    size: SizeName | Literal[""] = ""
    """Size of the model, as in `training.base`; empty: the recipe's. The state of `nano-10m` is
    beyond 64 MiB."""
    recipe: RecipeName = "full"
    """`full`: all levels at 256 px, on a GPU; `levels`: all levels at one visual token a cell, on
    two CPU cores; `rehearsal`: the plan of `full` at the smallest levels, on a CPU."""
    benchmarks: tuple[str, ...] = ()
    """Public sets, such as `vsp:ROOT visualplanning:ROOT`. They are played at the end; none of
    their boards, nor a symmetric image of one, is trained on."""
    stages: tuple[str, ...] = ()
    """Stages that this process trains and whose models it plays; none: all of them, and the agents
    without a model. Processes with different stages may share a run folder."""
    seed: int = 0
    """Seed of everything."""
    workers: int = 0
    """Processes that prepare boards beside the training one."""


class Stage(NamedTuple):
    """A training stage: its settings, and the stages whose models it needs."""

    config: TrainingConfig
    model: str = ""
    """The stage whose model it starts from; empty: nothing."""
    teacher: str = ""
    tiles: bool = False
    """Where VSP is given, half of FrozenLake is drawn with the tiles of its pictures."""


class Line(NamedTuple):
    """A row of the table: the model that plays, its goal and its input."""

    name: str
    model: str
    """The stage whose model plays; empty: the scripted agent of that name."""
    input: str = "image"
    goal: str = "plan"
    """What it is asked for, one of `GOALS`."""
    public: bool = True
    """Whether it also plays the public sets, besides our test boards."""
    pictures: Pictures = "rendered"
    """Which pictures of VSP's boards it sees: VSP's own, or ours."""


@dataclass(frozen=True)
class Recipe:
    """Everything that a run of the plan needs to know."""

    size: SizeName
    stages: dict[str, Stage]
    lines: tuple[Line, ...]
    """Rows of the table, in the order in which their models are ready."""
    episodes: int
    """Test boards of each task and level, or all where there are fewer."""
    public: int | None
    """Boards of each public set; None: all."""
    longest: int
    """Longest answer in evaluation, in tokens."""
    batch: int
    """Boards that are answered at once in evaluation."""


def _at_256(common: dict[str, Any], steps: dict[str, int], answers: int, **rest: Any) -> Recipe:
    """`answers` are the tokens of OPCD's longest answer."""
    common = {"theme": "random", "mix_kinds": True, "warmup": 0.05, **common}
    group = 4
    opcd = {**common, "learning_rate": 5e-4, "max_new_tokens": answers}
    stages = {
        "base": Stage(BaseConfig(HERE, learning_rate=1.5e-3, steps=steps["base"], **common)),
        "sft": Stage(
            SFTConfig(
                HERE, learning_rate=2e-4, vision_learning_rate=1.5e-3, schedule="half-linear",
                steps=steps["sft"], **common,
            ),
            "base",
        ),
        "opcd": Stage(OPCDConfig(HERE, steps=steps["opcd"], **opcd), "sft", "base"),
        # As many answers a step as OPCD, to a quarter of the boards.
        "opcd-reward": Stage(
            OPCDConfig(
                HERE, steps=steps["opcd-reward"], reward_weight=1.0, rollouts=group,
                optimal_reward=0.5, **{**opcd, "batch_size": common["batch_size"] // group},
            ),
            "sft",
            "base",
        ),
        "direct": Stage(
            SFTConfig(
                HERE, target="plan", learning_rate=3e-4, vision_learning_rate=1.5e-3,
                schedule="half-linear", steps=steps["direct"], **common,
            ),
            "base",
        ),
    }  # fmt: skip
    lines = (
        Line("symbolic-input bound", "base", "text", public=False),
        Line("SFT, perception", "sft", goal="perceive", public=False),
        Line("OPCD", "opcd", pictures="original"),
        Line("OPCD + reward", "opcd-reward", pictures="original"),
        Line("direct-plan SFT", "direct", pictures="original"),
        Line("blind", ""),
    )
    return Recipe("nano-4m", stages, lines, longest=160, **rest)


def _levels(ask: Literal["plan", "search"], steps: dict[str, int], answers: int) -> Recipe:
    """One visual token a cell. Answer-only SFT sees as many boards as perception SFT and OPCD.

    All stages learn from 16 boards a step, of all kinds; base and SFT have micro-batches of similar
    length. On FrozenLake 3–8 by text (size S) that took half as many boards as 64 a step.

    Perception SFT alone makes a model of this size forget. It gives the words of a plan no chance:
    by the reverse KL no answer can be read in 25 steps of OPCD, by the forward KL 47 % of the
    validation boards succeed after 50. And it no longer plans in Maze: after 300 × 64 boards of
    OPCD by the forward KL at 1e-3, test boards of Maze 43 %, although it writes their states right
    (160 of 160 of validation), FrozenLake 91.5 and MiniBehaviour 95.8 % (n = 800, 1200, 400). So a
    share of SFT goes on with plans from a given description. That has not been run to its end yet.
    Not so in the base: with half of its boards described like that, 15 000 steps weighted for what
    is hard end at a bound of 42 % in Maze (n = 800), where 14 000 steps without end at 74.
    """
    common: dict[str, Any] = {"tasks": PAPER, "eval_episodes": 20, "warmup": 0.05}
    few = {
        **common, "batch_size": 16, "mix_kinds": True, "micro_batch_tokens": 1200,
        "schedule": "half-linear", "eval_every": 1000, "save_every": 250,
    }  # fmt: skip
    seen = {**few, "tasks": SEEN, "vision_learning_rate": 3e-3, "curriculum": 0.3}
    opcd = {
        **common, "tasks": HARD, "ask": ask, "batch_size": 16, "mix_kinds": True,
        "learning_rate": 5e-4, "max_new_tokens": answers, "loss": "forward_kl",
        "steps": steps["opcd"], "eval_every": 200, "save_every": 100,
    }  # fmt: skip
    direct = steps["sft"] + steps["opcd"]
    stages = {
        "first": Stage(
            BaseConfig(HERE, target=ask, learning_rate=1e-3, steps=steps["first"], **few)
        ),
        "base": Stage(
            BaseConfig(
                HERE, target=ask, learning_rate=1e-3, steps=steps["base"],
                **{**few, "tasks": HARD, "eval_every": 2000},
            ),
            "first",
        ),
        "sft": Stage(
            SFTConfig(
                HERE, learning_rate=4e-4, written_share=0.3, steps=steps["sft"], **seen
            ),
            "base",
            tiles=True,
        ),
        "opcd": Stage(OPCDConfig(HERE, **opcd), "sft", "base", tiles=True),
        "opcd-alone": Stage(OPCDConfig(HERE, **opcd), "base", "base", tiles=True),
        "answer": Stage(
            SFTConfig(HERE, target="answer", learning_rate=1e-3, steps=direct, **seen), "base",
            tiles=True,
        ),
    }  # fmt: skip
    lines = (
        Line("symbolic-input bound", "base", "text", ask, public=False),
        Line("SFT, perception", "sft", goal="perceive", public=False),
        Line("OPCD", "opcd", goal=ask, pictures="original"),
        Line("OPCD without SFT", "opcd-alone", goal=ask, pictures="original"),
        Line("answer-only SFT", "answer", goal="answer", pictures="original"),
        Line("blind", ""),
        Line("random", ""),
    )
    return Recipe("M", stages, lines, episodes=200, public=None, longest=answers, batch=64)


# Maze and MiniBehaviour have fewer levels than FrozenLake; a weight makes up for it.
PAPER = ("frozenlake:3-8", "maze:3-6@2", "minibehaviour:5-6@2")
HARD = (
    "frozenlake:3-5", "frozenlake:6-8@2", "maze:3", "maze:4@3", "maze:5-6@6", "minibehaviour:5-6",
)  # fmt: skip
"""What `levels` plans on in the second half of its base, and in OPCD. After the first 14 000 steps,
by text: FrozenLake 100 100 95 95 75 65, Maze 90 90 65 40, MiniBehaviour 100 95 % (validation, n =
20 a level)."""
SEEN = ("frozenlake:3-5", "frozenlake:6-8@2", "maze:3-6@2", "minibehaviour:5-6@6")
"""What `levels` learns to see. Without plans beside it and at 4e-4, after 8 000 steps all states of
FrozenLake and Maze are read right, and 87 % of MiniBehaviour's (test, n = 1200, 800, 400); with the
weights of `PAPER` and at 2e-4 10 % of these, whose agent was not found yet (validation, n = 40)."""


RECIPES: dict[str, Recipe] = {
    "full": _at_256(
        {
            "tasks": PAPER, "batch_size": 960, "eval_every": 250, "eval_episodes": 40,
            "save_every": 250,
        },
        {"base": 3000, "sft": 1500, "opcd": 200, "opcd-reward": 120, "direct": 1500},
        answers=128, episodes=500, public=None, batch=1024,
    ),
    "levels": _levels(
        "plan",
        {"first": 14_000, "base": 12_000, "sft": 10_000, "opcd": 2000},
        answers=128,
    ),
    "rehearsal": _at_256(
        {
            "tasks": ("frozenlake:3", "maze:3", "minibehaviour:5"), "batch_size": 12,
            "eval_every": 20, "eval_episodes": 4, "save_every": 20,
        },
        {"base": 60, "sft": 12, "opcd": 3, "opcd-reward": 2, "direct": 6},
        answers=48, episodes=8, public=8, batch=24,
    ),
}  # fmt: skip
"""`full` is for one H200; its learning rates are guesses from those of the tiny models, and not yet
tried. `levels` is for two CPU cores; its steps are guesses too. `rehearsal` runs the plan of `full`
on a CPU and learns almost nothing."""
