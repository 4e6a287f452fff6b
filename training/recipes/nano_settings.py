"""The settings of what `training.recipes.nano` trains and plays, in order; a rehearsal too."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from training.config import TrainingConfig
from training.opcd.config import OPCDConfig
from training.sft_config import BaseConfig, SFTConfig

HERE = Path()  # `training.recipes.nano` fills it in, and the models too
NanoSize = Literal["nano-1m", "nano-4m", "nano-10m"]
RecipeName = Literal["full", "rehearsal"]


@dataclass(frozen=True)
class NanoConfig:
    """Train, distil and evaluate a model of 4 M parameters for all tasks, piece by piece."""

    out: Path = Path("runs/nano")
    """Run folder."""
    minutes: float = 0.0
    """Stop at a checkpoint after so many minutes; 0: go on to the end."""
    size: NanoSize = "nano-4m"
    """`nano-1m`, `nano-4m` or `nano-10m`, by parameters. The state of the last is beyond 64 MiB."""
    recipe: RecipeName = "full"
    """`full`: all levels, on a GPU; `rehearsal`: the same plan at the smallest levels, on a CPU."""
    benchmarks: tuple[str, ...] = ()
    """Public sets, such as `vsp:ROOT visualplanning:ROOT`. They are played at the end; none of
    their boards, nor a symmetric image of one, is trained on."""
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


@dataclass(frozen=True)
class Recipe:
    """Everything that a run of the plan needs to know."""

    stages: dict[str, Stage]
    episodes: int
    """Test boards of each task and level, or all where there are fewer."""
    public: int | None
    """Boards of each public set; None: all."""
    batch: int
    """Boards that are answered at once in evaluation."""


def _recipe(common: dict[str, Any], steps: dict[str, int], answers: int, **rest: Any) -> Recipe:
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
    return Recipe(stages, **rest)


RECIPES: dict[str, Recipe] = {
    # Maze and MiniBehaviour have fewer levels than FrozenLake; a weight makes up for it.
    "full": _recipe(
        {
            "tasks": ("frozenlake:3-8", "maze:3-6@2", "minibehaviour:5-6@2"), "batch_size": 960,
            "eval_every": 250, "eval_episodes": 40, "save_every": 250,
        },
        {"base": 3000, "sft": 1500, "opcd": 200, "opcd-reward": 120, "direct": 1500},
        answers=128, episodes=500, public=None, batch=1024,
    ),
    "rehearsal": _recipe(
        {
            "tasks": ("frozenlake:3", "maze:3", "minibehaviour:5"), "batch_size": 12,
            "eval_every": 20, "eval_episodes": 4, "save_every": 20,
        },
        {"base": 60, "sft": 12, "opcd": 3, "opcd-reward": 2, "direct": 6},
        answers=48, episodes=8, public=8, batch=24,
    ),
}  # fmt: skip
"""`full` is for one H200; its learning rates are guesses from those of the tiny models, and not yet
tried. `rehearsal` runs the same plan on a CPU and learns almost nothing."""


class Line(NamedTuple):
    """A row of the table: the model that plays, its goal and its input."""

    name: str
    model: str
    """The stage whose model plays; empty: the scripted agent `blind`."""
    input: str = "image"
    goal: str = "plan"
    public: bool = True
    """Whether it also plays the public sets, besides our test boards."""


LINES = (
    Line("symbolic-input bound", "base", "text", public=False),
    Line("SFT, perception", "sft", goal="perceive", public=False),
    Line("OPCD", "opcd"),
    Line("OPCD + reward", "opcd-reward"),
    Line("direct-plan SFT", "direct"),
    Line("blind", ""),
)
"""Rows of the table, in the order in which their models are ready."""
