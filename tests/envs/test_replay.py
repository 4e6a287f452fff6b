"""Replays: the film of an episode, what its reply claimed, and films as files."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pygame
import pytest
from PIL import Image

from tests.drawn import lake, maze, plan, room
from vsp_envs import Cell, describe, format_answer
from vsp_envs.core.layout import Action
from vsp_envs.play.__main__ import PlayConfig, main, open_screen
from vsp_envs.play.claims import Mark, read_claims
from vsp_envs.play.film import SIZE, check_film, save_film
from vsp_envs.play.replay import END_MS, STEP_MS, Replay
from vsp_envs.play.replay_screen import ReplayScreen
from vsp_envs.play.reply_panel import verdict
from vsp_envs.prompts.targets import planning_target
from vsp_envs.scoring.episode import append_episode, read_episodes, score_episode

ROOT = Path(__file__).parents[2]
POND = lake("SFH FFF FFG")
HALL = maze(
    """
    +-+-+
    |S  |
    +-+ +
    |G  |
    +-+-+
    """
)
DESK = room("..... ..... ..... P.TTT A.TTT")


def said(layout, reply, **others):
    image = {"theme": "classic", "pixels": 256}
    return score_episode(layout, reply, input="image", image=image, prompt="plan", **others)


def played(layout, text):
    return said(layout, format_answer(plan(text), layout.task))


SOLVED, FELL = played(POND, "D D R R"), played(POND, "R R D")


def test_time_plays_step_after_step_and_then_the_next_episode():
    replay = Replay([SOLVED, FELL])
    seen = []
    while replay.playing:
        seen.append((replay.index, replay.step))
        replay.tick(STEP_MS if replay.step < replay.last else END_MS)
    assert seen == [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 0), (1, 1), (1, 2)]
    replay.pause()
    assert replay.playing and replay.step == 0


def test_a_pause_stops_time_and_speed_stretches_it():
    replay = Replay([SOLVED])
    replay.pause()
    replay.tick(10 * STEP_MS)
    assert replay.step == 0
    replay.pause()
    replay.change_speed(1)
    replay.tick(STEP_MS / 2)
    assert replay.step == 1


def test_steps_go_both_ways_and_stop_at_the_ends():
    replay = Replay([SOLVED])
    replay.walk(2)
    assert replay.states == SOLVED.states[:3] and not replay.playing
    replay.walk(-5)
    assert replay.step == 0
    replay.jump(-1)
    assert replay.states == SOLVED.states and replay.actions == plan("D D R R")


def test_the_next_failure_is_found_from_the_top_again():
    replay = Replay([FELL, SOLVED, FELL])
    for index in (2, 0, 2):
        assert replay.next_failure() and replay.index == index
    assert not Replay([SOLVED]).next_failure()


def test_what_comes_after_the_end_of_an_episode_is_not_played():
    replay = Replay([FELL])
    assert replay.last == 2 and replay.actions == plan("R R")


def test_an_episode_without_a_plan_stays_at_the_start():
    replay = Replay([said(POND, "I do not know."), said(POND, "", error="timed out")])
    assert replay.states == [0] and replay.last == 0
    replay.jump(-1)
    assert verdict(replay.episode) == "answer missing"
    replay.turn(1)
    assert verdict(replay.episode) == "no reply: timed out"


def test_an_episode_of_several_turns_shows_the_reply_of_each_and_what_it_was_shown():
    turns = [
        {"reply": planning_target(POND), "status": "ok", "played": 1},
        {"reply": "hm", "status": "missing", "played": 0},
        {"reply": planning_target(POND, 3), "status": "ok", "played": 3},
    ]
    episode = replace(played(POND, "D D R R"), turns=turns, pushed=3)
    replay = Replay([episode])
    seen = []
    for step in range(replay.last + 1):
        replay.jump(step)
        seen.append((replay.turn_index, replay.shown.cell("start"), replay.played))
        marks = claims(replay.shown, replay.reply)
        assert {mark.kind for mark in marks} <= {"right"}
    assert seen == [(0, (0, 0), 0), *((turn, (1, 0), 1) for turn in (1, 2))] + [
        (2, (1, 0), played) for played in (2, 3, 4)
    ]
    screen = ReplayScreen(replay)
    screen.draw(pygame.Surface(SIZE))
    assert Replay([SOLVED]).reply == SOLVED.reply and Replay([SOLVED]).turn_index == 0


@pytest.mark.parametrize("plan", ["", "D D"])
def test_turns_in_which_nothing_was_played_are_shown_one_by_one(plan):
    silent = [{"reply": f"hm {turn}", "status": "missing", "played": 0} for turn in range(3)]
    first = [{"reply": plan, "status": "ok", "played": 2}] if plan else []
    replay = Replay([replace(played(POND, plan), turns=[*first, *silent])])
    shown = []
    for step in range(replay.last + 1):
        replay.jump(step)
        shown.append(replay.reply)
        assert len(replay.states) == replay.played + 1
    assert shown == [plan] * (2 * bool(plan)) + ["hm 0", "hm 1", "hm 2"]
    assert replay.played == len(replay.actions) == 2 * bool(plan)


def test_there_is_no_episode_beyond_the_last():
    with pytest.raises(ValueError, match="there is no episode 3; the recording has 2"):
        Replay([SOLVED, FELL], 2)


def claims(layout, reply):
    return read_claims(reply, layout).marks


def test_claimed_cells_are_right_wrong_or_missed():
    reply = describe(POND).replace("holes (0,2)", "holes (1,1)").replace("goal (2,2)", "goal (9,9)")
    assert claims(POND, reply) == [
        Mark(Cell(0, 0), "player", "right"),
        Mark(Cell(2, 2), "goal", "missed"),
        Mark(Cell(0, 2), "holes", "missed"),
        Mark(Cell(1, 1), "holes", "wrong"),
    ]


def test_claimed_directions_are_compared_side_by_side():
    reply = describe(HALL).replace("open [R][LD]", "open [RD][D]")
    assert reply != describe(HALL)
    assert [mark for mark in claims(HALL, reply) if mark.side is not None] == [
        Mark(Cell(0, 0), "open", "wrong", Action.DOWN),
        Mark(Cell(0, 1), "open", "missed", Action.LEFT),
    ]


@pytest.mark.parametrize("layout", [POND, HALL, DESK])
def test_a_true_reply_has_only_right_claims_and_silence_none(layout):
    assert {mark.kind for mark in claims(layout, planning_target(layout))} == {"right"}
    assert claims(layout, "no idea") == []


def test_what_is_wrong_comes_with_the_truth():
    reply = describe(POND).replace("size 3", "size 4")
    assert read_claims(reply, POND).wrong == {"size": "3"}


def test_an_endless_reply_is_drawn_from_its_end(tmp_path):
    save_film(tmp_path / "long.png", [said(POND, "word " * 50_000 + "<answer>D</answer>")])
    save_film(tmp_path / "odd.png", [said(POND, "\0\ud800\x1b[31m\u202e" + "x" * 50_000)])


@pytest.fixture
def recording(tmp_path):
    for episode in (said(DESK, planning_target(DESK)), FELL, played(HALL, "D R D L")):
        append_episode(tmp_path / "replies.jsonl", episode)
    return tmp_path


def command(*arguments):
    env = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "SDL_VIDEODRIVER")}
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "vsp_envs.play", *map(str, arguments)],
        capture_output=True, text=True, env=env, cwd=ROOT,
    )  # fmt: skip


def test_a_film_needs_no_display_and_has_every_step(recording):
    film = recording / "film.gif"
    done = command("--replay", recording, "--save", film)
    assert (done.returncode, done.stdout) == (0, f"saved: {film}; a browser shows it\n")
    with Image.open(film) as picture:
        assert picture.size == SIZE
        # No two states that follow each other look the same.
        states = [len(each.states) for each in read_episodes(recording / "replies.jsonl")]
        assert states == [4, 3, 5] and picture.n_frames == sum(states)


def test_a_run_is_watched_under_the_name_of_who_played(recording):
    names = [each.agent for each in open_screen(PlayConfig(replay=recording)).replay.episodes]
    assert names == ["", "", ""]
    config = recording / "config.json"
    config.write_text('{"settings": {"agent": "blind"}}')
    for path in (recording, recording / "replies.jsonl"):
        screen = open_screen(PlayConfig(replay=path))
        assert [each.agent for each in screen.replay.episodes] == ["blind"] * 3
    config.write_text("{")
    shutil.copy(recording / "replies.jsonl", recording / "mine.jsonl")
    assert open_screen(PlayConfig(replay=recording / "mine.jsonl"))  # a person's is none of a run
    with pytest.raises(ValueError, match=r"config\.json is not the config of a run"):
        open_screen(PlayConfig(replay=recording))


def test_a_picture_shows_the_end_of_the_episode_that_was_named(recording):
    for number in ("1", "2"):
        film = recording / f"{number}.png"
        main(["--replay", str(recording), "--episode", number, "--save", str(film)])
    first, second = ((recording / f"{number}.png").read_bytes() for number in ("1", "2"))
    assert first[:4] == second[:4] == b"\x89PNG" and first != second


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="mp4 needs ffmpeg")
def test_an_mp4_is_made_by_ffmpeg(tmp_path):
    save_film(tmp_path / "film.mp4", [SOLVED])
    assert b"ftyp" in (tmp_path / "film.mp4").read_bytes()[:12]


def test_what_cannot_be_saved_is_said_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ValueError, match=r"needs the program ffmpeg; install it, or save a \.gif"):
        check_film(tmp_path / "film.mp4")
    with pytest.raises(ValueError, match=r"--save makes \.gif, \.mp4, \.png, not 'film\.avi'"):
        check_film(tmp_path / "film.avi")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", "no display to open a window on"),
        ("--replay nowhere.jsonl", "there is no nowhere.jsonl to watch"),
        ("--save a.gif", "name them with --replay FILE"),
        ("--task mase", "Did you mean 'maze'?"),
        ("--level 99", "level 99 is out of range for frozenlake"),
        ("--theme klassic", "unknown theme 'klassic'"),
        ("--benchmark tests/data", "no boards at tests/data"),
        ("--split tests", "unknown split 'tests'"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="other systems always have a display")
def test_a_user_error_is_one_line_and_exit_code_2(arguments, words, monkeypatch, capfd):
    monkeypatch.chdir(ROOT)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SystemExit) as end:
        main(arguments.split())
    said = capfd.readouterr().err
    assert end.value.code == 2 and words in said
    assert said.startswith("error: ") and said.count("\n") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="other systems always have a display")
def test_a_display_that_cannot_be_reached_is_none(monkeypatch, capfd):
    for name in ("WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISPLAY", ":7777")
    with pytest.raises(SystemExit) as end:
        main([])
    said = capfd.readouterr().err
    assert end.value.code == 2 and "no display to open a window on" in said


def test_without_pygame_one_line_says_what_to_install():
    block = (
        "import sys, importlib.util as u; find = u.find_spec;"
        "u.find_spec = lambda name, *rest: None if name == 'pygame' else find(name, *rest);"
        "from vsp_envs.play.__main__ import main; main([])"
    )
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert done.stderr == "error: playing needs pygame-ce: pip install 'vsp-envs[play]'\n"
