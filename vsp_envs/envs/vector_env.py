"""`PlanningVectorEnv`: many boards of a task at once, a thin face over their transition tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, cast

import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from vsp_envs.core.generator import SampledLayouts
from vsp_envs.core.layout import Bool, Int, Layout, LayoutBatch
from vsp_envs.core.solver import shortest_plan, solve_batch
from vsp_envs.envs.config import (
    RENDER_FPS,
    BeforeReset,
    SlipSampler,
    ThemeSampler,
    json_spec,
    make_config,
)
from vsp_envs.envs.layout_pool import LayoutPool
from vsp_envs.envs.layout_queue import LayoutQueue, next_layouts
from vsp_envs.envs.layout_store import LayoutStore
from vsp_envs.envs.planning_env import board_text
from vsp_envs.envs.vector_state import VectorState, where
from vsp_envs.utils.choices import list_names
from vsp_envs.utils.words import counted

_UNSIGNED = np.dtype(np.uint64)
_LIST = "_list"
_RENDER_MODES = ["rgb_array", "ansi", "rgb_array_list", "ansi_list"]
_COMMON = {
    "action_space": "single_action_space", "observation_space": "single_observation_space",
    "config": "config", "task": "task", "spec": "spec", "metadata": "metadata",
    "render_mode": "render_mode",
}  # fmt: skip
"""What is the same in all environments → where it stands here."""
_OWN = ("layout", "state", "action_masks", "optimal_plan", "render")
"""What each environment has of its own."""


class PlanningVectorEnv(VectorEnv[Any, Any, Any]):
    """`num_envs` environments of a task in one, equal to as many `PlanningEnv`s one by one.

    Environment i of `reset(seed=s)` plays the episodes of a scalar environment that was reset with
    seed s + i, `max_episode_steps` included; observations, rewards and infos are those that
    Gymnasium's SyncVectorEnv would return.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - Gymnasium declares it so
        "render_modes": _RENDER_MODES,
        "render_fps": RENDER_FPS,
    }
    _state = cast(VectorState, BeforeReset())
    _spec: EnvSpec | None = None

    def __init__(
        self,
        num_envs: int,
        task: str,
        max_episode_steps: int | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        copy: bool = True,
        pool: int | None = None,
        pool_rounds: int | None = None,
        infos: bool | Literal["numbers"] = True,
        render_mode: str | None = None,
        **arguments: Any,
    ) -> None:
        """Make the environments; the further keyword arguments are the fields of `EnvConfig`.

        `copy=False` returns the same observation arrays at every step, overwritten by the next.
        With `pool`, all environments share that many different layouts, in a new order each round:
        resets are faster, and the episodes are no longer those of the scalar environments. After
        `pool_rounds` rounds other layouts replace them; None: never. `infos=False` leaves the infos
        empty except for `final_obs`: they take two fifths of a step. `infos="numbers"` leaves out
        the words and gives the number of the `Outcome`, for wrappers that make tensors of all.
        `render_mode` is `rgb_array` or `ansi`; with `_list` behind it, `render` returns all frames
        since it was last called.
        """
        own = ("autoreset_mode", "copy", "pool", "pool_rounds", "infos")
        drawn = render_mode.removesuffix(_LIST) if isinstance(render_mode, str) else render_mode
        self.config = config = make_config(task, {**arguments, "render_mode": drawn}, own)
        if infos not in (True, False, "numbers"):
            raise ValueError(f"infos is True, False or 'numbers', got {infos!r}")
        if num_envs < 1:
            raise ValueError(f"num_envs is at least 1, got {num_envs}")
        if config.render_mode == "human":
            raise ValueError("render_mode 'human' shows one environment; use gym.make for it")
        if pool is not None and pool < 1:
            raise ValueError(f"pool is the number of layouts, at least 1, got {pool}")
        if pool_rounds is not None and (pool is None or pool_rounds < 1):
            raise ValueError(f"pool_rounds is at least 1 and needs a pool, got {pool_rounds}")
        self.task, self.num_envs, self.render_mode = config.task_definition, num_envs, render_mode
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}
        self.single_action_space = config.action_space()
        self.single_observation_space = config.observation_space()
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._limit = np.iinfo(np.int64).max if max_episode_steps is None else max_episode_steps
        self._end = np.array(len(self.task.actions), _UNSIGNED)
        self._copy, self._pool_size, self._with_infos = copy, pool, infos
        self._pool_rounds = pool_rounds
        self._pool: LayoutPool | None = None
        self._requested: set[int] = set()  # rows outside the pool, from `reset(options=…)`
        self._queues: list[LayoutQueue[int]] = []
        self._collected: list[list[Any]] = [[] for _ in range(num_envs)]
        self._attributes: dict[str, list[Any]] = {}  # from `set_attr`

    @property
    def spec(self) -> EnvSpec | None:
        """How it was made; its `to_json` writes every argument."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        self._spec = json_spec(spec)

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """The boards being played, before the first move."""
        return tuple(map(self._state.store.layout, self._state.row.tolist()))

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Fresh layouts; options as in `PlanningEnv.reset`, for every environment.

        `seed` s seeds environment i with s + i; a list holds a seed for each. With
        `options["reset_mask"]`, bool[num_envs], only the marked environments are reset.
        """
        wanted = dict(options or {})
        mask = self._read_mask(wanted.pop("reset_mask", None))
        envs = where(mask)
        seeds: list[int | None]
        if seed is None or isinstance(seed, (int, np.integer)):
            seeds = [None if seed is None else int(seed) + i for i in range(self.num_envs)]
        else:
            seeds = list(seed)
        if len(seeds) != self.num_envs:
            raise ValueError(
                f"{counted(len(seeds), 'seed')} for {counted(self.num_envs, 'environment')}"
            )
        self._seed(envs, seeds)
        self._begin(envs, self._requested_rows(envs, wanted))
        self._collect(envs)
        infos = self._infos()
        return self._state.observe(self._copy), infos if mask.all() else _only(infos, mask)

    def _read_mask(self, given: Any) -> Bool:
        if given is None:
            return np.ones(self.num_envs, bool)
        mask: Bool = np.asarray(given)
        if mask.shape != (self.num_envs,) or mask.dtype != bool or not mask.any():
            raise ValueError(f"reset_mask is bool[{self.num_envs}] with one True or more")
        if not self._queues and not mask.all():
            raise ValueError("the first reset is of all environments; leave reset_mask out")
        return mask

    def _seed(self, envs: Int, seeds: list[int | None]) -> None:
        first, config = not self._queues, self.config
        if first:
            made = [seeding.np_random(seed) for seed in seeds]
            self._queues = [LayoutQueue(rng) for rng, _ in made]
            themes = [ThemeSampler(config, seed) for _, seed in made]
            self._slips = [SlipSampler(config, seed) for _, seed in made]
            store = LayoutStore(self.task, config.padding)
            self._state = VectorState(config, store, themes, self._limit)
        for i in () if first else envs.tolist():
            if seeds[i] is not None:
                self._state.store.free(self._queues[i].unplayed())
                rng, seed = seeding.np_random(seeds[i])
                self._slips[i] = SlipSampler(config, seed)
                self._queues[i], self._state.themes[i] = (
                    LayoutQueue(rng),
                    ThemeSampler(config, seed),
                )
        if self._pool_size is not None:
            anew = len(envs) == self.num_envs and seeds[0] is not None
            if self._pool is None or anew:
                store = self._state.store = LayoutStore(self.task, config.padding)
                rng = self._queues[0].rng
                self._pool = LayoutPool(config, store, self._pool_size, rng, self._pool_rounds)
                self._requested = set()

    def _requested_rows(self, envs: Int, options: dict[str, Any]) -> Int | None:
        rows = []
        for i in envs.tolist():
            layout = self.config.requested_layout(options, self._queues[i].generator)
            if layout is None:
                return None
            rows += self._state.store.add(
                SampledLayouts(solve_batch(LayoutBatch.stack([layout])), [0])
            )
        return np.array(rows)

    def _begin(self, envs: Int, rows: Int | None = None) -> None:
        """Begin new episodes on the boards of `rows`; None: on the next ones."""
        if rows is None and self.config.fixed_layout:
            rows = self._requested_rows(envs, {})
        if self._pool is not None:
            if self._requested:
                played_out = self._requested.intersection(self._state.row[envs].tolist())
                self._state.store.free(played_out)
                self._requested -= played_out
            if rows is None:
                rows = self._pool.next_layouts(len(envs), self._state.row)
            else:
                self._requested.update(rows.tolist())
        else:
            store, config = self._state.store, self.config
            if rows is None:
                queues = [self._queues[i] for i in envs.tolist()]
                rows = np.array(next_layouts(queues, config.levels, config.spec, store.add))
            played = self._state.row[envs]
            store.free(played[played >= 0].tolist())
        self._state.start(envs, rows)
        for i in envs.tolist():
            self._collected[i] = []

    def step(self, actions: Any) -> tuple[Any, Any, Bool, Bool, dict[str, Any]]:
        """Play an action in each environment; those that ended are reset as the mode says."""
        state = self._state
        ended = where(state.terminated | state.truncated)
        if len(ended) and self.autoreset_mode == AutoresetMode.DISABLED:
            raise ValueError(f"environments {ended} have ended; reset them first")
        actions = self._read_actions(actions)
        if self.config.slip:
            actions = self._slipped(actions, state.terminated | state.truncated)
        state.play(actions)
        if len(ended) and self.autoreset_mode == AutoresetMode.NEXT_STEP:
            self._begin(ended)
        rewards = state.rewards()
        terminated, truncated = state.terminated.copy(), state.truncated.copy()
        final: dict[str, Any] = {}
        if self.autoreset_mode == AutoresetMode.SAME_STEP:
            over = terminated | truncated
            if over.any():
                final = self._final(over)
                self._begin(where(over))
        self._collect(np.arange(self.num_envs))
        infos = self._infos()
        infos.update(final)
        return state.observe(self._copy), rewards, terminated, truncated, infos

    def _slipped(self, actions: Int, ended: Bool) -> Int:
        played = actions.copy()
        for i in where(~ended).tolist():
            played[i] = self._slips[i].played(int(actions[i]))
        return played

    def _infos(self) -> dict[str, Any]:
        if not self._with_infos:
            return {}
        infos = self._state.infos()
        if self._with_infos == "numbers":
            return {**_numbers(infos), "outcome": self._state.outcome()}
        return infos

    def _read_actions(self, given: Any) -> Int:
        actions = np.asarray(given)
        if actions.shape == (self.num_envs,) and actions.dtype.kind in "iu":
            actions = actions.astype(np.int64, copy=False)
            # As unsigned numbers, negative actions are large.
            if not len(where(actions.view(_UNSIGNED) >= self._end)):
                return actions
        raise ValueError(f"actions are {counted(self.num_envs, 'number')} of 0 to {self._end - 1}")

    def _final(self, over: Bool) -> dict[str, Any]:
        """`final_obs` and `final_info` of the environments that end with this step."""
        whole, last = self._state.observe(copy=False), np.full(self.num_envs, None, object)
        for i in where(over).tolist():
            last[i] = _row_of(whole, i)
        info = _only(self._infos(), over)
        return {"final_obs": last, "_final_obs": over.copy(),
                "final_info": info, "_final_info": over.copy()}  # fmt: skip

    def render(self) -> tuple[Any, ...] | None:
        """The boards as images or, in mode `ansi`, as texts; in a `_list` mode lists of them."""
        if self._collects:
            frames = tuple(self._collected)
            self._collected = [[] for _ in range(self.num_envs)]
            return frames
        return self._frames()

    @property
    def _collects(self) -> bool:
        return bool(self.render_mode and self.render_mode.endswith(_LIST))

    def _collect(self, envs: Int) -> None:
        if self._collects:
            frames = self._frames() or ()
            for i in envs.tolist():
                self._collected[i].append(frames[i])

    def _frames(self) -> tuple[Any, ...] | None:
        if self.config.render_mode == "rgb_array":
            return self._state.frames()
        if self.config.render_mode == "ansi":
            return tuple(map(board_text, self.layouts, self._state.state.tolist()))
        return None

    def action_masks(self) -> Bool:
        """bool[env, action]: what the rules allow now; nothing where an episode has ended."""
        return self._state.action_masks()

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """What each environment's attribute is or its method returns, as in SyncVectorEnv.

        Raises AttributeError for what a batch of boards has not, and TypeError for an argument.
        """
        if args or kwargs:
            raise TypeError(f"call({name!r}) takes no further arguments here; use gym.make")
        if name in self._attributes:
            return tuple(self._attributes[name])
        if name in _COMMON:
            return (getattr(self, _COMMON[name]),) * self.num_envs
        if name == "layout":
            return self.layouts
        if name == "state":
            return tuple(self._state.state.tolist())
        if name == "action_masks":
            return tuple(self.action_masks())
        if name == "optimal_plan":
            return tuple(shortest_plan(layout) or [] for layout in self.layouts)
        if name == "render":
            return self.render() or (None,) * self.num_envs
        known = [*_OWN, *_COMMON, *self._attributes]
        raise AttributeError(
            f"unknown attribute {name!r} of the environments; attributes are "
            f"{list_names(name, known)}"
        )

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """As `call`."""
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Keep a value for each environment, for `get_attr`; a list or tuple holds one for each.

        What an environment has by itself cannot be set: boards come with `reset(options=…)`.
        """
        if name in _COMMON or name in _OWN:
            raise AttributeError(f"{name!r} cannot be set; use the arguments of gym.make_vec, or "
                                 'reset(options={"layout": layout})')  # fmt: skip
        each = list(values) if isinstance(values, (list, tuple)) else [values] * self.num_envs
        if len(each) != self.num_envs:
            got = counted(len(each), f"value of {name!r}")
            raise ValueError(f"{got} for {counted(self.num_envs, 'environment')}")
        self._attributes[name] = each


def _numbers(infos: dict[str, Any]) -> dict[str, Any]:
    """The infos that are numbers, with their masks; that of `outcome` stays."""
    words = {name for name, part in infos.items() if part.dtype == object}
    masks = {f"_{name}" for name in words - {"outcome"}}
    return {name: part for name, part in infos.items() if name not in words | masks}


def _only(infos: dict[str, Any], mask: Bool) -> dict[str, Any]:
    """Infos of the marked environments; the others' entries are 0, or None where objects."""
    kept = {}
    for name, part in infos.items():
        kept[name] = np.full(part.shape, None if part.dtype == object else 0, part.dtype)
        kept[name][mask] = part[mask]
    return kept


def _row_of(observation: Any, i: int) -> Any:
    """One environment's part of a batch of observations, as a copy."""
    if isinstance(observation, dict):
        return {name: _row_of(part, i) for name, part in observation.items()}
    return int(observation[i]) if observation.ndim == 1 else observation[i].copy()
