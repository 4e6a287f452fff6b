"""`PlanningEnv`: any task as a Gymnasium environment, a thin face over its transition tables."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from vsp_envs.core.generator import SampledLayouts
from vsp_envs.core.grid import positions
from vsp_envs.core.layout import Action, Int, Layout, LayoutBatch, Outcome, UInt8, layout_ids
from vsp_envs.core.simulator import state_cell
from vsp_envs.core.solver import UNREACHABLE, SolvedBatch, shortest_plan, solve_batch
from vsp_envs.core.task import get_task
from vsp_envs.envs.config import RENDER_MODES, ThemeSampler, make_config
from vsp_envs.envs.layout_queue import LayoutQueue, next_layouts
from vsp_envs.rendering.renderer import BoardRenderer
from vsp_envs.rendering.window import Window

NAMES = [outcome.name.lower() for outcome in Outcome]
"""What `info["outcome"]` says, by Outcome."""
_RUNNING, _SUCCESS, _ILLEGAL = map(int, (Outcome.RUNNING, Outcome.SUCCESS, Outcome.ILLEGAL))


class QueuedLayout(NamedTuple):
    """A layout to play: one row of a block of boards."""

    boards: SolvedBatch
    row: int
    symbolic: dict[str, Any]
    """The observation at the start."""
    layout_id: str


class PlanningEnv(gym.Env[Any, Any]):
    """One board, one agent, no chance: a task of the suite, step by step.

    Observation: `Dict(image=uint8[S, S, 3], symbolic=Dict(…))`; see `Task.symbolic` for the
    symbolic part. Reward: 1 on success, else 0. Ends on success, failure and, with
    `illegal="fail"`, on an illegal action. `info` has the same keys after reset and step.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - Gymnasium declares it so
        "render_modes": list(RENDER_MODES),
        "render_fps": 4,
    }

    def __init__(self, task: str, **arguments: Any) -> None:
        """Make the environment; the keyword arguments are the fields of `EnvConfig`."""
        self.settings = make_config(task, arguments)
        self.task = self.settings.rules
        self.levels, self.max_level = self.settings.levels, self.settings.padding
        self.render_mode = self.settings.render_mode
        self._observation, self._actions = self.settings.observation, len(self.task.actions)
        self._nothing_legal = np.zeros(self._actions, np.int8)
        self.action_space = self.settings.action_space()
        self.observation_space = self.settings.observation_space()
        self.layout: Layout
        """The board being played, before the first move."""
        self.state: int
        """Where play stands: an index into the transition tables."""
        self.theme: str
        """The drawing of this episode."""
        self._queue: LayoutQueue[QueuedLayout] | None = None
        self._picture: BoardRenderer | None = None
        self._window: Window | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """A fresh layout, or the one in `options["layout"]` (a Layout or its JSON data).

        `options["level"]` and `options["difficulty"]` hold for this episode. Unknown options raise
        ValueError. Equal seeds, arguments and options give equal layouts, in the vector
        environment too.
        """
        super().reset(seed=seed)
        if seed is not None or self._queue is None:
            self._queue = LayoutQueue(self.np_random)
            self._themes = ThemeSampler(self.settings, self.np_random_seed)
        self._queued = self._next_queued(options, self._queue)
        self._start()
        self._show_phase(self._queued.symbolic)
        return self._observe(), self._info()

    def _next_queued(
        self, options: dict[str, Any] | None, queue: LayoutQueue[QueuedLayout]
    ) -> QueuedLayout:
        asked = self.settings.asked_layout(options, lambda: self.np_random)
        if asked is None:
            return next_layouts([queue], self.levels, self.settings.spec, self._queued_layouts)[0]
        return self._queued_layouts(SampledLayouts(solve_batch(LayoutBatch.stack([asked])), [0]))[0]

    def _queued_layouts(self, drawn: SampledLayouts) -> list[QueuedLayout]:
        boards = drawn.boards.boards
        symbolic = self.task.symbolic(boards, boards.cells[:, 0], self.max_level)
        return [
            QueuedLayout(
                drawn.boards, row, {name: part[row] for name, part in symbolic.items()}, each
            )
            for row, each in enumerate(layout_ids(boards))
        ]

    def _start(self) -> None:
        boards, row = self._queued.boards, self._queued.row
        self.layout = boards.boards.layout(row)
        self._next_state = boards.tables.next_state[row].tolist()
        self._outcomes = boards.tables.outcome[row].tolist()
        self._distance = boards.distance[row].tolist()
        self._legal = (boards.tables.outcome[row] != Outcome.ILLEGAL).view(np.int8)
        self._cells = self.layout.level**2
        self._places = _places(self.layout.level, self.task.phases)
        self._length = self._distance[self.layout.cells[0]]
        self.theme = self._themes.next()
        self.state, self._steps = self.layout.cells[0], 0
        self._outcome, self._reason, self._over = 0, "", False

    def _show_phase(self, symbolic: dict[str, Any]) -> None:
        """Keep what the symbolic observation holds as long as the phase stays: all but `agent`."""
        self._phase = self.state // self._cells
        parts = [(name, part) for name, part in symbolic.items() if name != "agent"]
        self._arrays = [(name, part) for name, part in parts if part.ndim]
        self._numbers = {name: int(part) for name, part in parts if not part.ndim}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Play one action. After the end of an episode nothing moves any more."""
        if self._over:
            gym.logger.warn("step() after the end of the episode; call reset() first")
            return self._observe(), 0.0, True, False, self._info()
        self._play(int(action))
        reward = 1.0 if self._outcome == _SUCCESS else 0.0
        return self._observe(), reward, self._over, False, self._info()

    def _play(self, action: int) -> None:
        if not 0 <= action < self._actions:
            raise ValueError(f"action {action} is not one of 0 to {self._actions - 1}")
        self._steps += 1
        self._outcome, self._reason = self._outcomes[self.state][action], ""
        if self._outcome == _ILLEGAL:
            reason = self._queued.boards.tables.reason[self._queued.row, self.state, action]
            self._reason = self.task.reasons[reason]
            self._over = self.settings.illegal == "fail"
            return
        self._over = self._outcome != _RUNNING
        self.state = self._next_state[self.state][action]
        if self.state // self._cells != self._phase:
            board, state = self._queued.boards.boards[[self._queued.row]], np.array([self.state])
            symbolic = self.task.symbolic(board, state, self.max_level)
            self._show_phase({name: part[0] for name, part in symbolic.items()})

    def _observe(self) -> Any:
        if self.render_mode == "human":
            self.render()
        if self._observation == "image":
            return self._image()
        symbolic = self.symbolic()
        if self._observation == "symbolic":
            return symbolic
        return {"image": self._image(), "symbolic": symbolic}

    def symbolic(self) -> dict[str, Any]:
        """The symbolic observation, whatever `observation` says; fresh arrays."""
        symbolic: dict[str, Any] = {"agent": self._places[self.state].copy()}
        for name, array in self._arrays:
            symbolic[name] = array.copy()
        symbolic.update(self._numbers)
        return symbolic

    def _image(self) -> UInt8:
        picture = self._picture
        if picture is None or not picture.can_become(self.layout, self.theme):
            side = self.settings.image_size
            image = np.empty((side, side, 3), np.uint8)
            picture = self._picture = BoardRenderer(image, self.layout, self.theme, self.state)
        elif picture.layout is not self.layout:
            picture.change(self.layout, self.state)
        picture.show(self.state)
        return picture.image.copy()

    def _info(self) -> dict[str, Any]:
        outcome, distance = self._outcome, self._distance[self.state]
        if self._over and outcome != _ILLEGAL:
            distance = 0 if outcome == _SUCCESS else UNREACHABLE
        return {
            "is_success": outcome == _SUCCESS,
            "outcome": NAMES[outcome],
            "illegal_reason": self._reason,
            "action_mask": (self._nothing_legal if self._over else self._legal[self.state]).copy(),
            "steps": self._steps,
            "optimal_length": self._length,
            "distance_to_goal": distance,
            "layout_id": self._queued.layout_id,
        }

    def optimal_plan(self) -> list[Action]:
        """A shortest plan from this board's start. Privileged: never part of an observation."""
        return shortest_plan(self.layout) or []

    def render(self) -> Any:
        """The board as an image, in mode `ansi` as text; mode `human` shows it in a window."""
        if self.render_mode == "rgb_array":
            return self._image()
        if self.render_mode == "ansi":
            return board_text(self.layout, self.state)
        if self.render_mode == "human":
            self._window = self._window or Window(self.task.title, self.metadata["render_fps"])
            self._window.show(self._image())
        return None

    def close(self) -> None:
        """Close the window of mode `human`."""
        if self._window is not None:
            self._window.close()
            self._window = None


def board_text(layout: Layout, state: int) -> str:
    """What render mode `ansi` returns: the board before the first move, and where the agent is."""
    return f"{get_task(layout.task).state_text(layout)}\nagent {state_cell(layout, state)}\n"


@lru_cache
def _places(level: int, phases: int) -> list[Int]:
    """(row, col) of each state."""
    return list(positions(np.arange(phases * level**2), level))
