"""A real window around a screen: events in, frames out."""

from __future__ import annotations

from pathlib import Path

import pygame

from vsp_envs.play.screen import Screen
from vsp_envs.rendering.window import open_display

SIZE = (960, 680)
"""Of a new window: fits a small laptop."""
FRAME_MS = 16
IDLE_MS = 250
"""How often a window in which nothing moves looks at the clock."""

NO_DISPLAY = (
    "there is no display to open a window on: play on a desktop, forward one with `ssh -X`, or "
    "start a virtual one with `xvfb-run`; --replay FILE --save OUT.gif needs none"
)


class DisplayError(ValueError):
    """No window can be opened; the message says what to do."""


class Window:
    """Shows a screen until it is done or the window is closed."""

    def __init__(self, screen: Screen, folder: Path | None = None) -> None:
        """Open the window; pictures of it are saved in `folder`. Raises DisplayError."""
        self.screen, self.folder = screen, folder or Path()
        self._held: set[int] = set()
        if not open_display():
            raise DisplayError(NO_DISPLAY)
        try:
            pygame.display.set_caption("vsp_envs")
            self.surface = pygame.display.set_mode(SIZE, pygame.RESIZABLE)
        except pygame.error:
            pygame.display.quit()
            raise DisplayError(NO_DISPLAY) from None
        self._clock = pygame.time.Clock()
        self.show()

    def run(self) -> None:
        """Until the end; the window is gone afterwards, whatever happened."""
        try:
            while not self.screen.done:
                self.step(FRAME_MS if self.screen.busy else IDLE_MS)
        finally:
            pygame.display.quit()

    def step(self, wait_ms: int = 0) -> None:
        """Wait for an event that long, handle all there are, let time pass, draw."""
        first = pygame.event.wait(wait_ms) if wait_ms else pygame.event.poll()
        for event in (first, *pygame.event.get()):
            self._handle(event)
        self.screen.tick(self._clock.tick())
        if not self.screen.done:
            self.show()

    def show(self) -> None:
        """Draw, and save a picture if one is wanted."""
        self.surface = pygame.display.get_surface() or self.surface
        self.screen.draw(self.surface)
        pygame.display.flip()
        if self.screen.shot_wanted:
            self.screen.shot_wanted = False
            self.screen.save_shot(self.surface, self.folder)

    def _handle(self, event: pygame.event.Event) -> None:
        if event.type == pygame.QUIT:
            self.screen.done = True
        elif event.type == pygame.KEYDOWN and event.key not in self._held:
            # One press is one action. pygame leaves out the system's repeats, but some remote
            # desktops send them as presses of their own.
            self._held.add(event.key)
            text = event.unicode if event.unicode.isprintable() else ""
            if not (event.mod & (pygame.KMOD_CTRL | pygame.KMOD_GUI) and not text):
                self.screen.key(pygame.key.name(event.key), text)
        elif event.type == pygame.KEYUP:
            self._held.discard(event.key)
        elif event.type == pygame.WINDOWFOCUSLOST:
            self._held.clear()
