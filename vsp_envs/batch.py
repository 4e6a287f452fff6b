"""The boards that a vector environment plays: state, observations and infos as arrays."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vsp_envs.env import NAMES
from vsp_envs.render import Picture
from vsp_envs.settings import Settings, ThemeDraw
from vsp_envs.solve import UNREACHABLE
from vsp_envs.store import OUTCOME, REASON, STATE, Store
from vsp_envs.tables import positions
from vsp_envs.task import Bool, Int, Outcome

# Arrays: a Python number in an operation on few entries takes as long as the operation.
_ONE, _STATE, _CODE = np.array(1), np.array(STATE), np.array((1 << STATE) - 1)

_INFOS = (
    "is_success", "outcome", "illegal_reason", "action_mask", "steps", "optimal_length",
    "distance_to_goal", "layout_id",
)  # fmt: skip
_KEYS = (*_INFOS, *(f"_{name}" for name in _INFOS))


class Batch:
    """`count` boards in play, a place in the arrays to each; their tables are rows of a store."""

    def __init__(
        self, settings: Settings, store: Store, themes: list[ThemeDraw], limit: int
    ) -> None:
        count, side = len(themes), settings.image_size
        self.settings, self.store, self.themes, self._limit = settings, store, themes, limit
        self.task, self._count = settings.rules, count
        self._actions, self._codes = np.array(len(self.task.actions)), _codes(settings)
        self._cells = _cells(self.task.phases, settings.padding)
        self.row = np.full(count, -1)
        self.state, self._steps, self._code = np.zeros((3, count), np.int64)
        self._base, self._level_base, self._length = np.zeros((3, count), np.int64)
        self._layout_id = np.full(count, "", object)
        self._all = np.ones((len(_INFOS), count), bool)
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
        self.state[envs] = store.start.take(rows)
        self._base[envs] = rows * store.states
        self._level_base[envs] = store.level.take(rows) * store.states
        self._length[envs] = store.length.take(rows)
        self._layout_id[envs] = store.layout_id.take(rows)
        self._steps[envs] = self._code[envs] = 0
        self.terminated[envs] = self.truncated[envs] = False
        if not self._symbolic:
            self._symbolic = {name: part[self.row] for name, part in store.symbolic.items()}
        for name, part in store.symbolic.items():
            if name != "agent":  # `observe` writes it
                self._symbolic[name][envs] = part.take(rows, axis=0)
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
        before = self.state
        move = self.store.moves.take((self._base + before) * self._actions + actions)
        move = move.astype(np.int64)
        self.state, self._code = move >> _STATE, move & _CODE
        self._steps += _ONE
        self.terminated = self._codes.ends.take(self._code)
        self.truncated = self._steps >= self._limit
        if self.task.phases > 1:
            phase, level = self._cells.phase, self._level_base
            changed = where(phase.take(level + before) != phase.take(level + self.state))
            if len(changed):
                self._show_phase(changed)
        if len(self._images):
            for i in where(self.state != before).tolist():
                self._picture(i).show(int(self.state[i]))

    def success(self) -> Bool:
        """Where the last action was a success; False where an episode begins."""
        return self._codes.success.take(self._code)

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
        images, symbolic = self._images, self._symbolic
        if self.settings.observation == "image":
            return images.copy() if copy else images
        # Into `out`, `take` writes at once only where it need not raise for an index.
        here, agent = self._level_base + self.state, symbolic["agent"]
        self._cells.place.take(here, axis=0, out=agent, mode="clip")
        symbolic = {name: part.copy() if copy else part for name, part in symbolic.items()}
        if self.settings.observation == "symbolic":
            return symbolic
        return {"image": images.copy() if copy else images, "symbolic": symbolic}

    def infos(self) -> dict[str, Any]:
        """The infos, with a mask for each key."""
        codes, code, here = self._codes, self._code, self._base + self.state
        success, distance = self.success(), self.store.distance.take(here).astype(np.int64)
        distance[where(success)] = 0
        distance[where(codes.failure.take(code))] = UNREACHABLE
        legal, over = self.store.legal.take(here, axis=0), where(self.terminated)
        if len(over):
            legal[over] = 0
        infos = (
            success, codes.outcome.take(code), codes.reason.take(code), legal, self._steps.copy(),
            self._length.copy(), distance, self._layout_id.copy(),
        )  # fmt: skip
        return dict(zip(_KEYS, (*infos, *self._all.copy()), strict=True))

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


class _Codes(NamedTuple):
    """What the low bits of a move say: an entry for each of their values."""

    outcome: NDArray[Any]  # its name
    reason: NDArray[Any]  # why the rules refuse the move, or ""
    success: Bool
    failure: Bool
    ends: Bool  # the episode


def _codes(settings: Settings) -> _Codes:
    code = np.arange(1 << STATE)
    outcome, reasons = code & OUTCOME, settings.rules.reasons
    success, failure, illegal = (outcome == each for each in (1, 2, 3))
    reason = np.full(len(code), "", object)
    for number, words in enumerate(reasons):
        reason[illegal & (code >> REASON == number)] = words
    ends = success | failure | (illegal & (settings.illegal == "fail"))
    return _Codes(np.array(NAMES, object)[outcome], reason, success, failure, ends)


class _Cells(NamedTuple):
    """Of every state of every level: where the agent is, and its phase."""

    place: Int  # [(max_level + 1) * states, 2], (row, col)
    phase: Int


@lru_cache(maxsize=8)
def _cells(phases: int, max_level: int) -> _Cells:
    place = np.zeros((max_level + 1, phases * max_level**2, 2), np.int64)
    phase = np.zeros(place.shape[:2], np.int64)
    for level in range(1, max_level + 1):
        state = np.arange(phases * level**2)
        place[level, : len(state)] = positions(state, level)
        phase[level, : len(state)] = state // level**2
    return _Cells(place.reshape(-1, 2), phase.ravel())
