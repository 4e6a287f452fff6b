"""`PlanningEnv`: any task as a Gymnasium environment, a thin face over its transition tables."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from vsp_envs.generate import LayoutSpec, draw_layouts
from vsp_envs.render import check_image_size, render
from vsp_envs.solve import compile_layout, shortest_plan
from vsp_envs.task import Action, Layout, Outcome, check_level, get_task, load_layout, pick_name
from vsp_envs.wording import legal_actions

OBSERVATIONS = ("both", "image", "symbolic")
ILLEGAL_POLICIES = ("stay", "fail")
RESET_OPTIONS = ("layout", "level")


class PlanningEnv(gym.Env[Any, Any]):
    """One board, one agent, no chance: a task of the suite, step by step.

    Observation: `Dict(image=uint8[S, S, 3], symbolic=Dict(…))`; see `Task.symbolic` for the
    symbolic part. Reward: 1 on success, else 0. Ends on success, failure and, with
    `illegal="fail"`, on an illegal action. `info` has the same keys after reset and step.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - Gymnasium declares it so
        "render_modes": ["rgb_array", "ansi"],
        "render_fps": 4,
    }

    def __init__(
        self,
        task: str,
        level: int | tuple[int, int] | None = None,
        max_level: int | None = None,
        image_size: int = 256,
        theme: str = "classic",
        split: str | None = None,
        frozen_prob: float = 0.8,
        min_plan: int = 1,
        illegal: str = "stay",
        observation: str = "both",
        render_mode: str | None = None,
    ) -> None:
        """Make the environment; `level` is a side length or (low, high), drawn at every reset.

        Raises ValueError that names any argument out of range.
        """
        self.task = get_task(task)
        self.levels = self._read_levels(level)
        highest = self.levels[1] if max_level is None else max_level
        self.max_level = check_level(self.task, highest)
        if self.max_level < self.levels[1]:
            raise ValueError(f"max_level {max_level} is below level {self.levels[1]}")
        self.image_size = check_image_size(image_size)
        self.theme = pick_name("theme", theme, self.task.themes)
        self.illegal = pick_name("illegal policy", illegal, ILLEGAL_POLICIES)
        self.observation = pick_name("observation", observation, OBSERVATIONS)
        if render_mode is not None:
            pick_name("render mode", render_mode, self.metadata["render_modes"])
        self.render_mode = render_mode
        self.wanted = LayoutSpec(task, self.levels[0], split, frozen_prob, min_plan)
        """What layouts are drawn; each reset fills in its level."""
        self.action_space = spaces.Discrete(len(self.task.actions))
        self.observation_space = self._observation_space()
        self.layout: Layout
        """The board being played, before the first move."""
        self.state: int
        """Where play stands: an index into the transition tables."""

    def _read_levels(self, level: int | tuple[int, int] | None) -> tuple[int, int]:
        if level is None:
            return self.task.paper_levels[0], self.task.paper_levels[-1]
        ends = tuple(level) if isinstance(level, (tuple, list)) else (level, level)
        ends = tuple(check_level(self.task, each) for each in ends)
        if len(ends) != 2 or ends[0] > ends[1]:
            raise ValueError(f"level is a side or (low, high) with low ≤ high, got {level!r}")
        return ends

    def _observation_space(self) -> spaces.Space[Any]:
        side = self.image_size
        image = spaces.Box(0, 255, (side, side, 3), np.uint8)
        symbolic = spaces.Dict(self.task.symbolic_space(self.max_level))
        if self.observation == "image":
            return image
        if self.observation == "symbolic":
            return symbolic
        return spaces.Dict(image=image, symbolic=symbolic)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """A fresh layout, or the one in `options["layout"]` (a Layout or its JSON data).

        `options["level"]` fixes the level of this episode. Unknown options raise ValueError.
        """
        super().reset(seed=seed)
        self.layout = self._next_layout(options or {})
        self._machine = compile_layout(self.layout)
        self.state, self._steps = self._machine.start, 0
        self._outcome, self._reason = Outcome.RUNNING, ""
        return self._observe(), self._info()

    def _next_layout(self, options: dict[str, Any]) -> Layout:
        for name in options:
            pick_name("reset option", name, RESET_OPTIONS)
        layout = options.get("layout")
        if layout is not None:
            if not isinstance(layout, Layout):
                layout = load_layout(self.task.name, layout, options.get("level"))
            if layout.task != self.task.name or layout.level > self.max_level:
                raise ValueError(
                    f"this env plays {self.task.name} up to level {self.max_level}, got a layout "
                    f"of {layout.task} level {layout.level}"
                )
            return layout
        level = options.get("level")
        if level is None:
            level = int(self.np_random.integers(self.levels[0], self.levels[1] + 1))
        elif check_level(self.task, level) > self.max_level:
            raise ValueError(f"level {level} is above max_level {self.max_level} of this env")
        return next(draw_layouts(replace(self.wanted, level=level), self.np_random))

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Play one action. After the end of an episode nothing moves any more."""
        reward = 0.0
        if self._ended():
            gym.logger.warn("step() after the end of the episode; call reset() first")
        else:
            self._play(int(action))
            reward = float(self._outcome is Outcome.SUCCESS)
        return self._observe(), reward, self._ended(), False, self._info()

    def _play(self, action: int) -> None:
        if not 0 <= action < len(self.task.actions):
            raise ValueError(f"action {action} is not one of 0 to {len(self.task.actions) - 1}")
        self._steps += 1
        self._outcome, self._reason = Outcome(self._machine.outcome[self.state][action]), ""
        if self._outcome is Outcome.ILLEGAL:
            self._reason = self.task.illegal_reason(self.layout, self.state, Action(action))
        self.state = self._machine.next_state[self.state][action]

    def _ended(self) -> bool:
        final = (Outcome.SUCCESS, Outcome.FAILURE)
        return self._outcome in final or (
            self._outcome is Outcome.ILLEGAL and self.illegal == "fail"
        )

    def _observe(self) -> Any:
        if self.observation == "image":
            return self._image()
        symbolic = self.task.symbolic(self.layout, self.state, self.max_level)
        if self.observation == "symbolic":
            return symbolic
        return {"image": self._image(), "symbolic": symbolic}

    def _image(self) -> np.ndarray:
        return render(self.layout, self.image_size, self.theme, self.state)

    def _distance(self) -> int:
        if self._outcome in (Outcome.SUCCESS, Outcome.FAILURE):
            return 0 if self._outcome is Outcome.SUCCESS else -1
        return self._machine.distance[self.state]

    def _info(self) -> dict[str, Any]:
        legal = [] if self._ended() else legal_actions(self.layout, self.state)
        mask = np.zeros(len(self.task.actions), np.int8)
        mask[legal] = 1
        return {
            "is_success": self._outcome is Outcome.SUCCESS,
            "outcome": self._outcome.name.lower(),
            "illegal_reason": self._reason,
            "action_mask": mask,
            "steps": self._steps,
            "optimal_length": self._machine.distance[self._machine.start],
            "distance_to_goal": self._distance(),
            "layout_id": self.layout.layout_id,
        }

    def optimal_plan(self) -> list[Action]:
        """A shortest plan from this board's start. Privileged: never part of an observation."""
        return shortest_plan(self.layout) or []

    def render(self) -> Any:
        """The board as an image or, in mode `ansi`, as text."""
        if self.render_mode == "rgb_array":
            return self._image()
        if self.render_mode == "ansi":
            return f"{self.task.state_text(self.layout)}\nagent {self._agent()}\n"
        return None

    def _agent(self) -> str:
        row, col = divmod(self.state % self.layout.level**2, self.layout.level)
        return f"({row},{col})"
