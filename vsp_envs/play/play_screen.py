"""The window in which a person plays: keys in, a picture of the game out."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pygame
from pygame import Rect, Surface

from vsp_envs.core.grid import STEPS
from vsp_envs.core.layout import Action, Outcome
from vsp_envs.core.simulator import state_cell
from vsp_envs.core.solver import solve_layout
from vsp_envs.play.drawing import BLUE, GROUND, TONES, WindowAreas, divide_window, draw_board
from vsp_envs.play.game import Game
from vsp_envs.play.hud import draw_foot, draw_input, draw_message, draw_top
from vsp_envs.play.keys import PLAY_KEYS
from vsp_envs.play.marks import Marks
from vsp_envs.play.screen import Screen
from vsp_envs.rendering.renderer import MAX_IMAGE_SIZE, MIN_IMAGE_SIZE
from vsp_envs.scoring.describe import symbolic_state

PLAN_MS = 350
"""Time for each action of a typed plan."""
EFFECT_MS = {Outcome.ILLEGAL: 260, Outcome.SUCCESS: 900, Outcome.FAILURE: 900}
LONGEST_PLAN = 2000
"""Characters of a typed plan."""
_PULSE = {Outcome.ILLEGAL: "warn", Outcome.SUCCESS: "good", Outcome.FAILURE: "bad"}


class PlayScreen(Screen):
    """Draws a `Game` and hands it what the keys ask for."""

    keys = PLAY_KEYS

    def __init__(self, game: Game, theme: str = "classic") -> None:
        """`theme` holds for the tasks that have it; the others begin with their first."""
        super().__init__(theme)
        self.game = game
        self.typing: str | None = None
        """The plan that is being typed, or None."""
        self._effect: Outcome | None = None
        self._direction = (0, 0)
        self._effect_ms = self._plan_ms = 0.0
        self.commands = {
            **{each.name.lower(): self._act(each) for each in Action},
            "act": lambda: self._show(game.pick_or_drop(), Action.PICK),
            "plan": self._begin_typing,
            "undo": game.undo,
            "restart": game.restart,
            "next": game.next_board,
            "previous": game.previous_board,
            "hint": game.toggle_hint,
            "symbolic": self._toggle_symbolic,
            "larger": partial(game.change_level, 1),
            "smaller": partial(game.change_level, -1),
            "theme": lambda: self.next_theme(game.layout.task),
            **{f"task {number}": partial(game.change_task, number) for number in range(1, 10)},
        }

    @property
    def busy(self) -> bool:
        """Whether something moves on the screen."""
        return bool(self._effect or self.game.queue)

    def key(self, name: str, text: str) -> None:
        """A key was pressed: while a plan is typed it types, otherwise it is a command."""
        if self.typing is not None:
            self._type(name, text)
        elif self.game.queue and name in ("escape", "return", "enter", "space"):
            self._finish_plan()
        else:
            super().key(name, text)

    def command(self, command: str) -> None:
        """Obey a command of the key table."""
        if self.game.queue:  # a plan that is being played is not interfered with
            return
        self._effect = None
        super().command(command)

    def tick(self, milliseconds: float) -> None:
        """Let time pass: animations, and the next action of a typed plan."""
        if self._effect:
            self._effect_ms += milliseconds
            if self._effect_ms >= EFFECT_MS[self._effect]:
                self._effect = None
        if self.game.queue:
            self._plan_ms += milliseconds
            if self._plan_ms >= PLAN_MS:
                self._plan_ms = 0
                self._advance()

    def say(self, message: str, tone: str = "plain") -> None:
        """Tell the player something."""
        self.game.say(message, tone)

    def draw(self, surface: Surface) -> None:
        """Draw all of the window."""
        surface.fill(GROUND)
        at = divide_window(surface.get_size(), self.hud, self.help or self.game.symbolic)
        pixels = min(max(at.board.width, MIN_IMAGE_SIZE), MAX_IMAGE_SIZE)
        self.game.image = {"theme": self.theme_of(self.game.layout.task), "pixels": pixels}
        self._draw_board(surface, at.board)
        if self.hud:
            self._draw_hud(surface, at)
        if self.help:
            self.draw_help(surface, at)
        elif self.game.symbolic:
            self._draw_symbolic(surface, at)

    def _draw_board(self, surface: Surface, area: Rect) -> None:
        game, area = self.game, area.copy()
        progress = self._effect_ms / EFFECT_MS[self._effect] if self._effect else 1.0
        if self._effect is Outcome.ILLEGAL:  # a nudge against what is in the way
            push = 0.02 * area.width * math.sin(math.pi * progress)
            area.move_ip(push * self._direction[1], push * self._direction[0])
        draw_board(surface, area, game.layout, game.state, game.image["theme"])
        if game.hint:
            self._draw_hint(surface, area)
        tone = _PULSE[self._effect] if self._effect else game.message.tone
        if tone in ("good", "bad") or self._effect:
            wide = max(3, round(area.width * (0.008 + 0.02 * math.sin(math.pi * progress))))
            pygame.draw.rect(surface, TONES[tone], area.inflate(wide, wide), wide, wide)

    def _draw_hint(self, surface: Surface, area: Rect) -> None:
        game = self.game
        marks = Marks(area, game.layout.level)
        for action in game.task.actions:
            if solve_layout(game.layout).optimal[game.state][action]:
                marks.arrow(state_cell(game.layout, game.state), action, BLUE)
        marks.finish(surface)

    def _draw_hud(self, surface: Surface, at: WindowAreas) -> None:
        game = self.game
        where = f"board {game.tally.played + (not game.attempt.over)}"
        if game.boards.total:
            where += f" of {game.boards.total}"
        title = f"{game.task.title} {game.layout.level}"
        draw_top(surface, at, title, where, f"theme {game.image['theme']}    ? help")
        if self.typing is None:
            draw_message(surface, at, game.message.text, TONES[game.message.tone])
        else:
            draw_input(surface, at, "plan", self.typing)
        tally, steps = game.tally, game.attempt.trace.steps
        left, solved = f"steps {steps}", f"solved {tally.solved} of {tally.played}"
        if game.recording:  # no model is told how long a shortest plan is
            draw_foot(surface, at, left, f"{solved}   recorded")
            return
        draw_foot(
            surface,
            at,
            f"{left}   shortest {game.attempt.shortest}",
            f"{solved}   optimal {tally.optimal}   streak {tally.streak}",
        )

    def _draw_symbolic(self, surface: Surface, at: WindowAreas) -> None:
        """What a text agent is start before the first move, and the observation of this moment."""
        game = self.game
        start = ["as text, at the start", *game.task.state_text(game.layout).split("\n")]
        now = ['observation["symbolic"], now']
        for name, value in symbolic_state(game.layout, game.state).items():
            shown = np.array2string(np.asarray(value), 10_000, threshold=10_000, separator=" ")
            first, *rest = shown.split("\n")
            now += [f"{name:8} {first}", *(f"{'':8} {row}" for row in rest)]
        self.draw_blocks(surface, at, [start, now])

    def _act(self, action: Action) -> Callable[[], None]:
        return lambda: self._show(self.game.act(action), action)

    def _show(self, outcome: Outcome | None, action: Action) -> None:
        """Begin the animation of an outcome."""
        self._effect = outcome if outcome in EFFECT_MS else None
        self._effect_ms, self._direction = 0.0, (STEPS[action] if action <= Action.UP else (0, 0))

    def _advance(self) -> None:
        action = self.game.queue[0]
        self._show(self.game.advance(), action)

    def _finish_plan(self) -> None:
        while self.game.queue:
            self._advance()

    def _toggle_symbolic(self) -> None:
        self.help = False  # it has the same panel, and the state would not be seen
        self.game.toggle_symbolic()

    def _begin_typing(self) -> None:
        self.typing = ""
        self.say("")

    def _type(self, name: str, text: str) -> None:
        if name == "escape":
            self.typing = None
        elif name in ("return", "enter"):
            plan, self.typing = self.typing or "", None
            if plan.strip():
                self.game.run_plan(plan)
                self._plan_ms = 0.0
        elif name == "backspace":
            self.typing = (self.typing or "")[:-1]
        elif text.isprintable() and len(self.typing or "") < LONGEST_PLAN:
            self.typing = (self.typing or "") + text
