"""`PlanningEnv`: any task as a Gymnasium environment, a thin face over its transition tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from operator import index
from typing import Any, NamedTuple, cast

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from numpy.typing import NDArray

from vsp_envs.core.generator import SampledLayouts
from vsp_envs.core.grid import positions
from vsp_envs.core.layout import Action, Bool, Int, Layout, LayoutBatch, Outcome, UInt8, layout_ids
from vsp_envs.core.simulator import state_cell
from vsp_envs.core.solver import UNREACHABLE, SolvedBatch, shortest_plan, solve_batch
from vsp_envs.core.task import get_task
from vsp_envs.envs.config import (
    RENDER_FPS,
    RENDER_MODES,
    BeforeReset,
    SlipSampler,
    ThemeSampler,
    json_spec,
    make_config,
)
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


@dataclass(slots=True)
class _Episode:
    """All that one episode holds; the tables as plain lists, which are fast to read one by one."""

    queued: QueuedLayout
    layout: Layout
    theme: str
    next_state: list[list[int]]  # [state][action]
    outcomes: list[list[int]]  # [state][action]
    distance: list[int]  # [state]
    legal: NDArray[np.int8]  # [state, action]
    agent_cells: list[Int]  # [state], (row, col)
    state: int
    """Index into the tables."""
    steps: int = 0
    outcome: int = 0
    """Of the last action."""
    illegal_reason: str = ""
    over: bool = False
    phase: int = -1
    """Of the state that `arrays` and `numbers` were read in."""
    arrays: list[tuple[str, NDArray[Any]]] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    """With `arrays`, the symbolic observation but for `agent`: it stays while the phase stays."""

    @classmethod
    def begin(cls, queued: QueuedLayout, theme: str) -> _Episode:
        """An episode before its first action."""
        solved, row = queued.boards, queued.row
        layout, tables = solved.boards.layout(row), solved.tables
        return cls(
            queued,
            layout,
            theme,
            next_state=tables.next_state[row].tolist(),
            outcomes=tables.outcome[row].tolist(),
            distance=solved.distance[row].tolist(),
            legal=(tables.outcome[row] != Outcome.ILLEGAL).view(np.int8),
            agent_cells=_agent_cells(layout.level, get_task(layout.task).phases),
            state=layout.cells[0],
        )

    def show_phase(self, symbolic: dict[str, Any]) -> None:
        """Keep what the symbolic observation holds as long as the phase stays."""
        self.phase = self.state // self.layout.level**2
        parts = [(name, part) for name, part in symbolic.items() if name != "agent"]
        self.arrays = [(name, part) for name, part in parts if part.ndim]
        self.numbers = {name: int(part) for name, part in parts if not part.ndim}


class PlanningEnv(gym.Env[Any, Any]):
    """One board and one agent: a task of the suite, step by step; deterministic but for `slip`.

    Observation: `Dict(image=uint8[S, S, 3], symbolic=Dict(…))`; see `Task.symbolic` for the
    symbolic part. Reward: 1 on success, else 0. Ends on success, failure and, with
    `illegal="fail"`, on an illegal action. `info` has the same keys after reset and step.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - Gymnasium declares it so
        "render_modes": list(RENDER_MODES),
        "render_fps": RENDER_FPS,
    }
    _episode = cast(_Episode, BeforeReset())
    _spec: EnvSpec | None = None

    def __init__(self, task: str, **arguments: Any) -> None:
        """Make the environment; the keyword arguments are the fields of `EnvConfig`."""
        self.config = make_config(task, arguments)
        self.task = self.config.task_definition
        self.levels, self.max_level = self.config.levels, self.config.padding
        self.render_mode = self.config.render_mode
        self._observation, self._actions = self.config.observation, len(self.task.actions)
        self._nothing_legal = np.zeros(self._actions, np.int8)
        self.action_space = self.config.action_space()
        self.observation_space = self.config.observation_space()
        self._queue: LayoutQueue[QueuedLayout] | None = None
        self._themes: ThemeSampler
        self._slips: SlipSampler
        self._renderer: BoardRenderer | None = None
        self._window: Window | None = None

    @property
    def spec(self) -> EnvSpec | None:
        """How it was made; its `to_json` writes every argument."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        self._spec = json_spec(spec)

    @property
    def layout(self) -> Layout:
        """The board being played, before the first move."""
        return self._episode.layout

    @property
    def state(self) -> int:
        """The current state: an index into the transition tables."""
        return self._episode.state

    @property
    def theme(self) -> str:
        """The theme of this episode."""
        return self._episode.theme

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
            self._themes = ThemeSampler(self.config, self.np_random_seed)
            self._slips = SlipSampler(self.config, self.np_random_seed)
        if self._window is not None and self._window.closed:
            self._window = None
        queued = self._next_queued(options, self._queue)
        self._episode = _Episode.begin(queued, self._themes.next())
        self._episode.show_phase(queued.symbolic)
        return self._observe(), self._info()

    def _next_queued(
        self, options: dict[str, Any] | None, queue: LayoutQueue[QueuedLayout]
    ) -> QueuedLayout:
        layout = self.config.requested_layout(options, lambda: self.np_random)
        if layout is None:
            return next_layouts([queue], self.levels, self.config.spec, self._queued_layouts)[0]
        solved = solve_batch(LayoutBatch.stack([layout]))
        return self._queued_layouts(SampledLayouts(solved, [0]))[0]

    def _queued_layouts(self, sampled: SampledLayouts) -> list[QueuedLayout]:
        boards = sampled.boards.boards
        symbolic = self.task.symbolic(boards, boards.cells[:, 0], self.max_level)
        return [
            QueuedLayout(
                sampled.boards, row, {name: part[row] for name, part in symbolic.items()}, each
            )
            for row, each in enumerate(layout_ids(boards))
        ]

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Play one action. After the end of an episode the state no longer changes.

        In mode `human` an episode is truncated when its window is closed.
        """
        episode = self._episode
        if episode.over:
            gym.logger.warn("step() after the end of the episode; call reset() first")
            return self._observe(), 0.0, True, False, self._info()
        self._play(episode, self._slips.played(self._read_action(action)))
        reward = 1.0 if episode.outcome == _SUCCESS else 0.0
        observation, window = self._observe(), self._window
        closed = window is not None and window.closed
        return observation, reward, episode.over, closed, self._info()

    def _read_action(self, given: Any) -> int:
        try:
            action = index(given)  # int() would take 1.7 and "2"
        except TypeError:
            action = -1
        if not 0 <= action < self._actions:
            raise ValueError(f"action {given!r} is not one of 0 to {self._actions - 1}")
        return action

    def _play(self, episode: _Episode, action: int) -> None:
        episode.steps += 1
        before, queued = episode.state, episode.queued
        outcome = episode.outcome = episode.outcomes[before][action]
        episode.illegal_reason = ""
        if outcome == _ILLEGAL:
            reason = queued.boards.tables.reason[queued.row, before, action]
            episode.illegal_reason = self.task.reasons[reason]
            episode.over = self.config.illegal == "fail"
            return
        episode.over = outcome != _RUNNING
        state = episode.state = episode.next_state[before][action]
        if state // episode.layout.level**2 != episode.phase:
            boards = queued.boards.boards[[queued.row]]
            symbolic = self.task.symbolic(boards, np.array([state]), self.max_level)
            episode.show_phase({name: part[0] for name, part in symbolic.items()})

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
        episode = self._episode
        symbolic: dict[str, Any] = {"agent": episode.agent_cells[episode.state].copy()}
        for name, array in episode.arrays:
            symbolic[name] = array.copy()
        symbolic.update(episode.numbers)
        return symbolic

    def _image(self) -> UInt8:
        renderer, episode = self._renderer, self._episode
        layout, theme, state = episode.layout, episode.theme, episode.state
        if renderer is None or not renderer.can_become(layout, theme):
            side = self.config.image_size
            image = np.empty((side, side, 3), np.uint8)
            renderer = self._renderer = BoardRenderer(image, layout, theme, state)
        elif renderer.layout is not layout:
            renderer.change(layout, state)
        renderer.show(state)
        return renderer.image.copy()

    def _info(self) -> dict[str, Any]:
        episode = self._episode
        outcome, state, distance = episode.outcome, episode.state, episode.distance
        to_goal = distance[state]
        if episode.over and outcome != _ILLEGAL:
            to_goal = 0 if outcome == _SUCCESS else UNREACHABLE
        return {
            "is_success": outcome == _SUCCESS,
            "outcome": NAMES[outcome],
            "illegal_reason": episode.illegal_reason,
            "action_mask": self._legal().copy(),
            "steps": episode.steps,
            "optimal_length": distance[episode.layout.cells[0]],
            "distance_to_goal": to_goal,
            "layout_id": episode.queued.layout_id,
        }

    def _legal(self) -> NDArray[np.int8]:
        episode = self._episode
        return self._nothing_legal if episode.over else episode.legal[episode.state]

    def action_masks(self) -> Bool:
        """bool[action]: what the rules allow now, where sb3-contrib's MaskablePPO looks for it."""
        return self._legal().astype(bool)

    def optimal_plan(self) -> list[Action]:
        """A shortest plan from this board's start. Privileged: never part of an observation.

        Raises ValueError if moves slip: no plan is then sure to succeed.
        """
        if self.config.slip:
            raise ValueError(
                f"with slip={self.config.slip:g} no plan is sure to succeed; "
                "vsp_envs.shortest_plan(env.layout) is the one of a board that does not slip"
            )
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
    """What render mode `ansi` returns: the board before the first move, and the agent's cell."""
    return f"{get_task(layout.task).state_text(layout)}\nagent {state_cell(layout, state)}\n"


@lru_cache
def _agent_cells(level: int, phases: int) -> list[Int]:
    """(row, col) of each state."""
    return list(positions(np.arange(phases * level**2), level))
