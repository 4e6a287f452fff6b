"""The boards that a vector environment plays: state, observations and infos as arrays."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from vsp_envs.env import NAMES
from vsp_envs.render import Picture
from vsp_envs.settings import Settings, ThemeDraw
from vsp_envs.solve import UNREACHABLE
from vsp_envs.store import OUTCOME, STATE, Store
from vsp_envs.tables import positions
from vsp_envs.task import Bool, Int, Outcome

_OUTCOMES = np.array(NAMES, object)
# Plain numbers: looking up a member of an enum takes longer than comparing a thousand of them.
_SUCCESS, _FAILURE, _ILLEGAL = map(int, (Outcome.SUCCESS, Outcome.FAILURE, Outcome.ILLEGAL))


_INFOS = (
    "is_success", "outcome", "illegal_reason", "action_mask", "steps", "optimal_length",
    "distance_to_goal", "layout_id",
)  # fmt: skip
_MASKS = tuple(f"_{name}" for name in _INFOS)


class Batch:
    """`count` boards in play, a place in the arrays to each; their tables are rows of a store."""

    def __init__(
        self, settings: Settings, store: Store, themes: list[ThemeDraw], limit: int
    ) -> None:
        count, side = len(themes), settings.image_size
        self.settings, self.store, self.themes, self._limit = settings, store, themes, limit
        self.task, self._count = settings.rules, count
        self._places_of = _places(settings.padding)
        self._reasons = np.array(self.task.reasons, object)
        self._ends = np.array([False, True, True, settings.illegal == "fail"])  # by Outcome
        self.row = np.full(count, -1)
        self.state, self._steps = np.zeros((2, count), np.int64)
        self._facts = np.zeros((len(store.facts), count), np.int64)
        self._layout_id = np.full(count, "", object)
        self._all, self._no_reason = np.ones(count, bool), np.full(count, "", object)
        self.outcome = np.zeros(count, np.int32)
        self._acted = np.zeros(count, np.int64)  # (row, state, action) that led here, flat
        self.terminated, self.truncated = np.zeros(count, bool), np.zeros(count, bool)
        self._symbolic: dict[str, Any] = {}
        self._pictures: list[Picture | None] = [None] * count
        observed = settings.observation != "symbolic"
        self._shown = observed or settings.render_mode == "rgb_array"
        self._theme = [settings.theme] * count
        self._images = np.zeros((count if observed else 0, side, side, 3), np.uint8)

    def __getstate__(self) -> dict[str, Any]:
        # A copied picture would no longer draw into the images; it is made anew when needed.
        return {**vars(self), "_pictures": [None] * self._count}

    def start(self, envs: Int, rows: Int) -> None:
        """Begin episodes at some places, on the boards of those rows."""
        store = self.store
        self.row[envs] = rows
        self.state[envs] = store.landmarks[rows, 0]
        self._facts[:, envs] = store.facts[:, rows]
        self._layout_id[envs] = store.layout_id[rows]
        self._cells, self._place, self._length, self._base = self._facts
        self._steps[envs] = self.outcome[envs] = 0
        self.terminated[envs] = self.truncated[envs] = False
        if not self._symbolic:
            self._symbolic = {name: part[self.row] for name, part in store.symbolic.items()}
        for name, part in store.symbolic.items():
            if name != "agent":  # `observe` writes it
                self._symbolic[name][envs] = part[rows]
        if self._shown:
            for i in envs.tolist():
                self._draw(i)

    def _draw(self, i: int) -> None:
        """Begin the picture of an episode, on that of the one before where they are alike."""
        theme, layout = self.themes[i].next(), self.store.layout(int(self.row[i]))
        picture, known = self._pictures[i], self._theme[i] == theme
        if picture is not None and known and picture.layout.level == layout.level:
            picture.change(layout, int(self.state[i]))
            return
        self._theme[i], self._pictures[i] = theme, None
        if len(self._images):
            self._picture(i)

    def play(self, actions: Int) -> None:
        """Move in every environment; what this does to those that have ended is overwritten."""
        store, before = self.store, self.state
        self._acted = (self._base + before) * store.actions + actions
        moved = store.moves.take(self._acted)
        self.outcome = moved & OUTCOME
        self.state = (moved >> STATE).astype(np.int64)
        self._steps += 1
        self.terminated = self._ends.take(self.outcome)
        self.truncated = self._steps >= self._limit
        if self.task.phases > 1:
            changed = self.state // self._cells != before // self._cells
            if changed.any():
                self._show_phase(where(changed))
        if len(self._images):
            for i in where(self.state != before).tolist():
                self._picture(i).show(int(self.state[i]))

    def _show_phase(self, envs: Int) -> None:
        rows = self.row[envs]
        levels = self.store.level[rows]
        for level in np.unique(levels).tolist():
            some = levels == level
            boards = self.store.boards(level, rows[some])
            parts = self.task.symbolic(boards, self.state[envs[some]], self.store.max_level)
            for name, part in parts.items():
                self._symbolic[name][envs[some]] = part

    def observe(self, copy: bool) -> Any:
        """The observations; without `copy` the same arrays at every call."""
        kept = _copied if copy else _same
        if self.settings.observation == "image":
            return kept(self._images)
        cell = self.state if self.task.phases == 1 else self.state % self._cells
        self._places_of.take(self._place + cell, axis=0, out=self._symbolic["agent"])
        symbolic = {name: kept(part) for name, part in self._symbolic.items()}
        if self.settings.observation == "symbolic":
            return symbolic
        return {"image": kept(self._images), "symbolic": symbolic}

    def infos(self) -> dict[str, Any]:
        """The infos, with a mask for each key."""
        store, outcome = self.store, self.outcome
        here = self._base + self.state
        distance = store.distance.take(here).astype(np.int64)
        success = outcome == _SUCCESS
        legal = store.legal.take(here, axis=0)
        over = where(self.terminated)
        if len(over):
            legal[over] = 0
            ends, left = outcome[over], distance[over]
            left[ends == _SUCCESS], left[ends == _FAILURE] = 0, UNREACHABLE
            distance[over] = left
        reasons, refused = self._no_reason.copy(), where(outcome == _ILLEGAL)
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

    def _picture(self, i: int) -> Picture:
        """The picture of an environment, at its place in `_images`."""
        picture = self._pictures[i]
        if picture is None:
            layout, state = self.store.layout(int(self.row[i])), int(self.state[i])
            side = self.settings.image_size
            blank = np.zeros((side, side, 3), np.uint8)
            image = self._images[i] if len(self._images) else blank
            picture = self._pictures[i] = Picture(image, layout, self._theme[i], state)
        return picture

    def frames(self) -> tuple[Any, ...]:
        """A picture of every board, as copies."""
        for i, state in enumerate(self.state.tolist()):
            self._picture(i).show(state)
        return tuple(self._picture(i).image.copy() for i in range(self._count))


def where(mask: Bool) -> Int:
    """The indices of a mask."""
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
