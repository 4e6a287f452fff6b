"""The boards that a vector environment plays: state, observations and infos as arrays."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vsp_envs.core.grid import positions
from vsp_envs.core.layout import Bool, Int, Outcome
from vsp_envs.core.solver import UNREACHABLE
from vsp_envs.envs.config import EnvConfig, ThemeSampler
from vsp_envs.envs.layout_store import MOVE, OUTCOME, REASON, STATE, LayoutStore
from vsp_envs.envs.planning_env import NAMES
from vsp_envs.rendering.renderer import BoardRenderer

# Arrays: a Python number in an operation on few entries takes as long as the operation.
_ONE, _STATE, _CODE = np.array(1), np.array(STATE), np.array((1 << STATE) - 1)

_MASKS = (
    "_is_success", "_outcome", "_illegal_reason", "_action_mask", "_steps", "_optimal_length",
    "_distance_to_goal", "_layout_id",
)  # fmt: skip


class VectorState:
    """The boards in play, one per environment; their tables are rows of a store."""

    def __init__(
        self, config: EnvConfig, store: LayoutStore, themes: list[ThemeSampler], limit: int
    ) -> None:
        count, side = len(themes), config.image_size
        self.config, self.store, self.themes = config, store, themes
        self.task, self._count = config.task_definition, count
        self._limit, self._codes = np.array(limit), _codes(config)
        self._width = np.array(store.state_table.itemsize // MOVE.itemsize)
        self._cells = _cells(self.task.phases, config.padding)
        self.row: Int = np.full(count, -1)
        self._here, self._steps, self._code = np.zeros((3, count), np.int64)
        self._shift = np.zeros(
            count, np.int64
        )  # from an index into `state_table` to one into `_cells`
        self._layout_id = np.full(count, "", object)
        self._nothing_legal = np.zeros((), store.state_table.dtype["legal"])
        self._all = np.ones((len(_MASKS), count), bool)
        self.terminated, self.truncated = np.zeros(count, bool), np.zeros(count, bool)
        self._symbolic: dict[str, Any] = {}
        shown = config.observation != "symbolic" or config.render_mode == "rgb_array"
        self._images = np.zeros((count if shown else 0, side, side, 3), np.uint8)
        self._renderers: list[BoardRenderer | None] = [None] * count
        self._theme = [config.theme] * count
        self._drawn = np.full(count, -1)  # what `_here` was when it was drawn; -1: another board

    def __getstate__(self) -> dict[str, Any]:
        # A copied renderer would no longer draw into the images; a new one is made when needed.
        nothing = {"_renderers": [None] * self._count, "_drawn": np.full(self._count, -1)}
        return {**vars(self), **nothing}

    @property
    def state(self) -> Int:
        """The current states: indices into the transition tables."""
        return self._here - self.row * self.store.states

    def start(self, envs: Int, rows: Int) -> None:
        """Begin episodes in some environments, on the boards of those rows."""
        store = self.store
        self.row[envs] = rows
        self._here[envs] = store.start.take(rows)
        self._shift[envs] = store.shift.take(rows)
        self._layout_id[envs] = store.layout_id.take(rows)
        self._steps[envs] = self._code[envs] = 0
        self.terminated[envs] = self.truncated[envs] = False
        self._drawn[envs] = -1
        for i in envs.tolist() if len(self._images) else ():
            self._theme[i] = self.themes[i].next()

    def play(self, actions: Int) -> None:
        """Move in every environment; the caller overwrites those that have ended."""
        move = self.store.moves.take(self._here * self._width + actions).astype(np.int64)
        self._here += move >> _STATE
        self._code = move & _CODE
        self._steps += _ONE
        self.terminated = self._codes.ends.take(self._code)
        self.truncated = self._steps >= self._limit

    def rewards(self) -> NDArray[np.float64]:
        """1 where the last action was a success, else 0, and 0 where an episode begins."""
        return self._codes.reward.take(self._code)

    def observe(self, copy: bool) -> Any:
        """The observations; without `copy` the same arrays at every call."""
        wanted = self.config.observation
        if wanted != "symbolic":
            self._draw()
            images = self._images.copy() if copy else self._images
            if wanted == "image":
                return images
        symbolic = self._read_symbolic()
        if not copy:
            self._symbolic = self._symbolic or symbolic
            for name, part in symbolic.items():
                self._symbolic[name][:] = part
            symbolic = dict(self._symbolic)
        return symbolic if wanted == "symbolic" else {"image": images, "symbolic": symbolic}

    def _read_symbolic(self) -> dict[str, Any]:
        store, index, cells = self.store, self.row, self._here + self._shift
        if self.task.phases > 1:
            phase = self._cells.phase.take(cells)
            index = index * store.phases + np.minimum(phase, store.phases - 1)
        parts = {name: part.take(index, axis=0) for name, part in store.symbolic.items()}
        parts["agent"] = self._cells.agent.take(cells, axis=0)
        if store.phases < self.task.phases:
            self._show_final(parts, where(phase >= store.phases))
        return parts

    def _show_final(self, parts: dict[str, Any], envs: Int) -> None:
        state, levels = self.state[envs], self.store.level[self.row[envs]]
        for level in np.unique(levels).tolist():
            some = levels == level
            boards = self.store.boards(level, self.row[envs[some]])
            final = self.task.symbolic(boards, state[some], self.store.max_level)
            for name, part in final.items():
                parts[name][envs[some]] = part

    def infos(self) -> dict[str, Any]:
        """The infos, with a mask for each key."""
        codes, code, store = self._codes, self._code, self.store
        here, (outcome, reason) = (
            store.state_table.take(self._here),
            codes.words.take(code, axis=0).T,
        )
        distance, legal = here["distance"], here["legal"]
        over = where(self.terminated)
        mask = self._legal(legal, over)
        final = over if self.config.illegal == "stay" else where(codes.final.take(code))
        distance[final] = codes.distance.take(code.take(final))
        return {
            "is_success": codes.success.take(code),
            "outcome": outcome,
            "illegal_reason": reason,
            "action_mask": mask,
            "steps": self._steps.copy(),
            "optimal_length": store.length.take(self.row),
            "distance_to_goal": distance,
            "layout_id": self._layout_id.copy(),
            **dict(zip(_MASKS, self._all.copy(), strict=True)),
        }

    def action_masks(self) -> Bool:
        """bool[env, action]: what the rules allow now."""
        legal = self.store.state_table.take(self._here)["legal"]
        return self._legal(legal, where(self.terminated)).astype(bool)

    def _legal(self, legal: NDArray[Any], over: Int) -> NDArray[np.int8]:
        legal[over] = self._nothing_legal
        return legal[:, None].view(np.int8)

    def outcome(self) -> Int:
        """The Outcome of the last action in each environment, as a number."""
        return self._code & OUTCOME

    def frames(self) -> tuple[Any, ...]:
        """An image of every board, as copies."""
        self._draw()
        return tuple(image.copy() for image in self._images)

    def _draw(self) -> None:
        """Bring the images up to date."""
        state, drawn = self.state.tolist(), self._drawn.tolist()
        for i in where(self._here != self._drawn).tolist():
            renderer = self._renderers[i]
            if renderer is not None and drawn[i] >= 0:
                renderer.show(state[i])
                continue
            layout, theme = self.store.layout(int(self.row[i])), self._theme[i]
            if renderer is not None and renderer.can_become(layout, theme):
                renderer.change(layout, state[i])
            else:
                self._renderers[i] = BoardRenderer(self._images[i], layout, theme, state[i])
        self._drawn = self._here.copy()


def where(mask: Bool) -> Int:
    """The indices of a mask."""
    return mask.nonzero()[0]  # np.flatnonzero takes three times as long on a few entries


class _Codes(NamedTuple):
    """What the low bits of a move say: an entry for each of their values."""

    words: NDArray[Any]  # [code, 2]: the outcome's name, why the rules refuse the move or ""
    success: Bool
    reward: NDArray[np.float64]
    ends: Bool  # the episode
    final: Bool  # success or failure
    distance: Int  # where final


def _codes(config: EnvConfig) -> _Codes:
    code = np.arange(1 << STATE)
    outcome = code & OUTCOME
    success, failure, illegal = (outcome == each for each in list(Outcome)[1:])
    words = np.full((len(code), 2), "", object)
    words[:, 0] = np.array(NAMES, object)[outcome]
    for number, reason in enumerate(config.task_definition.reasons):
        words[illegal & (code >> REASON == number), 1] = reason
    ends = success | failure | (illegal & (config.illegal == "fail"))
    distance = np.where(success, 0, UNREACHABLE)
    return _Codes(words, success, success.astype(float), ends, success | failure, distance)


class _Cells(NamedTuple):
    """Of every state of every level: where the agent is, and its phase."""

    agent: Int  # [(max_level + 1) * states, 2], (row, col)
    phase: Int


@lru_cache(maxsize=8)
def _cells(phases: int, max_level: int) -> _Cells:
    agent = np.zeros((max_level + 1, phases * max_level**2, 2), np.int64)
    phase = np.zeros(agent.shape[:2], np.int64)
    for level in range(1, max_level + 1):
        state = np.arange(phases * level**2)
        agent[level, : len(state)] = positions(state, level)
        phase[level, : len(state)] = state // level**2
    return _Cells(agent.reshape(-1, 2), phase.ravel())
