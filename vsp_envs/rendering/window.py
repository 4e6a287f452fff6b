"""A window that shows pictures, for `render_mode="human"`."""

from __future__ import annotations

from gymnasium.error import DependencyNotInstalled

from vsp_envs.core.layout import UInt8


class Window:
    """Opens with the first picture and shows at most `fps` of them a second."""

    def __init__(self, title: str, fps: int) -> None:
        try:
            import pygame  # here, because only this window and `vsp_envs.play` need it
        except ImportError:
            raise DependencyNotInstalled(
                'render_mode="human" needs pygame-ce; run `pip install "vsp-envs[play]"`'
            ) from None
        self._pygame, self._title, self._fps = pygame, title, fps
        # Not pygame.init(): it opens the sound device too.
        pygame.display.init()
        self._clock = pygame.time.Clock()
        self._surface: pygame.Surface | None = None

    def show(self, image: UInt8) -> None:
        """Show a picture, uint8[height, width, 3]."""
        pygame, size = self._pygame, (image.shape[1], image.shape[0])
        if self._surface is None or self._surface.get_size() != size:
            self._surface = pygame.display.set_mode(size)
            pygame.display.set_caption(self._title)
        self._surface.blit(pygame.image.frombuffer(image.tobytes(), size, "RGB"), (0, 0))
        pygame.event.pump()
        pygame.display.flip()
        self._clock.tick(self._fps)

    def close(self) -> None:
        """Close the window."""
        self._pygame.display.quit()
