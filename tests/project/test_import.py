"""What an import costs and brings in, and that no modules import each other in a circle."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import grimp
import gymnasium as gym
import pytest
from gymnasium.envs.registration import EnvSpec

import agents
import vsp_envs

ROOT = Path(__file__).parents[2]

IMPORT = """
import json, sys, time
began = time.process_time()
import vsp_envs
seconds = time.process_time() - began
print(json.dumps([seconds, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def fresh_import() -> Any:
    """Seconds of CPU and top-level modules of `import vsp_envs` in a process of its own."""
    run = [sys.executable, "-W", "error", "-c", IMPORT]
    return json.loads(subprocess.run(run, check=True, capture_output=True, cwd=ROOT).stdout)


def test_importing_vsp_envs_takes_less_than_a_second() -> None:
    # CPU time: a busy machine stretches the clock, not the work. The best of three, as the first
    # may compile.
    assert min(fresh_import()[0] for _ in range(3)) < 1


def test_importing_vsp_envs_imports_nothing_heavy() -> None:
    heavy = {"torch", "transformers", "accelerate", "peft", "pygame", "matplotlib", "tyro"}
    assert not heavy & set(fresh_import()[1])


@pytest.mark.parametrize("package", ["vsp_envs", "agents", "evaluation", "training", "benchmarks"])
def test_no_modules_import_each_other_in_a_circle(package: str) -> None:
    # Imports in functions and under TYPE_CHECKING count too: a reader follows them all the same.
    graph = grimp.build_graph(package, cache_dir=None)
    imports = {each: graph.find_modules_directly_imported_by(each) for each in graph.modules}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(" is imported by ".join(error.args[1]))


def test_agents_is_our_package_and_not_the_sdk_of_that_name() -> None:
    assert Path(agents.__file__ or "").parent == ROOT / "agents"


def test_public_names_exist_are_sorted_and_say_what_they_are() -> None:
    names = vsp_envs.__all__
    # Constants, then classes, then functions, each by name: the order that linters keep.
    assert names == sorted(names, key=lambda name: (not name.isupper(), name[0].islower(), name))
    assert len(set(names)) == len(names)
    for name in names:
        assert hasattr(vsp_envs, name), name
        if name != "TASKS":
            assert getattr(vsp_envs, name).__doc__, name


def test_the_names_that_stay_stable_are_public() -> None:
    stable = {"load_layout", "shortest_plan", "render", "describe", "parse_plan", "score_reply"}
    assert stable <= set(vsp_envs.__all__)


def test_every_task_is_found_by_its_folder() -> None:
    folders = {each.parent.name for each in (ROOT / "vsp_envs" / "tasks").glob("*/__init__.py")}
    assert set(vsp_envs.TASKS) == folders >= {"frozenlake", "maze", "minibehaviour"}
    assert all(name == task.name for name, task in vsp_envs.TASKS.items())


def test_a_raised_version_is_a_new_id_and_the_old_one_names_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    again = replace(vsp_envs.TASKS["maze"], version=1)
    assert again.id == "VSP/Maze-v1"
    monkeypatch.delitem(gym.registry, "VSP/Maze-v0")
    monkeypatch.setitem(gym.registry, again.id, EnvSpec(again.id))
    with pytest.warns(DeprecationWarning), pytest.raises(gym.error.DeprecatedEnv, match="Maze-v1"):
        gym.make("VSP/Maze-v0")
