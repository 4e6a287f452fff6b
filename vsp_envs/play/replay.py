"""A replay without a window: which episode, which step, how fast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from vsp_envs.core.layout import Action, Layout
from vsp_envs.core.simulator import layout_in
from vsp_envs.scoring.episode import Episode

SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Multiples of one action in `STEP_MS`."""
STEP_MS = 600
END_MS = 1800
"""How long an episode's last state stays before the next episode begins."""


class Frame(NamedTuple):
    """What a step shows."""

    played: int
    """Actions before it."""
    turn: int
    """The turn that is answered."""


class Replay:
    """Episodes as a film that can be stopped and turned back.

    A step is an action, or a turn in which none was played.
    """

    def __init__(self, episodes: Sequence[Episode], first: int = 0) -> None:
        """Begin, playing, with the episode of index `first`. Raises ValueError if there is none."""
        if not 0 <= first < len(episodes):
            raise ValueError(f"there is no episode {first + 1}; the recording has {len(episodes)}")
        self.episodes = episodes
        self.index, self.step = first, 0
        self.playing, self.speed = True, SPEEDS.index(1.0)
        self._waited = 0.0

    @property
    def episode(self) -> Episode:
        """The episode on the screen."""
        return self.episodes[self.index]

    @property
    def layout(self) -> Layout:
        """Its board."""
        return self.episode.board()

    @property
    def played(self) -> int:
        """Actions played until this step."""
        return self._frames()[self.step].played

    @property
    def states(self) -> list[int]:
        """The states passed until this step, at least the start."""
        states = self.episode.states or [self.layout.cells[0]]
        return states[: self.played + 1]

    @property
    def actions(self) -> list[Action]:
        """All actions that the episode played; the rest of its plan came after the end."""
        return [Action[name] for name in self.episode.plan[: self._count]]

    @property
    def last(self) -> int:
        """Number of the last step."""
        return len(self._frames()) - 1

    @property
    def turn_index(self) -> int:
        """Which turn of the episode is answered at this step; 0 where it has only one."""
        return self._frames()[self.step].turn

    @property
    def reply(self) -> str:
        """The reply of that turn."""
        turns = self.episode.turns
        return str(turns[self.turn_index]["reply"]) if turns else self.episode.reply

    @property
    def shown(self) -> Layout:
        """The board as the agent was shown it in that turn."""
        start = next(each.played for each in self._frames() if each.turn == self.turn_index)
        return layout_in(self.layout, self.episode.states[start]) if start else self.layout

    @property
    def _count(self) -> int:
        return max(0, len(self.episode.states) - 1)

    def _frames(self) -> list[Frame]:
        """What each step of the episode shows."""
        frames, done = list[Frame](), 0
        for number, turn in enumerate(self.episode.turns):
            frames += [Frame(done + each, number) for each in range(max(1, turn["played"]))]
            done += turn["played"]
        last = frames[-1] if frames else Frame(-1, 0)
        return [
            *frames,
            *(Frame(each, last.turn) for each in range(last.played + 1, self._count + 1)),
        ]

    def tick(self, milliseconds: float) -> None:
        """Let time pass."""
        if not self.playing:
            return
        self._waited += milliseconds * SPEEDS[self.speed]
        if self._waited < (STEP_MS if self.step < self.last else END_MS):
            return
        if self.step < self.last:
            self._to(self.index, self.step + 1)
        elif self.index + 1 < len(self.episodes):
            self._to(self.index + 1, 0)
        else:
            self.playing = False

    def pause(self) -> None:
        """Stop or go on; at the very end, from the start of the episode."""
        self.playing = not self.playing
        if self.playing and self.step == self.last and self.index + 1 == len(self.episodes):
            self._to(self.index, 0)

    def walk(self, steps: int) -> None:
        """Steps forward, or back where negative; stops the film."""
        self.playing = False
        self._to(self.index, min(max(self.step + steps, 0), self.last))

    def jump(self, step: int) -> None:
        """To a step, or the last where -1; stops the film."""
        self.playing = False
        self._to(self.index, self.last if step < 0 else step)

    def turn(self, episodes: int) -> None:
        """Episodes forward, or back where negative."""
        self._to(min(max(self.index + episodes, 0), len(self.episodes) - 1), 0)

    def next_failure(self) -> bool:
        """To the next episode that failed, from the top again after the last; False if none did."""
        count = len(self.episodes)
        for index in (*range(self.index + 1, count), *range(self.index + 1)):
            if not self.episodes[index].success:
                self._to(index, 0)
                return True
        return False

    def change_speed(self, by: int) -> None:
        """Faster (1) or slower (-1)."""
        self.speed = min(max(self.speed + by, 0), len(SPEEDS) - 1)

    def _to(self, index: int, step: int) -> None:
        self.index, self.step, self._waited = index, step, 0.0
