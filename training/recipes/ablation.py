"""An ablation on tiny models and a CPU: `python -m training.recipes.ablation`.

For each kind of board and seed: a base model that plans on text, perception SFT from it, then OPCD
and its alternatives. All of them play the same held-out boards from the image alone. Direct-plan
SFT, of the answer alone and of state, route and answer, sees as many boards as perception SFT and
OPCD together. A quarter of the base's prompts include
a reference plan, so that the base can use one as a teacher.
"""

from __future__ import annotations

if __name__ == "__main__":  # before torch is imported, so that --help is there at once
    from training.recipes.ablation_settings import AblationConfig
    from vsp_envs.utils.cli import main

    main("training.recipes.ablation:run", AblationConfig)
    raise SystemExit

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from agents.backends.hf import HFAgent
from agents.backends.prefilled_route import ForcedRoute
from agents.sampling import Sampling
from evaluation import planning
from evaluation.options import sample_cases
from training.config import TrainingConfig
from training.opcd.config import OPCDConfig
from training.recipes.ablation_report import T975, write_report
from training.recipes.ablation_settings import AblationConfig, Arm
from training.recipes.stages import train
from training.sft_config import BaseConfig, SFTConfig, Target
from vsp_envs.core.task_level import TaskLevel, select_task_levels
from vsp_envs.utils.choices import pick_name


class Steps(NamedTuple):
    """Optimizer steps, of `SFT_BATCH` answers in SFT from images and of `BATCH` in the others, and
    the language model's rate in perception SFT."""

    base: int
    sft: int
    opcd: int
    language_rate: float = 1e-4

    @property
    def direct(self) -> int:
        """Steps of direct SFT, which sees as many boards as perception SFT and OPCD together."""
        return self.sft + self.opcd * BATCH // SFT_BATCH


STEPS = {
    "frozenlake:3": Steps(600, 900, 100),
    "frozenlake:4": Steps(900, 1200, 100),
    "maze:3": Steps(900, 900, 100),
    "minibehaviour:5": Steps(900, 2000, 100, 3e-4),
}
"""Chosen on validation boards with seed 3, not reported; docs/results/ablation.md says how."""
BATCH = 64
"""Answers per optimizer step of the base, OPCD and RLVR, which has 8 boards with 8 answers each."""
SFT_BATCH = 16
"""Answers per step of SFT from images: it sees after half as many boards as with 64 a step."""
SEEING: dict[str, Any] = {
    "schedule": "half-linear", "vision_learning_rate": 3e-3, "batch_size": SFT_BATCH,
    "eval_every": 100,
}  # fmt: skip
"""What every SFT from images has in common."""
DIRECT_RATE = 3e-4
"""The language model's rate in direct SFT."""
TOKENS = 64
"""Longest answer sampled; the longest reference answer of 1 500 boards of each kind has 46."""

START: dict[str, Arm | Literal[""]] = {
    "base": "",
    "answer_sft": "base",
    "plan_sft": "base",
    "sft": "base",
    "opcd_only": "base",
    "opcd": "sft",
    "opcd_plan": "sft",
    "opcd_sampled": "sft",
    "rlvr": "sft",
}
"""Arm → the arm whose model it starts from. The teacher is always the base."""


def steps_of(kind: str, sft_steps: int = 0) -> Steps:
    """The steps of a kind of board; `sft_steps`, unless 0, takes the place of perception SFT's."""
    steps = STEPS[kind]
    return steps._replace(sft=sft_steps or steps.sft)


DIRECT: dict[str, Target] = {"answer_sft": "answer", "plan_sft": "plan"}
"""Arm of direct-plan SFT → what it learns to answer."""


def settings(
    arm: Arm, kind: TaskLevel, folder: Path, seed: int, sft_steps: int = 0
) -> TrainingConfig:
    """The settings of one arm's training in the folder of its kind and seed."""
    steps = steps_of(str(kind), sft_steps)
    shared: dict[str, Any] = {
        "out": folder / arm, "tasks": (str(kind),), "seed": seed, "eval_every": 25,
        "eval_episodes": 50, "batch_size": BATCH,
    }  # fmt: skip
    if arm == "base":
        shared |= {"eval_every": 100, "size": "S", "plan_share": 0.25}
        return BaseConfig(**shared, steps=steps.base, learning_rate=3e-3)
    shared["model"] = str(folder / START[arm])
    seeing = shared | SEEING
    if arm == "sft":
        return SFTConfig(**seeing, steps=steps.sft, learning_rate=steps.language_rate)
    if arm in DIRECT:
        seeing |= {"steps": steps.direct, "learning_rate": DIRECT_RATE}
        return SFTConfig(**seeing, target=DIRECT[arm])
    distilled = OPCDConfig(
        **shared, teacher=str(folder / "base"), steps=steps.opcd, learning_rate=2e-3,
        max_new_tokens=TOKENS,
    )  # fmt: skip
    if arm == "rlvr":
        rewarded: dict[str, Any] = {
            "distill_weight": 0.0,
            "reward_weight": 1.0,
            "batch_size": BATCH // 8,
        }
        return replace(distilled, teacher="", rollouts=8, **rewarded)
    return replace(distilled, **DIFFERS.get(arm, {}))


DIFFERS: dict[Arm, dict[str, Any]] = {
    "opcd_plan": {"teacher_plan": True},
    "opcd_sampled": {"loss": "sampled"},
}
"""How arms differ from OPCD's default settings."""


class Player(NamedTuple):
    """A row of the table: which arm's model plays, by what input, and how."""

    arm: Arm
    input: str = "image"
    forced: bool = False
    ask: str = "plan"


ROWS = {
    "base, from text (the bound)": Player("base", "text"),
    "base": Player("base"),
    "direct-plan SFT, the answer alone": Player("answer_sft", ask="answer"),
    "direct-plan SFT": Player("plan_sft"),
    "perception SFT": Player("sft"),
    "perception SFT, made to go on": Player("sft", forced=True),
    "OPCD without SFT": Player("opcd_only"),
    "SFT + OPCD": Player("opcd"),
    "SFT + OPCD, plan in the teacher's context": Player("opcd_plan"),
    "SFT + OPCD, sampled tokens": Player("opcd_sampled"),
    "SFT + RLVR": Player("rlvr"),
}


CURVES: dict[str, str] = {
    "answer_sft": "direct SFT, the answer alone",
    "plan_sft": "direct-plan SFT",
    "opcd_only": "OPCD without SFT",
    "opcd": "SFT + OPCD",
    "opcd_plan": "… plan given",
    "opcd_sampled": "… sampled tokens",
    "rlvr": "SFT + RLVR",
}
"""The arms whose success on validation boards the figure shows."""
LEAD = """Success on held-out test boards from the image alone (the first row: from text), in per
cent: the mean over seeds and the wider of two 95 % intervals, Student's over seeds and Wilson's
over boards. One model of 0.5 M parameters per kind of board and seed.
Made by `python -m training.recipes.ablation`."""


def folder_of(row: Player) -> str:
    """The name of the run folder of a row."""
    return "-".join([row.arm, row.input, *(["forced"] if row.forced else [])])


def check_config(config: AblationConfig) -> None:
    """Raise ValueError for settings that cannot be trained or reported."""
    for arm in config.arms:
        pick_name("arm", arm, get_args(Arm))
        if START[arm] and START[arm] not in config.arms:
            raise ValueError(f"the arm {arm} starts from {START[arm]}; name that too")
    for kind in select_task_levels(config.tasks):
        pick_name("kind of board", str(kind), STEPS)
    if config.sft_steps < 0:
        raise ValueError(f"--sft-steps must be at least 0, got {config.sft_steps}")
    if not 0 < len(set(config.seeds)) == len(config.seeds) <= max(T975):
        raise ValueError(f"--seeds must be 1 to {max(T975)} different ones, got {config.seeds}")
    sample_cases(select_task_levels(config.tasks), "test", config.episodes, "image", "plan", seed=0)


def run(config: AblationConfig) -> None:
    """Train and play what is not done yet, kind by kind within a seed."""
    check_config(config)
    arms = config.arms or get_args(Arm)
    for seed in config.seeds:
        for kind in select_task_levels(config.tasks):
            folder = config.out / str(kind).replace(":", "-") / str(seed)
            for arm in arms:
                print(f"— {kind} seed {seed}: {arm}", flush=True)
                train(settings(arm, kind, folder, seed, config.sft_steps))
            play(kind, folder, arms, config.episodes)
    kinds = [str(kind) for kind in select_task_levels(config.tasks)]
    rows = {title: folder_of(row) for title, row in ROWS.items() if row.arm in arms}
    after_sft = [arm for arm in arms if START[arm] == "sft"]
    write_report(config.out, rows, CURVES, kinds, after_sft, LEAD)
    print(f"report: {config.out / 'ablation.md'}")
    folder = config.out / kinds[0].replace(":", "-") / str(config.seeds[0])
    print(f"next: python -m evaluation.report {folder / 'played'}/* --out comparison.html")


def play(kind: TaskLevel, folder: Path, arms: Sequence[str], episodes: int) -> None:
    """Play every row whose arm is trained, each in a run folder of its own."""
    for name, (arm, input, forced, ask) in ROWS.items():
        if arm not in arms:
            continue
        out = folder / "played" / folder_of(ROWS[name])
        model = HFAgent.load(
            str(folder / arm), dtype="float32", sampling=Sampling(max_new_tokens=TOKENS)
        )
        agent = ForcedRoute(model) if forced else model
        print(f"— {kind}: {name}", flush=True)
        planning.evaluate(agent, [kind], "test", episodes, input, out=out, progress=True, ask=ask)
