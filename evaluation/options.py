"""The settings of every evaluation, and the agent and the boards that they name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import tyro

from agents.agent import Agent, View
from agents.backends.endpoint import Endpoint
from agents.backends.engine_options import engine_options
from agents.own import announced, load_agent
from agents.recorded_human import Human
from agents.rollout import Case
from agents.sampling import Sampling
from agents.scripted import SCRIPTED
from evaluation.processes import take_gpus
from evaluation.reply_status import total, unanswered_line
from vsp_envs import LayoutSpec, draw_distinct
from vsp_envs.core.splits import Split, check_split
from vsp_envs.core.task_level import TaskLevel, select_task_levels
from vsp_envs.prompts.question import INPUTS
from vsp_envs.prompts.texts import style_of
from vsp_envs.public_sets import FORMATS, PublicBoard, read_boards
from vsp_envs.rendering.renderer import check_theme
from vsp_envs.utils.choices import check_count, pick_name
from vsp_envs.utils.cli import ThemeNames
from vsp_envs.utils.files import read_json

Input = Literal["image", "text"]
Pictures = Literal["rendered", "original", "available"]
DType = Literal["auto", "float32", "bfloat16"]
RuleName = Literal["env", "mgsd-train", "mgsd-eval", "visualplanning"]

NEEDS = {
    "hf": "a checkpoint: --model PATH",
    "vllm": "a checkpoint: --model PATH",
    "openai": "the model's name at the endpoint: --model NAME",
    "human": "a file of episodes: --model PATH",
}


@dataclass(frozen=True, kw_only=True)
class EvalConfig:
    """The settings of every evaluation."""

    out: Path
    """Folder of the run. A stopped run resumes there; one of other settings is refused."""
    agent: str = "hf"
    """`hf` (a local checkpoint), `vllm` (one in vLLM's engine), `openai` (a model at an endpoint),
    `oracle` (a shortest plan), `random` (as many random actions), `blind` (knows start and goal,
    ignores obstacles), `human` (what `vsp_envs.play --record` wrote), or one of your own as
    `module:Class`."""
    model: str = ""
    """Checkpoint folder or hub name, model name at the endpoint, or file of recorded episodes."""
    adapter: str = ""
    """Folder of a LoRA adapter for the `hf` and `vllm` agents."""
    tasks: tuple[str, ...] = ("frozenlake", "maze", "minibehaviour")
    """Tasks, with levels if you like: `frozenlake:3-8 maze:3,6`; with several public sets also the
    set: `frozenlake@vsp maze:3-6@visualplanning`."""
    levels: tuple[int, ...] = ()
    """Levels of the tasks that name none. The default is the levels of the paper."""
    split: Split = "test"
    """Which boards to sample. A hash of the board decides, so no board is in two splits."""
    episodes: int = 200
    """Different boards per task and level."""
    benchmark: tuple[str, ...] = ()
    """Public test sets instead of sampled boards: `vsp:ROOT`, `visualplanning:ROOT`,
    `diffthinker:ROOT`. All of their boards of the tasks and levels in `--tasks` are used."""
    pictures: Pictures = "rendered"
    """Images of a public set: `rendered` by us, the `original` files (VSP's), or what is
    `available`: the originals of the sets that have them, ours of the others."""
    picture_size: int = 0
    """Side to which original pictures are resized, in pixels; 0 leaves them as they are."""
    input: Input = "image"
    """What the agent reads: the `image`, or the symbolic state as `text`."""
    theme: ThemeNames = ""
    """Theme of the images, or one for each task: `frozenlake=gymnasium maze=thin`. The default is
    the one that the model was trained on, or `classic`."""
    prompts: str = ""
    """Folder of prompts in place of ours; see `vsp_envs.prompts.texts`."""
    image_size: int = 0
    """Side of the image in pixels. 0 is the size that the model was trained on, or 256."""
    seed: int = 0
    """Seed of the boards, of the random agent and of sampling."""
    temperature: float = 0.0
    """Sampling temperature; 0 takes the most likely token."""
    max_new_tokens: int = Sampling.max_new_tokens
    """Longest reply in tokens. Replies that it cuts off are counted in the results and the report;
    models that think in text need more."""
    batch_size: int = 64
    """Boards per batch of a local model."""
    device: str = "auto"
    """Where the `hf` agent runs: a device of torch such as `cpu` or `cuda:1`, `auto` for a GPU if
    there is one, or `map` to spread the model over all GPUs."""
    dtype: DType = "auto"
    """Weights of the `hf` and `vllm` agents; `auto` keeps the stored type."""
    engine: str = "{}"
    """Options of the `vllm` agent's engine, as JSON:
    `{"max_model_len": 8192, "gpu_memory_utilization": 0.8, "tensor_parallel_size": 2}`."""
    endpoint: tyro.conf.OmitArgPrefixes[Endpoint] = field(default_factory=Endpoint)
    view: str = ""
    """Checkpoint folder of ours, where the `openai` agent asks a server of it: boards are shown as
    that model was trained to see them."""
    style: Literal["", "full", "brief"] = ""
    """Wording of the prompts; empty for what the model was trained on."""
    cell_pixels: int = 0
    """Pixels per cell: pictures grow with the level; 0 for what the model was trained on."""
    ask_errors: bool = False
    """Ask once more for replies of this run that never came."""
    max_failed: float = 0.05
    """Share of replies that may never come; above it the command ends with exit code 1."""
    quiet: bool = False
    """Show no live table during the run."""

    def sampling(self) -> Sampling:
        """How tokens are sampled."""
        return Sampling(self.temperature, self.max_new_tokens, self.seed)


@dataclass(frozen=True, kw_only=True)
class SeveralConfig(EvalConfig):
    """The settings of an evaluation in which a board may have several answers."""

    samples: int = 1
    """Answers per board: their mean success with an interval over boards, pass@k and the majority
    vote. A model needs a `--temperature` above 0."""


def check_samples(config: SeveralConfig) -> None:
    """Raise ValueError for several answers that would all be the same."""
    if config.samples > 1 and config.agent == "human":
        raise ValueError("--samples asks an agent again; a recorded person has one answer a board")
    if config.samples > 1 and config.agent not in SCRIPTED and not config.temperature:
        raise ValueError(
            f"--samples {config.samples} at --temperature 0 is the same answer {config.samples} "
            "times; give a --temperature above 0"
        )


def several_cases(cases: Sequence[Case], samples: int) -> list[Case]:
    """Each case as often as it is to be answered. Raises ValueError for less than once."""
    if samples < 1:
        raise ValueError(f"--samples must be at least 1, got {samples}")
    return [replace(case, sample=sample) for case in cases for sample in range(samples)]


GROUPS = {
    "boards": (
        "tasks", "levels", "split", "episodes", "samples", "benchmark", "protocol", "pictures",
        "picture_size", "input", "theme", "image_size", "ask", "prompts",
    ),
    "model": (
        "agent", "model", "adapter", "device", "dtype", "batch_size", "temperature",
        "max_new_tokens", "engine",
    ),
}  # fmt: skip
"""The groups of `--help`; what none of them names is about the run."""


def make_agent(config: EvalConfig, own_scale: bool = False) -> Agent:
    """The agent that the settings name, with their theme and image size.

    With `own_scale` a checkpoint that was trained at so many pixels per cell keeps them.
    Raises ValueError for invalid settings and CheckpointError for a bad model.
    """
    agent = _agent(config)
    wanted: dict[str, Any] = {}
    if config.image_size and config.cell_pixels:
        raise ValueError("--image-size and --cell-pixels both set the size of pictures; name one")
    if config.image_size and not (own_scale and agent.view.cell_pixels):
        wanted |= {"image_size": config.image_size, "cell_pixels": 0}
    if config.cell_pixels:
        wanted["cell_pixels"] = config.cell_pixels
    if config.style and config.prompts:
        raise ValueError("--style and --prompts both choose the prompts; name one")
    if config.style or config.prompts:
        wanted["style"] = config.style or style_of(config.prompts)
    agent.view = replace(agent.view.with_theme(config.theme), **wanted)
    return agent


def _agent(config: EvalConfig) -> Agent:
    options = engine_options(config.engine)
    if options and config.agent != "vllm":
        raise ValueError(
            f"--engine is for --agent vllm; the {config.agent} agent has no such engine"
        )
    if ":" in config.agent:
        return load_agent(config.agent)
    own = announced()
    name = pick_name("agent", config.agent, [*NEEDS, *SCRIPTED, *own])
    if name in own:
        return load_agent(own[name])
    if name in SCRIPTED:
        return SCRIPTED[name](config.seed)
    if not config.model:
        raise ValueError(f"the {name} agent needs {NEEDS[name]}")
    if name == "human":
        return Human(Path(config.model))
    # Imported here to leave torch, vLLM and the SDK out of the start-up of the other agents.
    if name == "openai":
        from agents.backends.openai import OpenAIAgent

        view = read_view(config.view) if config.view else None
        return OpenAIAgent(config.model, config.endpoint, config.sampling(), view)
    local: dict[str, Any] = {
        "sampling": config.sampling(),
        "dtype": config.dtype,
        "adapter": config.adapter,
        "batch_size": config.batch_size,
    }
    if name == "vllm":
        from agents.backends.vllm import VLLMAgent

        take_gpus(options.get("tensor_parallel_size", 1))
        return VLLMAgent.load(config.model, **local, **options)
    from agents.backends.hf import HFAgent

    return HFAgent.load(config.model, device=config.device, **local)


def read_view(folder: str) -> View:
    """The view that a checkpoint's config holds. Raises ValueError if there is none."""
    file = Path(folder, "config.json")
    if not file.is_file():
        raise ValueError(f"no checkpoint at {folder!r}: there is no config.json in it")
    held: Any = read_json(file).get("vsp_view")
    try:
        return View(**held)
    except TypeError:
        raise ValueError(
            f"{file} does not say how boards are shown, so it is not a checkpoint of ours; "
            "use --style and --cell-pixels or --image-size"
        ) from None


def end_by_failures(results: Sequence[Mapping[str, Any]], most: float) -> None:
    """Say in the last line which replies never came, if any; exit code 1 if more than `most`."""
    if line := unanswered_line(results):
        print(line)
        counts = [found["count"] for each in results if (found := each.get("unanswered"))]
        if sum(counts) > most * sum(map(total, results)):
            raise SystemExit(1)


class CaseSet(NamedTuple):
    """Boards that are given, not sampled."""

    source: str
    """Where they come from. Two runs with equal source and settings are the same run."""
    cases: list[Case]


def given_cases(config: EvalConfig, agent: Agent, goal: str) -> CaseSet | None:
    """The boards of a public set or those that a person played; None to sample boards.

    Raises ValueError for an invalid theme, input or set.
    """
    pick_name("input", config.input, INPUTS)
    check_count("--picture-size", config.picture_size)
    if config.pictures != "rendered" and not config.benchmark:
        raise ValueError(
            f"--pictures {config.pictures} is about a public set; name it: --benchmark vsp:ROOT"
        )
    task_levels = task_levels_of(config)
    for task in dict.fromkeys(each.task for each in task_levels):
        check_theme(task, agent.view.theme_of(task))
    if isinstance(agent, Human):
        cases = [Case(layout, config.input, goal) for layout in agent.layouts()]
        return CaseSet(str(agent.path), cases)
    if config.benchmark:
        return CaseSet(_source(config), public_cases(config, task_levels, goal))
    return None


def named_levels(tasks: Sequence[str]) -> list[TaskLevel]:
    """The task levels of names such as `frozenlake:3-5`. Raises ValueError for none."""
    if not tasks:
        raise ValueError("name the boards, for example tasks=['frozenlake:3']")
    return select_task_levels([tasks] if isinstance(tasks, str) else tasks)


def _source(config: EvalConfig) -> str:
    size = f", {config.picture_size} px" if config.picture_size else ""
    picked = [task for task in config.tasks if "@" in task]
    return " ".join([*config.benchmark, f"({config.pictures}{size})", *picked])


def task_levels_of(config: EvalConfig) -> list[TaskLevel]:
    """The tasks and levels that the settings name. Raises ValueError."""
    return list(sources_of(config))


def sources_of(config: EvalConfig) -> dict[TaskLevel, str]:
    """Task and level → the public set that `--tasks` names for it, or "". Raises ValueError."""
    sets = _roots(config)
    sources: dict[TaskLevel, str] = {}
    for selector in config.tasks:
        task, at, source = selector.partition("@")
        if at and pick_name("public set", source, FORMATS) not in sets:
            raise ValueError(
                f"--tasks {selector} is of a public set that is not given: "
                f"--benchmark {' '.join([*config.benchmark, f'{source}:ROOT'])}"
            )
        for each in select_task_levels([task], config.levels):
            if sources.setdefault(each, source) != source:
                raise ValueError(f"--tasks names {each} twice, from different sets; name one")
    return sources or dict.fromkeys(select_task_levels(config.tasks, config.levels), "")


def _roots(config: EvalConfig) -> dict[str, Path]:
    """The public sets and their folders. Raises ValueError for an unknown set, one without a folder
    and one that is named twice."""
    roots: dict[str, Path] = {}
    for each in config.benchmark:
        name, _, root = each.partition(":")
        if pick_name("benchmark", name, FORMATS) and not root:
            raise ValueError(f"--benchmark {each} names no folder: {name}:ROOT")
        if name in roots:
            raise ValueError(f"--benchmark names {name} twice; one run takes each set once")
        roots[name] = Path(root)
    return roots


def boards_settings(given: CaseSet | None, split: str | None, episodes: int) -> dict[str, Any]:
    """The part of a run's settings that names its boards."""
    return {"boards": given.source} if given else {"split": split, "episodes": episodes}


def sample_cases(
    task_levels: Sequence[TaskLevel],
    split: str | None,
    episodes: int,
    input: str,
    goal: str,
    seed: int,
) -> list[Case]:
    """`episodes` different boards of each task level. Raises ValueError if there are too few."""
    pick_name("input", input, INPUTS)
    if episodes < 1:
        raise ValueError(f"--episodes must be at least 1, got {episodes}")
    return [
        Case(layout, input, goal)
        for each in task_levels
        for layout in draw_distinct(LayoutSpec(*each, check_split(split)), episodes, seed)
    ]


def public_cases(config: EvalConfig, task_levels: list[TaskLevel], goal: str) -> list[Case]:
    """The boards of public sets at these task levels; all of them without `--tasks`.

    Raises ValueError if a set has none of what is asked of it, or two sets have boards of one task.
    """
    pick_name("kind of picture", config.pictures, get_args(Pictures))
    everything = set(config.tasks) == set(EvalConfig.tasks) and not config.levels
    sources = sources_of(config)
    cases: list[Case] = []
    found: dict[str, str] = {}  # task → the set that its boards are from
    played: set[TaskLevel] = set()
    for name, root in _roots(config).items():
        for board in read_boards(root, name):
            layout = board.layout
            each = TaskLevel(layout.task, layout.level)
            if not everything and (each not in task_levels or sources.get(each) not in ("", name)):
                continue
            if found.setdefault(layout.task, name) != name:
                raise ValueError(
                    f"{layout.task} is in {found[layout.task]} and in {name}; a run takes a task "
                    f"from one set, for example --tasks {layout.task}@{name}"
                )
            played.add(each)
            cases.append(_public_case(config, name, board, goal))
    missing = [] if everything else _missing(config, played)
    if missing or not cases:
        asked = ", ".join(missing or map(str, task_levels))
        raise ValueError(f"{' '.join(config.benchmark)} has no board of {asked}")
    return cases


def _missing(config: EvalConfig, played: set[TaskLevel]) -> list[str]:
    """What `--tasks` names and no set has: a task, or one of the levels that it names."""
    missing = []
    for selector in config.tasks:
        task, at, source = selector.partition("@")
        levels = select_task_levels([task], config.levels)
        lacking = [each for each in levels if each not in played]
        if lacking == levels or ":" in task:
            missing += [f"{each}{at}{source}" for each in lacking]
    return list(dict.fromkeys(missing))


def _public_case(config: EvalConfig, name: str, board: PublicBoard, goal: str) -> Case:
    shown: dict[str, Any] = {}
    if config.pictures == "original" and board.picture is None:
        raise ValueError(f"{board.source} has no picture beside it; use --pictures rendered")
    if config.pictures != "rendered" and board.picture is not None:
        size = config.picture_size
        shown = {"picture": str(board.picture), "art": name, "picture_size": size}
    return Case(board.layout, config.input, goal, f"{name}:{board.source}", **shown)
