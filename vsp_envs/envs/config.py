"""The keyword arguments of the environments, scalar and vector, and what resets may ask for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, fields, replace
from numbers import Integral
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded

from vsp_envs.core.generator import FROZEN_PROB, Difficulty, LayoutSpec, draw_layouts
from vsp_envs.core.layout import MOVES, Layout
from vsp_envs.core.layout_io import load_layout
from vsp_envs.core.splits import Split, read_hashes
from vsp_envs.core.task import Task, check_level, get_task
from vsp_envs.rendering.renderer import check_image_size, check_theme
from vsp_envs.utils.choices import check_probability, list_names, pick_name

Observation = Literal["both", "image", "symbolic"]
IllegalPolicy = Literal["stay", "fail"]
RenderMode = Literal["human", "rgb_array", "ansi"]
RENDER_MODES: tuple[RenderMode, ...] = get_args(RenderMode)
RENDER_FPS = 4
"""Frames per second of windows and videos."""
RESET_OPTIONS = ("layout", "level", "difficulty")
RANDOM_THEME = "random"


@dataclass
class EnvConfig:
    """What an environment is made with. Raises ValueError for invalid values."""

    task: str
    """Name of the task; the registered ids set it."""
    level: int | tuple[int, int] | None = None
    """Side length of the board, or (low, high), sampled at each reset; None: the paper's levels."""
    max_level: int | None = None
    """Side to which symbolic arrays are padded; None: the highest of `level`."""
    image_size: int = 256
    """Side of the image, 64 to 1024 px."""
    theme: str = "classic"
    """How boards look; `random` samples a theme at every reset, `THEME,THEME` one of these."""
    split: Split | None = None
    """`train`, `val`, `test`, or None for all layouts."""
    frozen_prob: float = FROZEN_PROB
    """Share of FrozenLake's cells that are ice."""
    min_plan: int = 1
    """Fewest actions of a shortest plan."""
    illegal: IllegalPolicy = "stay"
    """An illegal action: `stay` wastes it, `fail` ends the episode."""
    observation: Observation = "both"
    """`both`, `image` or `symbolic`."""
    render_mode: RenderMode | None = None
    """`human`, `rgb_array` or `ansi`."""
    difficulty: Difficulty | None = None
    """`easy`, `medium` or `hard` by the length of a shortest plan; FrozenLake has none."""
    plan_length: int | None = None
    """Exact number of actions of a shortest plan."""
    exclude: str | Path | Collection[str] = frozenset()
    """Canonical hashes of layouts to leave out: a collection, or a file with one per line."""
    layout: Layout | Mapping[str, Any] | None = None
    """The board of every reset, a `Layout` or its JSON data, such as `{"map": ["SF", "FG"]}`."""
    slip: float = 0.0
    """Probability that a move goes to one of its two sides; 2/3 is Gymnasium's `is_slippery`."""
    min_distance: int = 0
    """Least rows plus columns between start and goal; MiniBehaviour has no goal."""

    def __post_init__(self) -> None:
        self.task_definition: Task = get_task(self.task)
        self.fixed_layout = self._read_layout()
        self.levels = self._read_levels()
        highest = self.levels[1] if self.max_level is None else self.max_level
        self.padding = check_level(self.task_definition, highest)
        if self.padding < self.levels[1]:
            raise ValueError(f"max_level {self.max_level} is below level {self.levels[1]}")
        check_image_size(self.image_size)
        for theme in sampled_themes(self.task, self.theme):
            check_theme(self.task, theme)
        check_probability("slip", self.slip)
        pick_name("illegal policy", self.illegal, get_args(IllegalPolicy))
        if self.slip and self.illegal == "fail":
            raise ValueError(
                'slip needs illegal="stay": an illegal move may be no fault of the agent'
            )
        pick_name("observation", self.observation, get_args(Observation))
        if self.render_mode is not None:
            pick_name("render mode", self.render_mode, RENDER_MODES)
        exclude = self.exclude
        if isinstance(exclude, bytes) or not isinstance(exclude, (str, Path, Collection)):
            raise ValueError(
                f"exclude is a file of hashes or a collection of them, got {exclude!r}"
            )
        hashes = read_hashes(exclude) if isinstance(exclude, (str, Path)) else frozenset(exclude)
        self.spec = LayoutSpec(
            self.task, self.levels[0], self.split, self.frozen_prob, self.min_plan,
            self.difficulty, self.plan_length, hashes, self.min_distance,
        )  # fmt: skip
        """Which layouts the resets give; each fills in its level."""
        if self.fixed_layout:
            self._check_layout(self.fixed_layout, None)

    def _read_layout(self) -> Layout | None:
        given = self.layout
        if given is None or isinstance(given, Layout):
            return given
        level = self.level if isinstance(self.level, Integral) else None
        return load_layout(self.task, given, level)

    def _read_levels(self) -> tuple[int, int]:
        level = self.level
        if level is None and self.fixed_layout:
            level = self.fixed_layout.level
        if level is None:
            levels = self.task_definition.paper_levels
            return levels[0], levels[-1]
        ends = tuple(level) if isinstance(level, (tuple, list)) else (level, level)
        ends = tuple(check_level(self.task_definition, each) for each in ends)
        if len(ends) != 2 or ends[0] > ends[1]:
            raise ValueError(f"level is a side or (low, high) with low ≤ high, got {level!r}")
        return ends

    def observation_space(self) -> spaces.Space[Any]:
        """The space of one environment's observations."""
        image = spaces.Box(0, 255, (self.image_size, self.image_size, 3), np.uint8)
        symbolic = spaces.Dict(self.task_definition.symbolic_space(self.padding))
        if self.observation == "image":
            return image
        if self.observation == "symbolic":
            return symbolic
        return spaces.Dict(image=image, symbolic=symbolic)

    def action_space(self) -> spaces.Discrete:
        """The space of one environment's actions."""
        return spaces.Discrete(len(self.task_definition.actions))

    def requested_layout(
        self, options: dict[str, Any] | None, rng: Callable[[], np.random.Generator]
    ) -> Layout | None:
        """The layout that `reset(options=…)` asks for; None if the options ask for nothing.

        Raises ValueError for an unknown option, and for a layout or level that does not fit.
        """
        for name in options or {}:
            pick_name("reset option", name, RESET_OPTIONS)
        given = {name: value for name, value in (options or {}).items() if value is not None}
        if not given:
            return self.fixed_layout
        if "layout" in given:
            return self._check_layout(given["layout"], given.get("level"))
        level = given.get("level")
        if level is None:
            level = int(rng().integers(self.levels[0], self.levels[1] + 1))
        elif check_level(self.task_definition, level) > self.padding:
            raise ValueError(f"level {level} is above max_level {self.padding} of this env")
        difficulty = given.get("difficulty", self.difficulty)
        return next(draw_layouts(replace(self.spec, level=level, difficulty=difficulty), rng()))

    def _check_layout(self, given: Any, level: int | None) -> Layout:
        layout = given if isinstance(given, Layout) else load_layout(self.task, given, level)
        if layout.task != self.task or layout.level > self.padding:
            raise ValueError(
                f"this env plays {self.task} up to level {self.padding}, got a layout "
                f"of {layout.task} level {layout.level}"
            )
        return layout


def make_config(task: str, arguments: dict[str, Any], others: Sequence[str] = ()) -> EnvConfig:
    """The configuration of an environment; the caller also takes the arguments `others`.

    Raises TypeError for an unknown argument, as Python does, and lists the known ones.
    """
    names = [each.name for each in fields(EnvConfig) if each.name != "task"] + list(others)
    for name in arguments:
        if name not in names:
            raise TypeError(
                f"{get_task(task).title} got an unexpected keyword argument {name!r}; "
                f"arguments are {list_names(name, names)}"
            )
    return EnvConfig(task, **arguments)


def json_spec(spec: EnvSpec | None) -> EnvSpec | None:
    """A specification that `to_json` can write: sets are lists, paths text, NumPy's ours."""
    if spec is None:
        return None
    made = copy(spec)
    made.kwargs = {name: _json_value(value) for name, value in spec.kwargs.items()}
    return made


def _json_value(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Layout):
        return value.to_data()
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return type(value)(map(_json_value, value))
    return sorted(value) if isinstance(value, (set, frozenset)) else value


class BeforeReset:
    """Stands for the episode that there is none of yet. Reading from it raises ResetNeeded."""

    def __getattr__(self, name: str) -> Any:
        raise ResetNeeded("there is no episode yet; call reset() first")


class SlipSampler:
    """What becomes of the actions of an environment: with probability `slip` a move goes astray.

    Its random generator is its own: a seed gives the same layouts whatever slips.
    """

    def __init__(self, config: EnvConfig, seed: int) -> None:
        self._slip, self._rng = config.slip, np.random.default_rng([seed, *b"slip"])

    def played(self, action: int) -> int:
        """The action itself, or the move to one of its sides, each with equal chance."""
        if not self._slip or action >= len(MOVES):
            return action
        chance = self._rng.random()
        if chance >= self._slip:
            return action
        return (action + (1 if 2 * chance < self._slip else -1)) % len(MOVES)


def sampled_themes(task: str, theme: str) -> list[str]:
    """The themes that episodes of a task have: all of them for `random`, else those named."""
    if theme == RANDOM_THEME:
        return sorted(get_task(task).themes)
    return theme.split(",") if isinstance(theme, str) else [theme]


class ThemeSampler:
    """The theme of each episode: the configured one, or a random one of several.

    Its random generator is not that of the layouts: a seed gives the same layouts in every theme.
    """

    def __init__(self, config: EnvConfig, seed: int) -> None:
        self._themes = sampled_themes(config.task, config.theme)
        if len(self._themes) > 1:
            self._rng = np.random.default_rng([seed, len(self._themes)])

    def next(self) -> str:
        """The theme of the next episode."""
        if len(self._themes) == 1:
            return self._themes[0]
        return self._themes[int(self._rng.integers(len(self._themes)))]
