"""The help of the commands: there at once, in groups, with every option and its text."""

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from evaluation.modality_gap import GapConfig
from evaluation.options import GROUPS as EVALUATION
from evaluation.perception import PerceptionConfig
from evaluation.planning import PlanningConfig
from training.opcd.config import OPCDConfig
from training.presets import GROUPS as TRAINING
from training.sft_config import BaseConfig, SFTConfig
from vsp_envs.utils.field_docs import field_docs
from vsp_envs.utils.option_groups import read_grouped

TRAINED = [BaseConfig, SFTConfig, OPCDConfig]
EVALUATED = [PlanningConfig, PerceptionConfig, GapConfig]
HELP = """
import runpy, sys
sys.argv = ["x", "--help"]
try:
    runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
except SystemExit as end:
    assert not end.code, end.code
heavy = {{"torch", "transformers", "accelerate", "peft", "matplotlib", "openai"}} & set(sys.modules)
assert not heavy, heavy
"""


STAGES = ["training.base", "training.sft", "training.opcd.__main__"]
OTHERS = [
    "training.merge", "training.memory", "training.recipes.demo", "training.recipes.ablation",
    "training.recipes.closed_loop", "training.recipes.nano", "evaluation.report.__main__",
    "evaluation.baselines",
]  # fmt: skip
PLAYED = ["evaluation.planning", "evaluation.perception", "evaluation.modality_gap"]


def help_of(modules):
    """What `--help` of these commands prints, one after the other in one process."""
    code = "\n".join(HELP.format(module=module) for module in modules)
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr[-500:]
    return shown.stdout


def test_help_imports_nothing_that_takes_seconds():
    shown = help_of(STAGES + PLAYED + OTHERS)
    assert shown.count("usage:") == len(STAGES + PLAYED + OTHERS)
    assert shown.count("optimisation options") == len(STAGES)
    for group in ("boards", "model"):
        assert shown.count(f"{group} options") == len(STAGES + PLAYED)


@pytest.mark.parametrize(
    ("config_class", "groups"),
    [*((each, TRAINING) for each in TRAINED), *((each, EVALUATION) for each in EVALUATED)],
)
def test_every_option_is_read_and_told_in_its_group(config_class, groups, capsys):
    plain = config_class(out=Path("runs/x"))
    assert read_grouped(config_class, groups, plain, args=[]) == plain
    with pytest.raises(SystemExit):
        read_grouped(config_class, groups, plain, args=["--help"])
    shown, docs = capsys.readouterr().out, field_docs(config_class)
    hidden = (
        "endpoint",
        "turn_policy",
        *(["input", "target"] if config_class is BaseConfig else []),
    )
    for each in fields(config_class):
        if each.name not in hidden:
            assert f"--{each.name.replace('_', '-')}" in shown and docs[each.name]
    assert "boards options" in shown and "model options" in shown


def test_a_group_names_an_option_once_and_no_option_that_is_not_there():
    for groups, classes in ((TRAINING, TRAINED), (EVALUATION, EVALUATED)):
        named = [name for names in groups.values() for name in names]
        known = {each.name for config_class in classes for each in fields(config_class)}
        assert len(named) == len(set(named)) and set(named) <= known
