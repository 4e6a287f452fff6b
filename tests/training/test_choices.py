"""Closed choices of the settings: the names in the types are the names that the code knows."""

from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import pytest

from agents.vlm.checkpoint import DTYPES
from training.base import BaseConfig
from training.config import (
    BYTES,
    Loss,
    Part,
    Precision,
    Schedule,
    SizeName,
    Tracker,
    WeightsDtype,
)
from training.loop.arguments import SCHEDULES
from training.loop.trackers import TRACKERS
from training.merge import MergeConfig, MergedDtype, merge
from training.model.tiny import SIZES
from training.model.trainable import PARTS
from training.opcd.config import OPCDConfig, TeacherDtype
from training.opcd.divergences import DIVERGENCES
from training.presets import main
from training.recipes.ablation import START, AblationConfig, Arm
from training.recipes.ablation import run as ablate
from training.recipes.demo import DemoConfig
from training.recipes.demo import run as demonstrate
from training.recipes.nano import NanoConfig
from training.recipes.nano import run as train_nano
from training.recipes.nano_settings import RECIPES, RecipeName
from training.sft import TARGETS, Input, SFTConfig, Target
from vsp_envs.prompts.question import INPUTS
from vsp_envs.utils import cli


@pytest.mark.parametrize(
    ("choices", "known"),
    [
        (Schedule, SCHEDULES), (Tracker, TRACKERS), (Part, PARTS), (WeightsDtype, BYTES),
        (Precision, DTYPES), (TeacherDtype, DTYPES), (MergedDtype, DTYPES), (Loss, DIVERGENCES),
        (Input, INPUTS), (Target, TARGETS), (SizeName, SIZES), (RecipeName, RECIPES),
        (Arm, START),
    ],
)  # fmt: skip
def test_a_type_names_what_there_is(choices: Any, known: Any) -> None:
    assert sorted(get_args(choices)) == sorted(known)


def named(hint: Any) -> Iterator[str]:
    """The names in a Literal, also in one inside a tuple or a union."""
    for each in get_args(hint):
        yield from [each] if isinstance(each, str) and each else named(each)


def choices_of(config: type) -> dict[str, tuple[str, ...]]:
    """Each flag whose values are closed, with these values."""
    found = {name: tuple(named(hint)) for name, hint in get_type_hints(config).items()}
    return {f"--{name.replace('_', '-')}": names for name, names in found.items() if names}


def test_every_closed_choice_is_known_to_the_command_line() -> None:
    assert {"--schedule", "--precision", "--dtype", "--on-nan", "--freeze"} <= choices_of(
        SFTConfig
    ).keys()
    assert {"--input", "--target"} <= choices_of(SFTConfig).keys()
    opcd = {"--loss", "--teacher-kind", "--teacher-placement", "--teacher-dtype", "--rollout"}
    assert opcd <= choices_of(OPCDConfig).keys()
    assert {"--recipe", "--size"} <= choices_of(NanoConfig).keys()


STAGES = {"base": BaseConfig, "sft": SFTConfig, "opcd": OPCDConfig}
WRONG = [
    (config, stage, flag, choices)
    for stage, config in STAGES.items()
    for flag, choices in choices_of(config).items()
    if not (stage == "base" and flag == "--input")  # fixed, and no flag there
]


@pytest.mark.parametrize(("config", "stage", "flag", "choices"), WRONG)
def test_a_wrong_choice_is_one_error_that_names_the_choices(
    config: type, stage: str, flag: str, choices: tuple[str, ...], capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(lambda _: pytest.fail("it ran"), config, stage, ["--out", "x", flag, "nonsense"])  # type: ignore[type-var]
    refused(stopped, capsys, flag, choices)


COMMANDS = [
    (merge, MergeConfig, ["--run", "x", "--out", "y"]),
    (train_nano, NanoConfig, []),
    (demonstrate, DemoConfig, []),
    (ablate, AblationConfig, []),
]


@pytest.mark.parametrize(("command", "config", "args"), COMMANDS)
def test_so_it_is_with_the_other_commands(
    command: Any, config: type, args: list[str], capsys: pytest.CaptureFixture
) -> None:
    for flag, choices in choices_of(config).items():
        with pytest.raises(SystemExit) as stopped:
            cli.main(command, config, [*args, flag, "nonsense"])
        refused(stopped, capsys, flag, choices)


def refused(stopped: Any, capsys: pytest.CaptureFixture, flag: str, choices: Any) -> None:
    """Exit status 2, and an error that names the flag and its choices, without a traceback."""
    error = capsys.readouterr().err
    assert stopped.value.code == 2
    assert flag in error and all(each in error for each in choices)
    assert "Traceback" not in error
