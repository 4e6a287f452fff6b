"""The command on a real X display (Xvfb), its keys pressed by xdotool as a person's would be."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from vsp_envs import LayoutSpec, draw_distinct, shortest_plan
from vsp_envs.scoring.episode import read_episodes

ROOT = Path(__file__).parents[2]
MISSING = [program for program in ("Xvfb", "xdotool") if not shutil.which(program)]
pytestmark = pytest.mark.skipif(
    bool(MISSING),
    reason=f"a virtual display needs {' and '.join(MISSING)}: apt install xvfb xdotool",
)
LAKE = draw_distinct(LayoutSpec("frozenlake", 4), 1, seed=5)[0]


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    """The name of a virtual display that only these tests use.

    Without `-noreset` it starts anew when its last window is gone, and refuses the next meanwhile.
    """
    read, write = os.pipe()
    size = ["-screen", "0", "1366x768x24"]
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), *size, "-nolisten", "tcp", "-noreset"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as number:
        name = f":{number.readline().strip()}"
    yield name
    server.terminate()
    server.wait()


class Player:
    """The command in a window, and fingers."""

    def __init__(self, display: str, folder: Path, arguments: list[str]) -> None:
        env = {key: value for key, value in os.environ.items() if key != "SDL_VIDEODRIVER"}
        self.env = env | {"DISPLAY": display, "PYTHONPATH": str(ROOT), "WAYLAND_DISPLAY": ""}
        self.folder, self.record = folder, folder / "human.jsonl"
        self.before = self.pictures()
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "vsp_envs.play", *arguments],
            env=self.env, cwd=folder, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def wait(self) -> None:
        """Until the window is open and takes keys: knock until it answers."""
        wait_for(self.answers)

    def answers(self) -> bool:
        """Whether a key reaches the window. What the display says of its focus does not count."""
        assert self.process.poll() is None, self.process.communicate()[1]
        self.focus()  # it may be lost when the window changes its size
        self.press("F12")
        return self.pictures() > self.before  # an earlier window's pictures are no answer

    def focus(self) -> None:
        """Give the window the focus, as a window manager would: the virtual display has none."""
        found = self.tool("search", "--onlyvisible", "--pid", str(self.process.pid))
        for window in map(int, found.split()):
            self.window = window
            self.tool("windowfocus", str(window))

    def pictures(self) -> set[Path]:
        return set(self.folder.glob("vsp-*.png"))

    def tool(self, *arguments: str) -> str:
        run = subprocess.run(
            ["xdotool", *arguments], env=self.env, capture_output=True, text=True, timeout=20
        )
        return run.stdout

    def press(self, *keys: str) -> None:
        self.tool("key", "--delay", "60", *keys)

    def shot(self) -> Image.Image:
        """What F12 saves of the window as it is now."""
        self.before = self.pictures()
        pictures: list[Image.Image] = []

        def saved() -> bool:
            if self.answers():
                for path in self.pictures() - self.before:
                    with (
                        suppress(OSError, SyntaxError),
                        Image.open(path) as picture,
                    ):  # half-written
                        pictures.append(picture.convert("RGB"))
            return bool(pictures)

        wait_for(saved)
        return pictures[0]

    def ended(self) -> int:
        """The exit code, with what it said on stderr shown."""
        _, said = self.process.communicate(timeout=120)
        assert said == ""
        return self.process.returncode


def wait_for(what: Callable[[], object], seconds: float = 300) -> None:
    """A busy machine may take minutes to import what a command needs."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"nothing happened for {seconds} s"
        time.sleep(0.2)


class ClientMessage(ctypes.Structure):
    """XClientMessageEvent, padded to the size of an XEvent."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("serial", ctypes.c_ulong),
        ("send_event", ctypes.c_int),
        ("display", ctypes.c_void_p),
        ("window", ctypes.c_ulong),
        ("message_type", ctypes.c_ulong),
        ("format", ctypes.c_int),
        ("data", ctypes.c_long * 5),
        ("padding", ctypes.c_long * 16),
    )


def press_close_button(display: str, window: int) -> None:
    """What a window manager does then."""
    x = ctypes.CDLL("libX11.so.6")
    x.XOpenDisplay.restype = ctypes.c_void_p
    x.XInternAtom.restype = ctypes.c_ulong
    opened = ctypes.c_void_p(x.XOpenDisplay(display.encode()))
    protocols, delete = (
        x.XInternAtom(opened, name, 0) for name in (b"WM_PROTOCOLS", b"WM_DELETE_WINDOW")
    )
    client_message = 33
    event = ClientMessage(client_message, 0, 1, opened, window, protocols, 32, (delete, 0, 0, 0, 0))
    assert x.XSendEvent(opened, ctypes.c_ulong(window), 0, 0, ctypes.byref(event))
    x.XCloseDisplay(opened)


@pytest.fixture
def player(display: str, tmp_path: Path) -> Iterator[Callable[..., Player]]:
    players: list[Player] = []

    def start(*arguments: str) -> Player:
        players.append(Player(display, tmp_path, list(arguments)))
        players[-1].wait()
        return players[-1]

    yield start
    for each in players:
        each.process.kill()
        each.process.communicate()


def begin(player: Callable[..., Player], *arguments: str) -> Player:
    return player("--level", "4", "--seed", "5", "--record", "human.jsonl", *arguments)


def keys(layout: object = LAKE) -> list[str]:
    return [action.name.capitalize() for action in shortest_plan(layout) or []]


def test_a_key_held_for_a_second_moves_once(player: Callable[..., Player]) -> None:
    shown = begin(player)
    first = keys()[0]
    shown.tool("keydown", first)
    time.sleep(1.0)  # X repeats from 0.66 s on
    shown.tool("keyup", first)
    shown.press(*keys()[1:])
    wait_for(lambda: read_episodes(shown.record))
    (episode,) = read_episodes(shown.record)
    assert episode.optimal and episode.steps == len(keys())


def test_a_game_by_keyboard_and_escape(player: Callable[..., Player]) -> None:
    shown = begin(player)
    shown.press(
        *keys(), "n", "2", "h", "g", "t", "Tab", "Tab", "plus", "minus", "question", "b", "u", "r"
    )
    shown.press("3", "Return", "d", "comma", "p", "i", "c", "k", "Return")
    wait_for(lambda: len(read_episodes(shown.record)) == 2)  # the plan plays by itself
    shown.press("Escape")
    assert shown.ended() == 0
    first, typed = read_episodes(shown.record)
    assert first.success and first.board() == LAKE
    assert typed.task == "minibehaviour" and typed.plan == ["DOWN", "PICK"]


def test_the_close_button_ends_it_cleanly(player: Callable[..., Player]) -> None:
    shown = begin(player)
    press_close_button(shown.env["DISPLAY"], shown.window)
    assert shown.ended() == 0


def test_a_kill_in_the_middle_of_a_game_loses_nothing_before_it(
    player: Callable[..., Player],
) -> None:
    shown = begin(player)
    shown.press(*keys(), "n", "Right")
    wait_for(lambda: read_episodes(shown.record))
    shown.process.send_signal(signal.SIGKILL)
    shown.process.wait()
    (kept,) = read_episodes(shown.record)
    assert kept.success
    again = begin(player)
    again.press("Escape")
    assert again.ended() == 0 and read_episodes(shown.record) == [kept]


def test_the_window_can_be_resized_and_stays_sharp(player: Callable[..., Player]) -> None:
    shown = begin(player)
    for size in ((1200, 700), (500, 640), (300, 220)):
        shown.tool("windowsize", "--sync", str(shown.window), *map(str, size))
        wait_for(lambda size=size: shown.shot().size == size)
        assert len(shown.shot().getcolors(1 << 20) or []) > 20  # a board, and not a blank
    shown.press("Escape")
    assert shown.ended() == 0


@pytest.mark.slow
def test_a_recorded_game_is_replayed_to_the_same_picture(player: Callable[..., Player]) -> None:
    shown = begin(player)
    shown.press(*keys(), "Escape")
    assert shown.ended() == 0
    watched = player("--replay", "human.jsonl")
    watched.press("End")
    assert len(watched.shot().getcolors(1 << 20) or []) > 20
    watched.press("space", "Left", "Right", "Home", "f", "c", "plus", "minus", "Escape")
    assert watched.ended() == 0
