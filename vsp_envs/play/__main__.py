"""The command: `python -m vsp_envs.play`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from vsp_envs.core.registry import TASKS
from vsp_envs.core.splits import check_split
from vsp_envs.core.task import check_level, get_task
from vsp_envs.core.task_level import TaskLevel
from vsp_envs.play.boards import ListedBoards, RandomBoards
from vsp_envs.play.game import Game
from vsp_envs.play.replay import Replay
from vsp_envs.public_sets import read_benchmark
from vsp_envs.rendering.renderer import check_theme, theme_of
from vsp_envs.scoring.episode import Episode, read_episodes
from vsp_envs.utils.choices import pick_name
from vsp_envs.utils.files import read_json
from vsp_envs.utils.words import counted

if TYPE_CHECKING:
    from vsp_envs.play.screen import Screen

NEEDED = {"pygame": "pygame-ce", "tyro": "tyro"}
"""Modules of the extra `play`, and the packages that hold them."""


@dataclass(frozen=True, kw_only=True)
class PlayConfig:
    """Play the tasks yourself, or watch recorded episodes. In the window `?` shows the keys."""

    task: str | None = None
    """`frozenlake` (first), `maze` or `minibehaviour`; keys 1, 2, 3 change it."""
    level: int | None = None
    """Side length of the boards; + and − change it."""
    theme: str | None = None
    """The theme of the images; T changes it. `tiles:FOLDER` draws FrozenLake from your pictures.

    Or one for each task, as in "frozenlake=gymnasium maze=thin".
    """
    split: str | None = None
    """`train`, `val` or `test`; without it boards of all of them."""
    seed: int | None = None
    """Seed of the boards: with `--split test`, those that `evaluation.planning` asks models."""
    benchmark: Path | None = None
    """Play a public test set, a file or a folder, board by board instead of random boards."""
    record: Path | None = None
    """Append every episode to this JSONL file; boards in it are not given again."""
    replay: Path | None = None
    """Watch the episodes of a recording, a `replies.jsonl` or the run folder that holds one."""
    episode: int | None = None
    """The first episode of a replay, counted from 1; with `--save` the only one."""
    save: Path | None = None
    """Write the replay as a `.gif` or `.mp4`, or an episode's end as a `.png`; opens no window."""
    speed: float = 1.0
    """Speed of a saved film, a multiple of the usual one."""


def open_screen(options: PlayConfig) -> Screen:
    """The content of the window. Raises ValueError for invalid options."""
    if options.replay:
        from vsp_envs.play.replay_screen import ReplayScreen  # needs pygame

        replay = Replay(_episodes(options.replay), (options.episode or 1) - 1)
        return ReplayScreen(replay, options.theme)
    from vsp_envs.play.play_screen import PlayScreen  # needs pygame

    return PlayScreen(open_game(options), options.theme or "classic")


def open_game(options: PlayConfig) -> Game:
    """The game that the options ask for. Raises ValueError."""
    played = read_episodes(options.record, repair=True) if options.record else []
    if options.record:
        options.record.parent.mkdir(parents=True, exist_ok=True)
        options.record.open("a").close()  # better an error now than after the first board
    check_split(options.split)
    if options.benchmark:
        listed = ListedBoards(read_benchmark(options.benchmark))
        return Game(listed, _first_task_level(options, listed), options.record, played)
    task = get_task(options.task or "frozenlake")
    level = (
        options.level
        if options.level is not None
        else task.paper_levels[len(task.paper_levels) // 3]
    )
    task_level = TaskLevel(task.name, check_level(task, level))
    return Game(RandomBoards(options.split, options.seed), task_level, options.record, played)


def _first_task_level(options: PlayConfig, listed: ListedBoards) -> TaskLevel | None:
    """The task and level that a benchmark begins with; None for its first board."""
    if options.task is None and options.level is None:
        return None
    task = get_task(options.task or listed.layouts[0].task).name
    levels = listed.levels(task)
    level = options.level if options.level is not None else (levels or [0])[0]
    if level not in levels:
        raise ValueError(f"{options.benchmark} has no {task} of level {level}; it has {levels}")
    return TaskLevel(task, level)


def _episodes(path: Path) -> list[Episode]:
    file = path / "replies.jsonl" if path.is_dir() else path
    if not file.is_file():
        raise ValueError(
            f"there is no {file} to watch; --replay takes a run folder or a JSONL file"
        )
    episodes = read_episodes(file)
    if not episodes:
        raise ValueError(f"{file} holds no episode to watch")
    agent = _agent_of(file.with_name("config.json")) if file.name == "replies.jsonl" else ""
    return [replace(each, agent=each.agent or agent) for each in episodes]


def _agent_of(config: Path) -> str:
    """Who played a run, by its `config.json`; empty where there is none."""
    if not config.is_file():
        return ""
    try:
        return str(read_json(config)["settings"]["agent"])
    except (ValueError, LookupError, TypeError, RecursionError):
        raise ValueError(f"{config} is not the config of a run; mend or remove it") from None


def run(options: PlayConfig) -> None:
    """The command. Raises ValueError and OSError for the user."""
    if options.theme:
        _check_theme(options.theme)
    if options.save:
        _save(options)
        return
    from vsp_envs.play.window import Window  # needs pygame

    Window(open_screen(options)).run()
    if options.record and options.record.is_file():
        print(f"{counted(len(read_episodes(options.record)), 'episode')} in {options.record}")
        print(f"next: python -m evaluation.report {options.record} RUN --out comparison.html")


def _check_theme(theme: str) -> None:
    """Raises ValueError if no task can be drawn in that theme, or one that is named cannot."""
    of_tasks = {name: theme_of(theme, name) for name in TASKS}
    if theme not in of_tasks.values():
        for name, own in of_tasks.items():
            check_theme(name, own)
        return
    kind = theme.partition(":")[0]
    tasks = [task for task in TASKS.values() if kind in task.legend]
    if not tasks:
        pick_name("theme", theme, {name for task in TASKS.values() for name in task.legend})
    for task in tasks:
        check_theme(task.name, theme)


def _save(options: PlayConfig) -> None:
    from vsp_envs.play.film import save_film  # needs pygame

    assert options.save
    if not options.replay:
        raise ValueError("--save makes a film of recorded episodes: name them with --replay FILE")
    if options.speed <= 0:
        raise ValueError(f"--speed must be above 0, got {options.speed:g}")
    episodes = _episodes(options.replay)
    if options.episode is not None:
        episodes = [Replay(episodes, options.episode - 1).episode]
    save_film(options.save, episodes, options.theme, options.speed)
    print(f"saved: {options.save}; a browser shows it")


def main(args: Sequence[str] | None = None) -> None:
    """Read the arguments and run."""
    missing = [package for module, package in NEEDED.items() if find_spec(module) is None]
    if missing:
        needed = " and ".join(missing)
        print(f"error: playing needs {needed}: pip install 'vsp-envs[play]'", file=sys.stderr)
        raise SystemExit(2)
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    from vsp_envs.utils.cli import main as run_command  # needs tyro, which may be missing above

    run_command(run, PlayConfig, args)


if __name__ == "__main__":
    main()
