"""What the two windows have in common: keys to commands, themes, help, and pictures of itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pygame
from pygame import Surface

from vsp_envs.core.task import get_task
from vsp_envs.play.drawing import BLUE, DIM, INK, PANEL, WindowAreas, font, write
from vsp_envs.play.keys import Key, command_of
from vsp_envs.rendering.renderer import theme_of


class Screen:
    """A window's content; subclasses bring keys, commands and a drawing."""

    keys: tuple[Key, ...]

    def __init__(self, theme: str) -> None:
        """`theme` holds for the tasks that have it; the others begin with their first."""
        self.hud, self.help, self.done = True, False, False
        self.shot_wanted = False
        """A picture of the window is to be saved after the next drawing."""
        self.commands: Mapping[str, Callable[[], object]]
        """Command → what it does; the common ones are added to these."""
        self._themes: dict[str, str] = {}
        self._theme = theme

    @property
    def busy(self) -> bool:
        """Whether something moves on the screen."""
        return False

    def key(self, name: str, text: str) -> None:
        """A key was pressed; `name` is pygame's name for it, `text` the character it types."""
        command = command_of(self.keys, name, text)
        if command == "quit":
            self.done = True
        elif command == "hud":
            self.hud = not self.hud
        elif command == "help":
            self.help = not self.help
        elif command == "screenshot":
            self.shot_wanted = True
        elif command:
            self.command(command)

    def command(self, command: str) -> None:
        """Obey a command of the key table."""
        self.commands[command]()

    def tick(self, milliseconds: float) -> None:
        """Let time pass."""

    def draw(self, surface: Surface) -> None:
        """Draw all of the window."""
        raise NotImplementedError

    def say(self, message: str, tone: str = "plain") -> None:
        """Tell the player something."""
        raise NotImplementedError

    def theme_of(self, task: str) -> str:
        """The theme that a task is drawn in."""
        themes, asked = self._themes_of(task), theme_of(self._theme, task)
        return self._themes.get(task, asked if asked in themes else themes[0])

    def _themes_of(self, task: str) -> list[str]:
        """The themes that a task can be drawn in here, the folder of tiles among them if named."""
        known = get_task(task)
        asked = theme_of(self._theme, task)
        from_folder = asked.partition(":")[0] in known.folder_themes
        return [*known.themes, *[asked] * from_folder]

    def next_theme(self, task: str) -> None:
        """Draw a task in its next theme."""
        themes = self._themes_of(task)
        theme = themes[(themes.index(self.theme_of(task)) + 1) % len(themes)]
        self._themes[task] = theme
        others = "" if len(themes) > 1 else ", the only one of this task"
        self.say(f"Theme {theme}{others}.")

    def save_shot(self, surface: Surface, folder: Path) -> None:
        """Save a picture of the window under a name that is free."""
        name, number = time.strftime("vsp-%Y%m%d-%H%M%S"), 1
        path = folder / f"{name}.png"
        while path.exists():
            number += 1
            path = folder / f"{name}-{number}.png"
        try:
            pygame.image.save(surface, path)
        except (pygame.error, OSError) as error:
            self.say(f"No picture saved at {path}: {error}.", "bad")
        else:
            self.say(f"Saved {path}.")

    def draw_help(self, surface: Surface, at: WindowAreas) -> None:
        """The keys and what they do, in the panel."""
        pygame.draw.rect(surface, PANEL, at.panel, 0, at.size // 2)
        inside = at.panel.inflate(-2 * at.size, -at.size)
        size = max(9, min(at.size, int(inside.height / (1.45 * len(self.keys)))))
        while size > 9 and self._help_width(size) > inside.width:
            size -= 1
        column = max(font(size).size(key.shown)[0] for key in self.keys) + size
        surface.set_clip(at.panel)
        for i, key in enumerate(self.keys):
            top = inside.top + round(1.45 * size * (i + 0.2))
            write(surface, key.shown, (inside.left, top), size, BLUE)
            write(surface, key.meaning, (inside.left + column, top), size, INK)
        surface.set_clip(None)

    def _help_width(self, size: int) -> int:
        columns = ([key.shown for key in self.keys], [key.meaning for key in self.keys])
        return size + sum(max(font(size).size(words)[0] for words in each) for each in columns)

    def draw_blocks(self, surface: Surface, at: WindowAreas, blocks: list[list[str]]) -> None:
        """Blocks of lines in the panel, each with a title; in the largest letters that fit."""
        pygame.draw.rect(surface, PANEL, at.panel, 0, at.size // 2)
        inside = at.panel.inflate(-at.size, -at.size)
        letters = font(100, mono=True)  # widths grow with the size
        wide = [max(letters.size(line)[0] for line in block) / 100 + 1 for block in blocks]
        high = [1.3 * (len(block) + 1) for block in blocks]
        under = min(inside.width / max(wide), inside.height / sum(high))
        beside = min(inside.width / sum(wide), inside.height / max(high))
        size = max(6, min(at.size, int(max(under, beside))))
        surface.set_clip(at.panel)
        left, top = inside.topleft
        for block, width, height in zip(blocks, wide, high, strict=True):
            for i, line in enumerate(block):
                corner = (left, top + round(1.3 * size * i))
                write(surface, line, corner, size, INK if i else DIM, mono=True)
            left += int(width * size) if beside > under else 0
            top += 0 if beside > under else int(height * size)
        surface.set_clip(None)
