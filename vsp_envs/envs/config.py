"""The keyword arguments of the environments, scalar and vector, and what resets may ask for."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces

from vsp_envs.core.generator import LayoutSpec, draw_layouts
from vsp_envs.core.layout import Layout
from vsp_envs.core.layout_io import load_layout
from vsp_envs.core.splits import read_hashes
from vsp_envs.core.task import Task, check_level, get_task
from vsp_envs.rendering.renderer import check_image_size, check_theme
from vsp_envs.utils.choices import pick_name

OBSERVATIONS = ("both", "image", "symbolic")
ILLEGAL_POLICIES = ("stay", "fail")
RENDER_MODES = ("human", "rgb_array", "ansi")
RESET_OPTIONS = ("layout", "level", "difficulty")
RANDOM_THEME = "random"


@dataclass
class EnvConfig:
    """What an environment is made with. Raises ValueError that names any value out of range."""

    task: str
    """Name of the task; the registered ids set it."""
    level: int | tuple[int, int] | None = None
    """Side length of the board, or (low, high), drawn at every reset; None: the paper's levels."""
    max_level: int | None = None
    """Side to which symbolic arrays are padded; None: the highest of `level`."""
    image_size: int = 256
    """Side of the image, 64 to 1024 px."""
    theme: str = "classic"
    """The drawing; `random` draws one at every reset."""
    split: str | None = None
    """`train`, `val`, `test`, or None for all layouts."""
    frozen_prob: float = 0.8
    """Share of FrozenLake's cells that are ice."""
    min_plan: int = 1
    """Fewest actions of a shortest plan."""
    illegal: str = "stay"
    """An illegal action: `stay` wastes it, `fail` ends the episode."""
    observation: str = "both"
    """`both`, `image` or `symbolic`."""
    render_mode: str | None = None
    """`human`, `rgb_array` or `ansi`."""
    difficulty: str | None = None
    """`easy`, `medium` or `hard` by the length of a shortest plan; FrozenLake has none."""
    plan_length: int | None = None
    """Exact number of actions of a shortest plan."""
    exclude: str | Path | Set[str] = frozenset()
    """File of canonical hashes, one a line, or a set of them, that are never drawn."""

    def __post_init__(self) -> None:
        self.rules: Task = get_task(self.task)
        self.levels = self._read_levels()
        highest = self.levels[1] if self.max_level is None else self.max_level
        self.padding = check_level(self.rules, highest)
        if self.padding < self.levels[1]:
            raise ValueError(f"max_level {self.max_level} is below level {self.levels[1]}")
        check_image_size(self.image_size)
        if self.theme != RANDOM_THEME:
            check_theme(self.task, self.theme)
        pick_name("illegal policy", self.illegal, ILLEGAL_POLICIES)
        pick_name("observation", self.observation, OBSERVATIONS)
        if self.render_mode is not None:
            pick_name("render mode", self.render_mode, RENDER_MODES)
        given = self.exclude
        hashes = frozenset(given) if isinstance(given, Set) else read_hashes(given)
        self.spec = LayoutSpec(
            self.task, self.levels[0], self.split, self.frozen_prob, self.min_plan,
            self.difficulty, self.plan_length, hashes,
        )  # fmt: skip
        """What layouts are drawn; each reset fills in its level."""

    def _read_levels(self) -> tuple[int, int]:
        level = self.level
        if level is None:
            return self.rules.paper_levels[0], self.rules.paper_levels[-1]
        ends = tuple(level) if isinstance(level, (tuple, list)) else (level, level)
        ends = tuple(check_level(self.rules, each) for each in ends)
        if len(ends) != 2 or ends[0] > ends[1]:
            raise ValueError(f"level is a side or (low, high) with low ≤ high, got {level!r}")
        return ends

    def observation_space(self) -> spaces.Space[Any]:
        """The space of one environment's observations."""
        image = spaces.Box(0, 255, (self.image_size, self.image_size, 3), np.uint8)
        symbolic = spaces.Dict(self.rules.symbolic_space(self.padding))
        if self.observation == "image":
            return image
        if self.observation == "symbolic":
            return symbolic
        return spaces.Dict(image=image, symbolic=symbolic)

    def action_space(self) -> spaces.Discrete:
        """The space of one environment's actions."""
        return spaces.Discrete(len(self.rules.actions))

    def asked_layout(
        self, options: dict[str, Any] | None, rng: Callable[[], np.random.Generator]
    ) -> Layout | None:
        """The layout that `reset(options=…)` asks for; None if it leaves all to the environment.

        Raises ValueError for an unknown option, and for a layout or level that does not fit.
        """
        for name in options or {}:
            pick_name("reset option", name, RESET_OPTIONS)
        asked = {name: value for name, value in (options or {}).items() if value is not None}
        if not asked:
            return None
        if "layout" in asked:
            return self._check_layout(asked["layout"], asked.get("level"))
        level = asked.get("level")
        if level is None:
            level = int(rng().integers(self.levels[0], self.levels[1] + 1))
        elif check_level(self.rules, level) > self.padding:
            raise ValueError(f"level {level} is above max_level {self.padding} of this env")
        difficulty = asked.get("difficulty", self.difficulty)
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
    """The settings of an environment that takes the arguments `others` besides.

    Raises ValueError for an unknown argument, naming those that there are.
    """
    names = [each.name for each in fields(EnvConfig) if each.name != "task"]
    for name in arguments:
        pick_name("argument", name, [*names, *others])
    return EnvConfig(task, **arguments)


class ThemeSampler:
    """The theme of each episode: the one of the settings, or one drawn from a seed of its own.

    Its generator is not the layouts': a seed gives the same layouts in every theme.
    """

    def __init__(self, settings: EnvConfig, seed: int) -> None:
        self._themes = [settings.theme]
        if settings.theme == RANDOM_THEME:
            self._themes = sorted(settings.rules.themes)
            self._rng = np.random.default_rng([seed, len(self._themes)])

    def next(self) -> str:
        """The theme of the next episode."""
        if len(self._themes) == 1:
            return self._themes[0]
        return self._themes[int(self._rng.integers(len(self._themes)))]
