"""What every evaluation asks for, and what it makes of it: the agent and the boards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import tyro

from agents.agent import Agent
from agents.backends.openai import Endpoint, OpenAIAgent
from agents.recorded_human import Human
from agents.rollout import INPUTS, Case
from agents.sampling import Sampling
from agents.scripted import SCRIPTED
from vsp_envs import LayoutSpec, draw_distinct
from vsp_envs.core.splits import check_split
from vsp_envs.core.task_level import TaskLevel, select_task_levels
from vsp_envs.public_sets import read_boards
from vsp_envs.rendering.renderer import check_theme
from vsp_envs.utils.choices import pick_name

NEEDS = {
    "hf": "a checkpoint: --model PATH",
    "vllm": "a checkpoint: --model PATH",
    "openai": "the model's name at the endpoint: --model NAME",
    "human": "a file of episodes: --model PATH",
}


@dataclass(frozen=True, kw_only=True)
class EvalConfig:
    """What every evaluation asks for."""

    out: Path
    """Folder of the run: a stopped run goes on there, one of other settings is refused."""
    agent: str = "hf"
    """`hf` (a local checkpoint), `vllm` (one in vLLM's engine), `openai` (behind an endpoint),
    `oracle` (a shortest plan), `random` (as many random actions), `blind` (knows start and goal,
    ignores what is between) or `human` (what `vsp_envs.play --record` wrote)."""
    model: str = ""
    """Checkpoint folder or hub name, model name at the endpoint, or file of a person's episodes."""
    adapter: str = ""
    """Folder of a LoRA adapter for the `hf` and `vllm` agents."""
    tasks: tuple[str, ...] = ("frozenlake", "maze", "minibehaviour")
    """Tasks, each with levels if wanted: `frozenlake:3-8 maze:3,6`."""
    levels: tuple[int, ...] = ()
    """Levels of the tasks that name none; without them a task has the levels of the paper."""
    split: str = "test"
    """`train`, `val` or `test`: by content hash, so that no board is in two of them."""
    episodes: int = 200
    """Different boards per task and level."""
    benchmark: str = ""
    """A public test set in place of drawn boards: `vsp:ROOT`, `visualplanning:ROOT` or
    `diffthinker:ROOT`; all of its boards of the tasks and levels that `--tasks` names."""
    pictures: str = "rendered"
    """Pictures of a public set: `rendered` by us, or the `original` files (VSP's)."""
    input: str = "image"
    """`image`, or `text` for the symbolic state."""
    theme: str = ""
    """The drawing; empty for the one that the model was trained on, or `classic`."""
    image_size: int = 0
    """Side of the image in pixels; 0 for what the model was trained on, or 256."""
    seed: int = 0
    """Seed of the boards, of the random agent and of sampling."""
    temperature: float = 0.0
    """Sampling temperature; 0 takes the likeliest token."""
    max_new_tokens: int = 256
    """Longest reply in tokens."""
    batch_size: int = 64
    """Boards that a local model answers at once."""
    device: str = "auto"
    """Where the `hf` agent runs: `cpu`, `cuda`, `auto` for a GPU where there is one, or `map` to
    spread the model over all of them."""
    dtype: str = "auto"
    """Weights of the `hf` and `vllm` agents: `float32`, `bfloat16`, or `auto` as stored."""
    endpoint: tyro.conf.OmitArgPrefixes[Endpoint] = field(default_factory=Endpoint)
    ask_errors: bool = False
    """Ask once more for the replies of this run that never came."""
    quiet: bool = False
    """No live table while it runs."""

    def sampling(self) -> Sampling:
        """How tokens are drawn."""
        return Sampling(self.temperature, self.max_new_tokens, self.seed)


def make_agent(options: EvalConfig) -> Agent:
    """The agent that the options name, with the view that they ask for.

    Raises ValueError, or CheckpointError for a bad model.
    """
    agent = _agent(options)
    wanted: dict[str, Any] = {"theme": options.theme} if options.theme else {}
    if options.image_size:
        wanted |= {"image_size": options.image_size, "cell_pixels": 0}
    agent.view = replace(agent.view, **wanted)
    return agent


def _agent(options: EvalConfig) -> Agent:
    name = pick_name("agent", options.agent, [*NEEDS, *SCRIPTED])
    if name in SCRIPTED:
        return SCRIPTED[name](options.seed)
    if not options.model:
        raise ValueError(f"the {name} agent needs {NEEDS[name]}")
    if name == "human":
        return Human(Path(options.model))
    if name == "openai":
        return OpenAIAgent(options.model, options.endpoint, options.sampling())
    local: dict[str, Any] = {
        "sampling": options.sampling(),
        "dtype": options.dtype,
        "adapter": options.adapter,
        "batch_size": options.batch_size,
    }
    # torch takes seconds that the other agents need not wait
    if name == "vllm":
        from agents.backends.vllm import VLLMAgent

        return VLLMAgent.load(options.model, **local)
    from agents.backends.hf import HFAgent

    return HFAgent.load(options.model, device=options.device, **local)


class CaseSet(NamedTuple):
    """Boards that are not drawn."""

    source: str
    """Where they are from: two runs of equal sources and settings are the same run."""
    cases: list[Case]


def given_cases(options: EvalConfig, agent: Agent, goal: str) -> CaseSet | None:
    """The boards of a public set or those that a person played; None if they are to be drawn.

    Raises ValueError for a theme, input or set that cannot be.
    """
    pick_name("input", options.input, INPUTS)
    kinds = select_task_levels(options.tasks, options.levels)
    for task in dict.fromkeys(kind.task for kind in kinds):
        check_theme(task, agent.view.theme)
    if isinstance(agent, Human):
        cases = [Case(layout, options.input, goal) for layout in agent.layouts()]
        return CaseSet(str(agent.path), cases)
    if options.benchmark:
        return CaseSet(
            f"{options.benchmark} ({options.pictures})", public_cases(options, kinds, goal)
        )
    return None


def boards_asked(given: CaseSet | None, split: str | None, episodes: int) -> dict[str, Any]:
    """What the settings of a run say of its boards."""
    return {"boards": given.source} if given else {"split": split, "episodes": episodes}


def draw_cases(
    kinds: Sequence[TaskLevel], split: str | None, episodes: int, input: str, goal: str, seed: int
) -> list[Case]:
    """`episodes` different boards of each kind. Raises ValueError, also if there are too few."""
    pick_name("input", input, INPUTS)
    if episodes < 1:
        raise ValueError(f"--episodes must be at least 1, got {episodes}")
    return [
        Case(layout, input, goal)
        for kind in kinds
        for layout in draw_distinct(
            LayoutSpec(kind.task, kind.level, check_split(split)), episodes, seed
        )
    ]


def public_cases(options: EvalConfig, kinds: list[TaskLevel], goal: str) -> list[Case]:
    """The boards of a public set that are of a kind asked for; without `--tasks`, all of them."""
    name, _, root = options.benchmark.partition(":")
    original = (
        pick_name("kind of picture", options.pictures, ("rendered", "original")) == "original"
    )
    everything = options.tasks == EvalConfig.tasks and not options.levels
    cases: list[Case] = []
    for board in read_boards(Path(root), name):
        layout = board.layout
        if not everything and TaskLevel(layout.task, layout.level) not in kinds:
            continue
        shown: dict[str, Any] = {}
        if original:
            if board.picture is None:
                raise ValueError(
                    f"{board.source} has no picture beside it; use --pictures rendered"
                )
            shown = {"picture": str(board.picture), "art": name}
        cases.append(Case(layout, options.input, goal, f"{name}:{board.source}", **shown))
    if not cases:
        raise ValueError(f"{options.benchmark} has no board of {', '.join(map(str, kinds))}")
    return cases
