"""A window that shows pictures, for `render_mode="human"`."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any, ClassVar

from gymnasium import logger
from gymnasium.error import DependencyNotInstalled

from vsp_envs.core.layout import UInt8

NO_DISPLAY = (
    "there is no display to open a window on, so none is shown; run on a desktop, forward a "
    'display with `ssh -X`, start a virtual one with `xvfb-run`, or use render_mode="rgb_array"'
)
VOID = ("offscreen", "dummy", "evdev")
"""SDL's drivers that show nothing."""


def open_display() -> bool:
    """Start pygame's display; False where nobody would see it.

    Without a display, and where the one that is named cannot be reached, SDL silently draws into
    the void. Only `SDL_VIDEODRIVER` may ask for that.
    """
    import pygame  # here, because only windows need it

    named = ("SDL_VIDEODRIVER", "DISPLAY", "WAYLAND_DISPLAY")
    if sys.platform not in ("win32", "darwin") and not any(map(os.environ.get, named)):
        return False
    try:
        pygame.display.init()  # pygame.init() would open the sound device too
    except pygame.error:
        return False
    if os.environ.get("SDL_VIDEODRIVER") or pygame.display.get_driver() not in VOID:
        return True
    pygame.display.quit()
    return False


class Window:
    """Opens with the first picture and shows at most `fps` of them a second.

    Every window is one of its own: the end of one leaves the others open. Without a display it says
    so once and shows nothing.
    """

    _open: ClassVar[dict[int, Window]] = {}
    """pygame's number of a window → the window, for the events, which come for all together."""

    def __init__(self, title: str, fps: int) -> None:
        try:
            import pygame
        except ImportError:
            raise DependencyNotInstalled(
                'render_mode="human" needs pygame-ce; run `pip install "vsp-envs[play]"`'
            ) from None
        self._pygame, self._title, self._fps = pygame, title, fps
        self._window: Any = None
        self._id = 0
        self.closed = False
        """Whether the player has closed it."""
        self._display = open_display()
        if not self._display:
            logger.warn(NO_DISPLAY)
        self._clock = pygame.time.Clock()

    def show(self, image: UInt8) -> None:
        """Show a picture, uint8[height, width, 3]; nothing once the window is closed."""
        if self._display and not self.closed:
            self._draw(image)
            self._read_events()
            self._clock.tick(self._fps)

    def _draw(self, image: UInt8) -> None:
        pygame, size = self._pygame, (image.shape[1], image.shape[0])
        if self._window is None:
            self._window = pygame.Window(self._title, size)
            self._id = self._window.id
            Window._open[self._id] = self
        elif self._window.size != size:
            self._window.size = size
        picture = pygame.image.frombuffer(image.tobytes(), size, "RGB")
        self._window.get_surface().blit(picture, (0, 0))
        self._window.flip()

    def _read_events(self) -> None:
        pygame = self._pygame
        for event in pygame.event.get((pygame.WINDOWCLOSE, pygame.QUIT)):
            # QUIT comes with the end of the last window, and when the session ends.
            of_all = event.type == pygame.QUIT
            ended = list(Window._open.values()) if of_all else [Window._open.get(event.window.id)]
            for window in filter(None, ended):
                window.close()
                window.closed = True

    def close(self) -> None:
        """Close the window."""
        if self._window is not None:
            if Window._open.get(self._id) is self:
                del Window._open[self._id]
            with suppress(self._pygame.error):  # where the program has quit pygame, it is gone
                self._window.destroy()
            self._window = None
