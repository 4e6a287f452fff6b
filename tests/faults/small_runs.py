"""Small runs to be killed or starved: each is a command's work in a function for a fork."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from filelock import FileLock

# One process imports everything once; each run is a fork of it.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["training.recipes.demo", "vsp_envs.play.play_screen"])
SFT_STEPS, OPCD_STEPS, EPISODES, GAMES = 4, 3, 40, 40
LIVELY = (
    "process_seconds", "train_runtime", "train_samples_per_second", "train_steps_per_second",
)  # fmt: skip
"""What a log says of time."""


def build(tiny: Path) -> None:
    """A checkpoint folder of the smallest tiny model, untrained."""
    from training.model.tiny import build_tiny

    model, processor, _ = build_tiny("S")
    model.save_pretrained(tiny)
    processor.save_pretrained(tiny)


def command(what: Callable[[Path, Path], None], tiny: Path, out: Path, said: Path) -> None:
    """The run as a command does it: a user error is one line on stderr, here the file `said`."""
    from vsp_envs.utils.cli import main

    with said.open("w") as sys.stderr:
        main(lambda _: what(tiny, out), Nothing, [])


@dataclass(frozen=True)
class Nothing:
    """No settings."""


def halted(what: Callable[[Path, Path], None], tiny: Path, out: Path) -> None:
    """The run, which stops itself (SIGSTOP) as soon as its folder is its own."""
    acquire = FileLock.acquire

    def acquire_and_stop(lock: FileLock, *args: object, **kwargs: object) -> object:
        held = acquire(lock, *args, **kwargs)
        if Path(lock.lock_file) == out / ".lock":
            os.kill(os.getpid(), signal.SIGSTOP)
        return held

    FileLock.acquire = acquire_and_stop
    what(tiny, out)


def run_sft(tiny: Path, out: Path) -> None:
    from training.sft import SFTConfig, train_sft

    train_sft(
        SFTConfig(
            out=out, model=str(tiny), steps=SFT_STEPS, batch_size=2, save_every=1, eval_every=0
        )
    )


def run_opcd(tiny: Path, out: Path) -> None:
    from training.opcd.config import OPCDConfig
    from training.opcd.trainer import train_opcd

    train_opcd(
        OPCDConfig(
            out=out, model=str(tiny), teacher=str(tiny), tasks=("frozenlake:3", "maze:3"),
            steps=OPCD_STEPS, batch_size=4, max_new_tokens=6, save_every=1, eval_every=0,
        )
    )  # fmt: skip


def run_turns(tiny: Path, out: Path) -> None:
    """OPCD in turns, with earlier ones in the prompt."""
    from agents.multi_turn import TurnPolicy
    from training.opcd.config import OPCDConfig
    from training.opcd.trainer import train_opcd

    train_opcd(
        OPCDConfig(
            out=out, model=str(tiny), teacher=str(tiny), tasks=("frozenlake:3",), steps=OPCD_STEPS,
            batch_size=2, max_new_tokens=4, save_every=1, eval_every=0, reader="mgsd",
            turn_policy=TurnPolicy(act="step", malformed="skip", history=1, max_turns=3),
        )
    )  # fmt: skip


def evaluate(tiny: Path, out: Path) -> None:
    from evaluation import planning

    planning.run(
        planning.PlanningConfig(
            agent="random", tasks=("frozenlake:4", "maze:3"), episodes=EPISODES, out=out, quiet=True
        )
    )


def demo(tiny: Path, out: Path) -> None:
    from agents.sampling import Sampling
    from training.recipes import demo

    few = {"steps": 2, "batch_size": 2, "save_every": 1, "eval_every": 0}
    base, sft, opcd = (replace(stage, **few) for stage in demo.RECIPES["frozenlake:3"])
    opcd = replace(opcd, max_new_tokens=4)
    demo.RECIPES["frozenlake:3"] = demo.Recipe(base, sft, opcd)
    demo.Sampling = partial(_briefly, Sampling)
    demo.run(demo.DemoConfig(out=out, episodes=2))


def _briefly(sampling: type, max_new_tokens: int) -> object:
    return sampling(max_new_tokens=4)


def play(tiny: Path, out: Path) -> None:
    """The window under SDL's dummy driver, and a person who tries each board for one move."""
    os.environ["SDL_VIDEODRIVER"] = "dummy"
    from vsp_envs.play.__main__ import PlayConfig, run

    record = out / "human.jsonl"
    threading.Thread(target=_fingers, args=(record,), daemon=True).start()
    run(PlayConfig(task="frozenlake", level=4, split="test", seed=0, record=record))


def _fingers(record: Path) -> None:
    import pygame

    while not pygame.display.get_init() or pygame.display.get_surface() is None:
        time.sleep(0.01)
    while len(record.read_bytes().splitlines()) < GAMES:
        for key in (pygame.K_DOWN, pygame.K_n):
            for kind in (pygame.KEYDOWN, pygame.KEYUP):
                pygame.event.post(pygame.event.Event(kind, key=key, unicode="", mod=0))
        time.sleep(0.01)
    pygame.event.post(pygame.event.Event(pygame.QUIT))
