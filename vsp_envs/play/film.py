"""A replay as a file: `.gif` and `.mp4` films, a `.png` of an episode's end. Needs no display."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from itertools import repeat
from pathlib import Path

import pygame
from PIL import Image
from pygame import Surface

from vsp_envs.play.replay import END_MS, STEP_MS, Replay
from vsp_envs.play.replay_screen import ReplayScreen
from vsp_envs.scoring.episode import Episode

SIZE = (960, 640)
"""Of a film; even numbers, as mp4 wants them."""
FORMATS = (".gif", ".mp4", ".png")
_FRAME_MS = 100  # of an mp4


def check_film(path: Path) -> Path:
    """`path` if a film of that name can be made; otherwise a ValueError with what to do."""
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"--save makes {', '.join(FORMATS)}, not {path.name!r}")
    if path.suffix.lower() == ".mp4" and not shutil.which("ffmpeg"):
        raise ValueError("an .mp4 needs the program ffmpeg; install it, or save a .gif")
    return path


def save_film(
    path: Path, episodes: Sequence[Episode], theme: str | None = None, speed: float = 1.0
) -> None:
    """Write all the episodes as a film, or the end of the first one as a picture."""
    check_film(path)
    if path.suffix.lower() == ".png":
        screen = ReplayScreen(Replay(episodes), theme)
        screen.replay.jump(-1)
        screen.replay.playing = True  # a picture does not say that it is paused
        _picture(screen).save(path, optimize=True)
    elif path.suffix.lower() == ".gif":
        _save_gif(path, list(_frames(episodes, theme, speed)))
    else:
        _save_mp4(path, _frames(episodes, theme, speed))


def _frames(
    episodes: Sequence[Episode], theme: str | None, speed: float
) -> Iterator[tuple[Image.Image, int]]:
    """Every step of every episode, and how many milliseconds it stays."""
    for index in range(len(episodes)):
        replay = Replay(episodes, index)
        screen = ReplayScreen(replay, theme)
        for step in range(replay.last + 1):
            replay.jump(step)
            replay.playing = True
            yield _picture(screen), round((END_MS if step == replay.last else STEP_MS) / speed)


def _picture(screen: ReplayScreen) -> Image.Image:
    surface = Surface(SIZE)
    screen.draw(surface)
    return Image.frombytes("RGB", SIZE, pygame.image.tobytes(surface, "RGB"))


def _save_gif(path: Path, frames: Sequence[tuple[Image.Image, int]]) -> None:
    pictures = [picture.quantize(128, dither=Image.Dither.NONE) for picture, _ in frames]
    times = [time for _, time in frames]
    pictures[0].save(
        path, save_all=True, append_images=pictures[1:], duration=times, loop=0, optimize=True
    )


def _save_mp4(path: Path, frames: Iterator[tuple[Image.Image, int]]) -> None:
    command = [
        *("ffmpeg", "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"),
        *("-s", f"{SIZE[0]}x{SIZE[1]}", "-r", str(1000 // _FRAME_MS), "-i", "-"),
        *("-pix_fmt", "yuv420p", "-f", "mp4", str(path)),
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as ffmpeg:
        assert ffmpeg.stdin and ffmpeg.stderr
        try:
            for picture, time in frames:
                for data in repeat(picture.tobytes(), max(1, round(time / _FRAME_MS))):
                    ffmpeg.stdin.write(data)
            ffmpeg.stdin.close()
        except BrokenPipeError:
            pass  # ffmpeg says below why it went away
        said = ffmpeg.stderr.read().decode(errors="replace").strip()
    if ffmpeg.returncode:
        raise ValueError(f"ffmpeg could not write {path}: {said.splitlines()[-1] if said else ''}")
