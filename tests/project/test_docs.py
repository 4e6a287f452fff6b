"""The pages are true: links lead to files, names to modules, options to fields; prompts are those
asked."""

import re
from pathlib import Path

import numpy as np
import pytest

from agents.agent import View
from vsp_envs import load_layout
from vsp_envs.prompts.question import text_prompt, visual_prompt
from vsp_envs.prompts.targets import planning_target

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
CODE = ["agents", "evaluation", "training", "vsp_envs", "examples", "benchmarks"]
SOURCE = "".join(
    file.read_text() for folder in CODE for file in sorted((ROOT / folder).rglob("*.py"))
)
OPTIONS = {
    *(name.replace("_", "-") for name in re.findall(r"^    (\w+): .+", SOURCE, re.MULTILINE)),
    *re.findall(r'add_argument\("--([\w-]+)"', SOURCE),
    "help",
}
COMMAND = r"python -m (?:agents|evaluation|training|vsp_envs|examples|benchmarks)\.[^`\n]*"
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


# On the site the same links are checked by mkdocs; these are what a reader of the files follows.
@every_page
def test_links_lead_to_files_in_the_tree(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text())
    assert not [link for link in links if not (page.parent / link).exists()]


@every_page
def test_commands_have_the_options_that_they_are_shown_with(page: Path) -> None:
    commands = re.findall(COMMAND, page.read_text().replace("\\\n", " "))
    shown = {option for command in commands for option in re.findall(r"--([a-z][\w-]*)", command)}
    assert not shown - OPTIONS


@every_page
def test_modules_and_files_that_are_named_are_in_the_tree(page: Path) -> None:
    text = page.read_text()
    text = re.sub(r"entry-points\.\S+", "", text)  # names of groups, not of modules
    names = re.findall(rf"\b(?:{'|'.join(CODE)})(?:\.(?!md\b)[a-z_]\w*)+", text)
    paths = re.findall(r"\b((?:" + "|".join([*CODE, "tests"]) + r")/[\w/]+\.\w+)", text)
    assert not [name for name in names if not is_there(name)]
    assert not [path for path in paths if not (ROOT / path).exists()]


def is_there(name: str) -> bool:
    """Whether a dotted name is a module, or a name that its module (or package) holds."""
    path, held = ROOT / name.replace(".", "/"), name.rpartition(".")[2]
    if path.is_dir() or path.with_suffix(".py").exists():
        return True
    homes = [path.parent.with_suffix(".py"), path.parent / "__init__.py"]
    return any(re.search(rf"\b{held}\b", home.read_text()) for home in homes if home.exists())


def test_the_prompts_of_the_page_on_the_method_are_those_that_models_are_given() -> None:
    words = " ".join((ROOT / "docs/method.md").read_text().split())
    lake = load_layout("frozenlake", {"map": ["SFF", "FHF", "FFG"]})
    seen = visual_prompt("frozenlake", np.zeros((1, 1, 3), np.uint8), "plan", View()).text
    told = text_prompt(lake, "plan", "full").text
    state = "\n".join(line for line in told.splitlines() if line not in seen.splitlines())
    for text in (seen, state, planning_target(lake)):
        assert " ".join(text.split()) in words
