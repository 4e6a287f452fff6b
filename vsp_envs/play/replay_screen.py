"""The window in which recorded episodes are watched: the board, and what was said about it."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pygame
from pygame import Rect, Surface

from vsp_envs.core.layout import Action, Cell, Outcome
from vsp_envs.core.simulator import state_cell
from vsp_envs.core.solver import solve_layout
from vsp_envs.core.task import get_task
from vsp_envs.play.claims import Claims, Mark, read_claims
from vsp_envs.play.drawing import (
    BAD,
    BLUE,
    DIM,
    GOOD,
    GROUND,
    INK,
    TONES,
    WARN,
    WindowAreas,
    divide_window,
    draw_board,
    font,
    write,
)  # fmt: skip
from vsp_envs.play.hud import draw_foot, draw_message, draw_top
from vsp_envs.play.keys import REPLAY_KEYS
from vsp_envs.play.marks import Marks
from vsp_envs.play.replay import SPEEDS, Replay
from vsp_envs.play.reply_panel import ReplyPanel
from vsp_envs.play.screen import Screen
from vsp_envs.rendering.renderer import check_theme
from vsp_envs.scoring.answer_format import action_name


class ReplayScreen(Screen):
    """Draws a `Replay` and hands it what the keys ask for."""

    keys = REPLAY_KEYS

    def __init__(self, replay: Replay, theme: str | None = None) -> None:
        """`theme` None shows every board as it was shown when it was played."""
        super().__init__(theme or "")
        self.replay, self.claims = replay, True
        self._message, self._tone = "", "plain"
        self._panel = ReplyPanel()
        self.commands = {
            "pause": replay.pause,
            "back": partial(replay.walk, -1),
            "on": partial(replay.walk, 1),
            "start": partial(replay.jump, 0),
            "end": partial(replay.jump, -1),
            "next": partial(replay.turn, 1),
            "previous": partial(replay.turn, -1),
            "failure": self._next_failure,
            "faster": partial(replay.change_speed, 1),
            "slower": partial(replay.change_speed, -1),
            "claims": self._toggle_claims,
            "theme": lambda: self.next_theme(replay.layout.task),
            "scroll up": partial(self._panel.scroll, -5),
            "scroll down": partial(self._panel.scroll, 5),
        }

    @property
    def busy(self) -> bool:
        """Whether the film runs."""
        return self.replay.playing

    def theme_of(self, task: str) -> str:
        """The theme that was asked for, or else the one that the episode was played in."""
        shown = self.replay.episode.image.get("theme")
        if self._theme or task in self._themes or not _can_draw(task, str(shown)):
            return super().theme_of(task)
        return str(shown)

    def command(self, command: str) -> None:
        """Obey a command of the key table."""
        self.say("")
        super().command(command)

    def tick(self, milliseconds: float) -> None:
        """Let time pass."""
        self.replay.tick(milliseconds)

    def say(self, message: str, tone: str = "plain") -> None:
        """Tell the player something."""
        self._message, self._tone = message, tone

    def draw(self, surface: Surface) -> None:
        """Draw all of the window."""
        surface.fill(GROUND)
        replay = self.replay
        claims = read_claims(replay.reply, replay.shown)
        at = divide_window(surface.get_size(), self.hud, self.hud or self.help)
        self._draw_board(surface, at.board, claims)
        if self.hud:
            self._draw_hud(surface, at)
        if self.help:
            self.draw_help(surface, at)
        elif self.hud:
            turns = len(replay.episode.turns)
            turn = f"turn {replay.turn_index + 1} of {turns}" if turns > 1 else ""
            self._panel.draw(surface, at, replay.episode, claims, replay.reply, turn)

    def _draw_board(self, surface: Surface, area: Rect, claims: Claims) -> None:
        replay, layout = self.replay, self.replay.layout
        states = replay.states
        draw_board(surface, area, layout, states[-1], self.theme_of(layout.task))
        over = Marks(area, layout.level)
        over.way([state_cell(layout, state) for state in states], BLUE)
        outcomes, acts = solve_layout(layout).outcome, dict[Cell, list[str]]()
        taken = replay.actions[: replay.played]
        for number, (state, action) in enumerate(zip(states, taken, strict=False), 1):
            cell = state_cell(layout, state)
            if number == replay.episode.pushed:
                over.tag(cell, "PUSHED", WARN, (0.5, 0.14))
            elif outcomes[state][action] == Outcome.ILLEGAL:
                over.cross(cell, action, WARN)
            elif action > Action.UP:
                acts.setdefault(cell, []).append(action.name)
        for cell, names in acts.items():
            over.tag(cell, " ".join(names), BLUE, (0.5, 0.86))
        if self.claims:
            _draw_claims(over, claims.marks)
        over.finish(surface)
        if replay.step == replay.last:
            color = GOOD if replay.episode.success else BAD
            pygame.draw.rect(surface, color, area.inflate(8, 8), 4, 6)

    def _draw_hud(self, surface: Surface, at: WindowAreas) -> None:
        replay, episode = self.replay, self.replay.episode
        title = f"{get_task(episode.task).title} {episode.level}"
        where = f"episode {replay.index + 1} of {len(replay.episodes)}"
        theme = f"theme {self.theme_of(episode.task)}"
        draw_top(surface, at, title, where, f"{theme}    ? help")
        if self._message:
            draw_message(surface, at, self._message, TONES[self._tone])
        else:
            self._draw_plan(surface, at)
        failures = sum(not each.success for each in replay.episodes)
        speed = f"{SPEEDS[replay.speed]:g}×" if replay.playing else "paused"
        step = f"step {replay.played} of {len(replay.actions)}"
        draw_foot(
            surface,
            at,
            f"{step}   shortest {episode.optimal_length}   {speed}",
            f"failures {failures} of {len(replay.episodes)}",
        )

    def _draw_plan(self, surface: Surface, at: WindowAreas) -> None:
        """The actions, the last one played in colour; the line turns with a long plan."""
        letters = font(at.size, mono=True)
        names = [action_name(Action[name]) for name in self.replay.episode.plan]
        step, row = self.replay.played, at.bottom.top
        first = step - 1
        while (
            first > 0 and letters.size(" ".join(names[first - 1 : step]))[0] < at.bottom.width / 2
        ):
            first -= 1
        left = at.bottom.left
        for i, name in enumerate(names[max(first, 0) :], start=max(first, 0)):
            color = INK if i < step - 1 else BLUE if i == step - 1 else DIM
            if left + letters.size(name)[0] > at.bottom.right:
                break
            left = write(surface, name, (left, row), at.size, color, mono=True).right + at.size // 2

    def _next_failure(self) -> None:
        if not self.replay.next_failure():
            self.say("No episode of this recording failed.", "good")

    def _toggle_claims(self) -> None:
        self.claims = not self.claims


def _can_draw(task: str, theme: str) -> bool:
    """Whether the theme is there: a folder of tiles may be gone, or be another machine's."""
    try:
        return bool(check_theme(task, theme))
    except (ValueError, OSError):
        return False


def _draw_claims(over: Marks, found: list[Mark]) -> None:
    found = sorted(found, key=lambda mark: mark.kind == "right")
    for mark in found:
        if mark.side is not None:
            # Open and not claimed so: an imagined wall, solid. The other way: a wall not seen.
            over.side(mark.cell, mark.side, BAD, dashed=mark.kind == "wrong")
        elif mark.kind != "right":
            over.frame(mark.cell, BAD, dashed=mark.kind == "missed")
    tags = Counter[Cell]()
    for mark in found:
        if mark.side is None:
            color = GOOD if mark.kind == "right" else BAD
            words = f"no {mark.question}" if mark.kind == "missed" else mark.question
            over.tag(mark.cell, words, color, (0.5, 0.16 + 0.27 * tags[mark.cell]))
            tags[mark.cell] += 1
