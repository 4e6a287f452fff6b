"""`PlanningVectorEnv`: many boards of a task at once, a thin face over their transition tables."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from vsp_envs.deck import Deck, deal
from vsp_envs.env import NAMES, board_text
from vsp_envs.generate import Drawn
from vsp_envs.pool import Pool
from vsp_envs.render import Picture
from vsp_envs.settings import RENDER_MODES, Settings, ThemeDraw
from vsp_envs.solve import UNREACHABLE, compile_boards
from vsp_envs.store import OUTCOME, STATE, Store
from vsp_envs.tables import positions
from vsp_envs.task import Boards, Bool, Int, Layout, Outcome, UInt8

_OUTCOMES = np.array(NAMES, object)
# Plain numbers: looking up a member of an enum takes longer than comparing a thousand of them.
_SUCCESS, _FAILURE, _ILLEGAL = map(int, (Outcome.SUCCESS, Outcome.FAILURE, Outcome.ILLEGAL))


_INFOS = (
    "is_success", "outcome", "illegal_reason", "action_mask", "steps", "optimal_length",
    "distance_to_goal", "layout_id",
)  # fmt: skip
_MASKS = tuple(f"_{name}" for name in _INFOS)


class PlanningVectorEnv(VectorEnv[Any, Any, Any]):
    """`num_envs` environments of a task in one, equal to as many `PlanningEnv`s one by one.

    Environment i of `reset(seed=s)` plays the episodes of a scalar environment that was reset with
    seed s + i, `max_episode_steps` included; observations, rewards and infos are those that
    Gymnasium's SyncVectorEnv would return.
    """

    metadata: dict[str, Any] = {"render_modes": list(RENDER_MODES[1:])}  # noqa: RUF012

    def __init__(
        self,
        num_envs: int,
        task: str,
        max_episode_steps: int | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        copy: bool = True,
        pool: int | None = None,
        infos: bool = True,
        **arguments: Any,
    ) -> None:
        """Make the environments; the further keyword arguments are the fields of `Settings`.

        `copy=False` returns the same observation arrays at every step, overwritten by the next.
        `pool` makes all environments share that many different layouts, dealt in a new order each
        round: faster resets, and episodes that no longer equal the scalar environments'.
        `infos=False` leaves the infos empty, but for `final_obs`: they take half of a step's time.
        """
        self.settings = settings = Settings(task, **arguments)
        if settings.render_mode == "human":
            raise ValueError("render_mode 'human' shows one environment; use gym.make for it")
        if pool is not None and pool < 1:
            raise ValueError(f"pool is the number of layouts, at least 1, got {pool}")
        self.task, self.num_envs, self.render_mode = settings.rules, num_envs, settings.render_mode
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}
        self.single_action_space = settings.action_space()
        self.single_observation_space = settings.observation_space()
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._limit = np.iinfo(np.int64).max if max_episode_steps is None else max_episode_steps
        self._copy, self._pool_size, self._with_infos = copy, pool, infos
        self._pool: Pool | None = None
        self._ends = np.array([False, True, True, settings.illegal == "fail"])  # by Outcome
        self._make_arrays()

    def _make_arrays(self) -> None:
        count, side = self.num_envs, self.settings.image_size
        self._store = Store(self.task, self.settings.padding)
        self._places_of = _places(self.settings.padding)
        self._reasons = np.array(self.task.reasons, object)
        self._decks: list[Deck[int]] = []
        self._themes: list[ThemeDraw] = []
        self._row = np.full(count, -1)
        self._state, self._steps = np.zeros((2, count), np.int64)
        self._facts = np.zeros((len(self._store.facts), count), np.int64)
        self._layout_id = np.full(count, "", object)
        self._all, self._no_reason = np.ones(count, bool), np.full(count, "", object)
        self._outcome = np.zeros(count, np.int32)
        self._acted = np.zeros(count, np.int64)  # (row, state, action) that led here, flat
        self._terminated, self._truncated = np.zeros(count, bool), np.zeros(count, bool)
        self._symbolic: dict[str, Any] = {}
        self._pictures: list[Picture | None] = [None] * count
        observed = self.settings.observation != "symbolic"
        self._shown = observed or self.render_mode == "rgb_array"
        self._theme = [self.settings.theme] * count
        self._images = np.zeros((count if observed else 0, side, side, 3), np.uint8)

    def __getstate__(self) -> dict[str, Any]:
        # A copied picture would no longer draw into the images; it is made anew when needed.
        return {**vars(self), "_pictures": [None] * self.num_envs}

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """The boards being played, before the first move."""
        return tuple(map(self._store.layout, self._row.tolist()))

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
        asked = dict(options or {})
        mask = self._read_mask(asked.pop("reset_mask", None))
        envs = _where(mask)
        seeds = [seed + i for i in range(self.num_envs)] if isinstance(seed, int) else seed
        seeds = [None] * self.num_envs if seeds is None else list(seeds)
        if len(seeds) != self.num_envs:
            raise ValueError(f"{len(seeds)} seeds for {self.num_envs} environments")
        self._seed(envs, seeds)
        self._begin(envs, self._asked_rows(envs, asked))
        infos = self._infos()
        return self._observe(), infos if mask.all() else _only(infos, mask)

    def _read_mask(self, given: Any) -> Bool:
        if given is None:
            return np.ones(self.num_envs, bool)
        mask: Bool = np.asarray(given)
        if mask.shape != (self.num_envs,) or mask.dtype != bool or not mask.any():
            raise ValueError(f"reset_mask is bool[{self.num_envs}] with one True or more")
        if not self._decks and not mask.all():
            raise ValueError("the first reset is of all environments; leave reset_mask out")
        return mask

    def _seed(self, envs: Int, seeds: list[int | None]) -> None:
        if not self._decks:
            made = [seeding.np_random(seed) for seed in seeds]
            self._decks = [Deck(rng) for rng, _ in made]
            self._themes = [ThemeDraw(self.settings, seed) for _, seed in made]
        else:
            for i in envs.tolist():
                if seeds[i] is not None:
                    self._store.free(self._decks[i].unplayed())
                    rng, seed = seeding.np_random(seeds[i])
                    self._decks[i] = Deck(rng)
                    self._themes[i] = ThemeDraw(self.settings, seed)
        if self._pool_size is not None and (self._pool is None or seeds[0] is not None):
            self._store, self._row[:] = Store(self.task, self.settings.padding), -1
            self._pool = Pool(self.settings, self._store, self._pool_size, self._decks[0].rng)

    def _asked_rows(self, envs: Int, options: dict[str, Any]) -> Int | None:
        rows = []
        for i in envs.tolist():
            asked = self.settings.asked_layout(options, self._decks[i].generator)
            if asked is None:
                return None
            rows += self._store.add(Drawn(compile_boards(Boards.stack([asked])), [0]))
        return np.array(rows)

    def _begin(self, envs: Int, rows: Int | None = None) -> None:
        """Start new episodes, on the boards of `rows` or on the next ones."""
        store = self._store
        if rows is None:
            rows = self._next_rows(envs)
        played = self._row[envs]
        if self._pool is None:
            store.free(played[played >= 0].tolist())
        self._row[envs] = rows
        self._state[envs] = store.landmarks[rows, 0]
        self._facts[:, envs] = store.facts[:, rows]
        self._layout_id[envs] = store.layout_id[rows]
        self._cells, self._place, self._length, self._base = self._facts
        self._steps[envs] = self._outcome[envs] = 0
        self._terminated[envs] = self._truncated[envs] = False
        if not self._symbolic:
            self._symbolic = {name: part[self._row] for name, part in store.symbolic.items()}
        for name, part in store.symbolic.items():
            if name != "agent":  # `_observe` writes it
                self._symbolic[name][envs] = part[rows]
        if self._shown:
            for i in envs.tolist():
                self._draw(i)

    def _draw(self, i: int) -> None:
        """Begin the picture of an episode, on that of the one before where they are alike."""
        theme, layout = self._themes[i].next(), self._store.layout(int(self._row[i]))
        picture, known = self._pictures[i], self._theme[i] == theme
        if picture is not None and known and picture.layout.level == layout.level:
            picture.change(layout, int(self._state[i]))
            return
        self._theme[i], self._pictures[i] = theme, None
        if len(self._images):
            self._picture(i)

    def _next_rows(self, envs: Int) -> Int:
        if self._pool is not None:
            return self._pool.deal(len(envs))
        decks = [self._decks[i] for i in envs.tolist()]
        return np.array(deal(decks, self.settings.levels, self.settings.wish, self._store.add))

    def step(self, actions: Any) -> tuple[Any, Any, Bool, Bool, dict[str, Any]]:
        """Play an action in each environment; those that ended start anew as the mode says."""
        ended = self._terminated | self._truncated
        if self.autoreset_mode == AutoresetMode.DISABLED and ended.any():
            raise ValueError(f"environments {_where(ended)} have ended; reset them first")
        self._play(self._read_actions(actions))
        rewards = (self._outcome == _SUCCESS).astype(np.float64)
        final: dict[str, Any] = {}
        if self.autoreset_mode == AutoresetMode.NEXT_STEP and ended.any():
            self._begin(_where(ended))
            rewards[ended] = 0
        terminated, truncated = self._terminated.copy(), self._truncated.copy()
        if self.autoreset_mode == AutoresetMode.SAME_STEP:
            over = terminated | truncated
            if over.any():
                final = self._final(over)
                self._begin(_where(over))
        return self._observe(), rewards, terminated, truncated, {**final, **self._infos()}

    def _read_actions(self, given: Any) -> Int:
        actions, count = np.asarray(given, np.int64), len(self.task.actions)
        if actions.shape != (self.num_envs,) or actions.min() < 0 or actions.max() >= count:
            raise ValueError(f"actions are {self.num_envs} numbers of 0 to {count - 1}")
        return actions

    def _play(self, actions: Int) -> None:
        """Move in every environment; what this does to those that have ended is overwritten."""
        store, before = self._store, self._state
        self._acted = (self._base + before) * store.actions + actions
        moved = store.moves.take(self._acted)
        self._outcome = moved & OUTCOME
        self._state = (moved >> STATE).astype(np.int64)
        self._steps += 1
        self._terminated = self._ends.take(self._outcome)
        self._truncated = self._steps >= self._limit
        if self.task.phases > 1:
            changed = self._state // self._cells != before // self._cells
            if changed.any():
                self._show_phase(_where(changed))
        if len(self._images):
            for i in _where(self._state != before).tolist():
                self._picture(i).show(int(self._state[i]))

    def _show_phase(self, envs: Int) -> None:
        rows = self._row[envs]
        levels = self._store.level[rows]
        for level in np.unique(levels).tolist():
            some = levels == level
            boards = self._store.boards(level, rows[some])
            parts = self.task.symbolic(boards, self._state[envs[some]], self._store.max_level)
            for name, part in parts.items():
                self._symbolic[name][envs[some]] = part

    def _observe(self) -> Any:
        kept = _copied if self._copy else _same
        if self.settings.observation == "image":
            return kept(self._images)
        cell = self._state if self.task.phases == 1 else self._state % self._cells
        self._places_of.take(self._place + cell, axis=0, out=self._symbolic["agent"])
        symbolic = {name: kept(part) for name, part in self._symbolic.items()}
        if self.settings.observation == "symbolic":
            return symbolic
        return {"image": kept(self._images), "symbolic": symbolic}

    def _infos(self) -> dict[str, Any]:
        store, outcome = self._store, self._outcome
        if not self._with_infos:
            return {}
        here = self._base + self._state
        distance = store.distance.take(here).astype(np.int64)
        success = outcome == _SUCCESS
        distance[success] = 0
        distance[outcome == _FAILURE] = UNREACHABLE
        legal = store.legal.take(here, axis=0)
        legal[self._terminated] = 0
        reasons, refused = self._no_reason.copy(), _where(outcome == _ILLEGAL)
        if len(refused):
            reasons[refused] = self._reasons.take(store.reason(self._acted[refused]))
        infos = {
            "is_success": success,
            "outcome": _OUTCOMES.take(outcome),
            "illegal_reason": reasons,
            "action_mask": legal,
            "steps": self._steps.copy(),
            "optimal_length": self._length.copy(),
            "distance_to_goal": distance,
            "layout_id": self._layout_id.copy(),
        }
        return infos | {name: self._all.copy() for name in _MASKS}

    def _final(self, over: Bool) -> dict[str, Any]:
        """`final_obs` and `final_info` of the environments that end with this step."""
        whole, last = self._observe(), np.full(self.num_envs, None, object)
        for i in _where(over).tolist():
            last[i] = _row_of(whole, i)
        info = _only(self._infos(), over)
        return {"final_obs": last, "_final_obs": over.copy(),
                "final_info": info, "_final_info": over.copy()}  # fmt: skip

    def _picture(self, i: int) -> Picture:
        """The picture of an environment, at its place in `_images`."""
        picture = self._pictures[i]
        if picture is None:
            layout, state = self._store.layout(int(self._row[i])), int(self._state[i])
            image = self._images[i] if len(self._images) else self._blank()
            picture = self._pictures[i] = Picture(image, layout, self._theme[i], state)
        return picture

    def _blank(self) -> UInt8:
        side = self.settings.image_size
        return np.zeros((side, side, 3), np.uint8)

    def render(self) -> tuple[Any, ...] | None:
        """The boards as images or, in mode `ansi`, as texts."""
        states = self._state.tolist()
        if self.render_mode == "rgb_array":
            pictures = [self._picture(i) for i in range(self.num_envs)]
            for picture, state in zip(pictures, states, strict=True):
                picture.show(state)
            return tuple(picture.image.copy() for picture in pictures)
        if self.render_mode == "ansi":
            return tuple(map(board_text, self.layouts, states))
        return None


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


def _where(mask: Bool) -> Int:
    return mask.nonzero()[0]  # np.flatnonzero takes three times as long on a few entries


def _copied(array: Any) -> Any:
    return array.copy()


def _same(array: Any) -> Any:
    return array


@lru_cache(maxsize=8)
def _places(max_level: int) -> Int:
    """(row, col) of every cell of every level: int64[(max_level + 1) * max_level**2, 2]."""
    places = np.zeros((max_level + 1, max_level**2, 2), np.int64)
    for level in range(1, max_level + 1):
        places[level, : level**2] = positions(np.arange(level**2), level)
    return places.reshape(-1, 2)
