"""Every block of the page about RL libraries runs as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "your-rl-library.md").read_text()
BLOCKS = [
    (f"{title} {number}", block)
    for title, text in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
]
NEEDS = ["stable_baselines3", "sb3_contrib", "torchrl", "tianshou", "ray", "minari", "pufferlib"]


@pytest.mark.slow
@pytest.mark.parametrize(("title", "block"), BLOCKS, ids=[title for title, _ in BLOCKS])
def test_the_lines_of_a_library_run(title: str, block: str, tmp_path: Path) -> None:
    missing = [
        name for name in NEEDS
        if re.search(rf"^(import|from) {name}\b", block, re.MULTILINE) and not find_spec(name)
    ]  # fmt: skip
    if missing:
        pytest.skip(f"needs {missing[0]}: make test-clients installs it")
    program = tmp_path / "program.py"
    program.write_text(block)
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [sys.executable, program], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
