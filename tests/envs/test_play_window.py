"""The windows, driven by real pygame events; SDL draws into memory instead of onto a screen."""

from dataclasses import replace
from itertools import product

import numpy as np
import pygame
import pytest
from PIL import Image

from tests.drawn import lake, maze, plan, room
from vsp_envs import TASKS, format_answer, render
from vsp_envs.core.task_level import TaskLevel
from vsp_envs.play import play_screen
from vsp_envs.play.__main__ import PlayConfig, open_screen, run
from vsp_envs.play.boards import ListedBoards, RandomBoards
from vsp_envs.play.drawing import GROUND, divide_window, wrap
from vsp_envs.play.drawing import font as letters
from vsp_envs.play.game import Game
from vsp_envs.play.keys import PLAY_KEYS, REPLAY_KEYS
from vsp_envs.play.play_screen import PlayScreen
from vsp_envs.play.replay import Replay
from vsp_envs.play.replay_screen import ReplayScreen
from vsp_envs.play.window import Window
from vsp_envs.scoring.episode import score_episode
from vsp_envs.tasks.frozenlake.sprites import TILES

POND = lake("SFH FFF FFG")
DESK = room("..... ..... ..... P.TTT A.TTT")
HALL = maze(
    """
    +-+-+
    |S  |
    +-+ +
    |G  |
    +-+-+
    """
)


class StandingClock:
    """Time passes in a test where the test says so, however busy the machine is."""

    def tick(self):
        return 0


@pytest.fixture
def window(monkeypatch, tmp_path):
    """Makes windows; each is closed again."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr(pygame.time, "Clock", StandingClock)
    yield lambda screen: Window(screen, tmp_path)
    pygame.display.quit()


def down(key, text="", mod=0):
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key, unicode=text, mod=mod))


def up(key):
    pygame.event.post(pygame.event.Event(pygame.KEYUP, key=key, mod=0))


def press(window, *keys, text=""):
    for key in keys:
        down(key, text)
        up(key)
        window.step()


def type_in(window, text):
    for letter in text:
        press(window, ord(letter.lower()), text=letter)


def pixels(window):
    return pygame.surfarray.array3d(window.surface).swapaxes(0, 1)


def play(window, *layouts):
    return window(PlayScreen(Game(ListedBoards(layouts or [POND, HALL, DESK]))))


ARROWS = {"L": pygame.K_LEFT, "D": pygame.K_DOWN, "R": pygame.K_RIGHT, "U": pygame.K_UP}
WASD = {"L": pygame.K_a, "D": pygame.K_s, "R": pygame.K_d, "U": pygame.K_w}


@pytest.mark.parametrize("keys", [ARROWS, WASD])
def test_arrows_and_wasd_move(window, keys):
    shown = play(window)
    press(shown, *(keys[letter] for letter in "DURDDR"))
    game = shown.screen.game
    assert game.attempt.plan == plan("D U R D D R") and game.tally.solved == 1


def test_a_key_that_is_held_moves_once(window):
    shown = play(window)
    for _ in range(60):  # what a second of repeats looks like when a remote desktop sends them
        down(pygame.K_DOWN)
        shown.step()
    assert shown.screen.game.attempt.plan == plan("D")
    up(pygame.K_DOWN)
    press(shown, pygame.K_DOWN)
    assert shown.screen.game.attempt.plan == plan("D D")


def test_two_keys_at_once_are_two_moves(window):
    shown = play(window)
    down(pygame.K_DOWN)
    down(pygame.K_RIGHT)
    shown.step()
    assert shown.screen.game.attempt.plan == plan("D R")


def test_space_p_and_o_pick_and_drop(window):
    shown = play(window, DESK)
    press(shown, pygame.K_SPACE, pygame.K_RIGHT, pygame.K_SPACE)
    press(shown, pygame.K_r, pygame.K_p, pygame.K_RIGHT, pygame.K_o)
    assert [each.plan for each in shown.screen.game.episodes] == [["PICK", "RIGHT", "DROP"]] * 2


def test_undo_restart_next_and_back(window):
    shown = play(window)
    game = shown.screen.game
    press(shown, pygame.K_DOWN, pygame.K_DOWN, pygame.K_u)
    assert game.attempt.plan == plan("D")
    press(shown, pygame.K_r)
    assert game.attempt.plan == []
    press(shown, pygame.K_n)
    assert game.layout == HALL
    press(shown, pygame.K_b)
    assert game.layout == POND


def test_numbers_choose_the_task_and_plus_and_minus_the_level(window):
    shown = window(PlayScreen(Game(RandomBoards(seed=0), TaskLevel("frozenlake", 4))))
    for number, task in enumerate(TASKS, start=1):
        press(shown, pygame.K_0 + number, text=str(number))
        assert shown.screen.game.layout.task == task
    press(shown, pygame.K_1, text="1")
    level = shown.screen.game.layout.level
    press(shown, pygame.K_RIGHTBRACKET, text="+")  # where a German keyboard has it
    assert shown.screen.game.layout.level == level + 1
    press(shown, pygame.K_EQUALS, text="=")
    press(shown, pygame.K_MINUS, text="-")
    assert shown.screen.game.layout.level == level + 1
    press(shown, pygame.K_KP_PLUS)
    assert shown.screen.game.layout.level == level + 2


def test_hint_state_help_hud_and_theme_change_what_is_seen(window):
    shown = play(window)
    for key in (pygame.K_h, pygame.K_g, pygame.K_TAB, pygame.K_t):
        before = pixels(shown)
        press(shown, key)
        if key != pygame.K_t or len(TASKS["frozenlake"].themes) > 1:
            assert (pixels(shown) != before).any(), pygame.key.name(key)
    before = pixels(shown)
    press(shown, pygame.K_SLASH, text="?")
    assert shown.screen.help and (pixels(shown) != before).any()


def test_the_symbolic_state_takes_the_place_of_the_help(window):
    shown = play(window)
    press(shown, pygame.K_SLASH, text="?")
    helped = pixels(shown)
    press(shown, pygame.K_g)
    assert shown.screen.game.symbolic and (pixels(shown) != helped).any()
    assert not shown.screen.help


def test_a_recording_does_not_show_how_long_a_shortest_plan_is(window, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(play_screen, "draw_foot", lambda surface, at, *texts: said.append(texts))
    for recording in (None, tmp_path / "human.jsonl"):
        window(PlayScreen(Game(ListedBoards([POND]), recording=recording))).step()
    assert said[0] == ("steps 0   shortest 4", "solved 0 of 0   optimal 0   streak 0")
    assert said[-1] == ("steps 0", "solved 0 of 0   recorded")


def test_themes_come_round(window):
    shown = play(window)
    themes = list(TASKS["frozenlake"].themes)
    seen = []
    for _ in themes:
        seen.append(shown.screen.theme_of("frozenlake"))
        press(shown, pygame.K_t)
    assert sorted(seen) == sorted(themes) and shown.screen.theme_of("frozenlake") == seen[0]


@pytest.fixture
def tiles(tmp_path):
    """A folder of tiles in which ice is of a colour that nothing else has."""
    for name in TILES:
        Image.new("RGB", (8, 8), (12, 34, 56) if name == "ice" else "white").save(
            tmp_path / f"{name}.png"
        )
    return f"tiles:{tmp_path}"


@pytest.mark.parametrize("asked", ["{}", "frozenlake={} maze=thin"])
def test_a_folder_of_tiles_is_a_theme_beside_the_others(window, tiles, asked):
    shown = window(open_screen(PlayConfig(theme=asked.format(tiles), level=3)))
    shown.step()
    themes = [*TASKS["frozenlake"].themes, tiles]
    seen = []
    for _ in themes:
        seen.append(shown.screen.theme_of("frozenlake"))
        has_ice = (pixels(shown) == (12, 34, 56)).all(axis=2).sum() > 1000
        assert has_ice == (seen[-1] == tiles)
        press(shown, pygame.K_t)
    assert seen[0] == tiles == shown.screen.theme_of("frozenlake")
    assert sorted(seen) == sorted(themes)
    press(shown, pygame.K_2)
    assert shown.screen.theme_of("maze") == ("thin" if "maze" in asked else "classic")


@pytest.mark.parametrize(
    ("theme", "said"),
    [
        ("tiles:nowhere", "is no folder of tiles"),
        ("frozenlake=tiles:nowhere", "is no folder of tiles"),
        ("maze=tiles:nowhere", "unknown maze theme"),
        ("mase=thin", "unknown task 'mase'"),
        ("thinn", "Did you mean 'thin'"),
    ],
)
def test_a_theme_that_cannot_be_drawn_is_refused_before_a_window_opens(theme, said):
    with pytest.raises(ValueError, match=said):
        run(PlayConfig(theme=theme))


@pytest.mark.parametrize("how", ["escape", "close"])
def test_escape_and_the_close_button_end_it_cleanly(window, how):
    shown = play(window)
    if how == "escape":
        down(pygame.K_ESCAPE)
    else:
        pygame.event.post(pygame.event.Event(pygame.QUIT))
    shown.run()
    assert shown.screen.done and not pygame.display.get_init()


def test_f12_saves_what_is_on_the_screen(window, tmp_path):
    shown = play(window)
    seen = pixels(shown)
    press(shown, pygame.K_F12)
    [first] = tmp_path.glob("vsp-*.png")
    saved = pygame.surfarray.array3d(pygame.image.load(first)).swapaxes(0, 1)
    assert (saved == seen).all() and "Saved" in shown.screen.game.message.text
    press(shown, pygame.K_F12)
    [second] = set(tmp_path.glob("vsp-*.png")) - {first}
    assert second.stat().st_size


def test_a_picture_that_cannot_be_saved_is_said_and_play_goes_on(window, tmp_path):
    shown = play(window)
    shown.folder = tmp_path / "nowhere"
    press(shown, pygame.K_F12, pygame.K_DOWN)
    assert shown.screen.game.attempt.plan == plan("D")


def test_a_typed_plan_runs_by_itself(window):
    shown = play(window)
    press(shown, pygame.K_RETURN)
    type_in(shown, "rrx")
    press(shown, pygame.K_BACKSPACE, pygame.K_BACKSPACE, pygame.K_BACKSPACE)
    type_in(shown, "DDRR")
    assert shown.screen.game.attempt.plan == []  # letters are typed, not played
    press(shown, pygame.K_RETURN)
    for _ in range(4):
        shown.screen.tick(400)
    assert shown.screen.game.tally.optimal == 1
    assert shown.screen.game.episodes[0].reply == "<answer>DDRR</answer>"


def test_enter_finishes_a_running_plan_and_other_keys_leave_it_alone(window):
    shown = play(window)
    press(shown, pygame.K_RETURN)
    type_in(shown, "DDRR")
    press(shown, pygame.K_RETURN, pygame.K_RIGHT, pygame.K_n)
    assert shown.screen.game.attempt.plan == [] and shown.screen.game.layout == POND
    press(shown, pygame.K_RETURN)
    assert shown.screen.game.tally.optimal == 1


def test_escape_leaves_the_typing_and_not_the_game(window):
    shown = play(window)
    press(shown, pygame.K_RETURN)
    type_in(shown, "DD")
    press(shown, pygame.K_ESCAPE)
    assert shown.screen.typing is None and not shown.screen.done
    assert shown.screen.game.attempt.plan == []


@pytest.mark.parametrize(
    "size", [(1, 1), (60, 40), (240, 900), (900, 240), (1366, 768), (2600, 2400)]
)
def test_a_window_of_any_size_shows_the_board_sharp(window, size):
    shown = play(window)
    pygame.display.set_mode(size, pygame.RESIZABLE)
    pygame.event.post(pygame.event.Event(pygame.VIDEORESIZE, size=size, w=size[0], h=size[1]))
    shown.step()
    side = divide_window(size, hud=True, panel=False).board.width
    if 64 <= side <= 1024:
        at = divide_window(size, hud=True, panel=False).board
        drawn = pixels(shown)[at.top : at.bottom, at.left : at.right]
        assert (drawn == render(POND, side)).all()
    for key in (pygame.K_g, pygame.K_h, pygame.K_TAB):
        press(shown, key)
    assert pixels(shown).shape == (size[1], size[0], 3)


@pytest.mark.parametrize("hud, panel", [*product([True, False], repeat=2)])
def test_nothing_overlaps(hud, panel):
    for size in ((960, 680), (1366, 768), (400, 900), (320, 240)):
        at = divide_window(size, hud, panel)
        inside = pygame.Rect(0, 0, *size)
        parts = [
            part for part in (at.board, at.top, at.bottom, at.panel) if part.width > 0 < part.height
        ]
        assert all(inside.contains(part) for part in parts)
        assert all(not a.colliderect(b) for a in parts for b in parts if a is not b)


@pytest.mark.parametrize(
    "words", ["", "one two three", "x" * 300, "a\nb\n\nc", "nul\0 and\ttab", "é漢字"]
)
def test_wrapped_lines_fit_and_lose_no_letter(words):
    lines = wrap(words, letters(16), 90)
    assert all(letters(16).size(line)[0] <= 90 for line in lines)
    shown = [letter for letter in words if letter.isprintable() and letter != " "]
    assert [letter for line in lines for letter in line if letter != " "] == shown


def test_the_screen_shows_how_a_board_ended(window):
    shown = play(window)
    press(shown, *[ARROWS[letter] for letter in "RR"])
    shown.screen.tick(10_000)
    shown.step()
    at = divide_window(shown.surface.get_size(), True, False).board
    edge = pixels(shown)[at.centery, at.left - 1]
    assert not np.array_equal(edge, GROUND) and edge[0] > edge[1]  # a red frame


def replies(*layouts_and_plans):
    return [
        score_episode(
            layout, format_answer(plan(text), layout.task), input="image",
            image={"theme": "classic", "pixels": 256}, prompt="plan",
        )
        for layout, text in layouts_and_plans
    ]  # fmt: skip


def test_a_replay_of_a_game_ends_where_the_game_ended(window):
    shown = play(window, POND, DESK)
    press(shown, *[ARROWS[letter] for letter in "DDRR"], pygame.K_n)
    press(shown, pygame.K_SPACE, pygame.K_RIGHT, pygame.K_SPACE)
    game = shown.screen.game
    pygame.display.quit()
    watched = window(ReplayScreen(Replay(game.episodes)))
    press(watched, pygame.K_n, pygame.K_END)
    assert watched.screen.replay.states[-1] == game.state
    assert watched.screen.replay.layout == game.layout


def test_the_keys_of_a_replay(window):
    watched = window(ReplayScreen(Replay(replies((POND, "D D R R"), (POND, "R R"), (DESK, "R")))))
    replay = watched.screen.replay
    press(watched, pygame.K_SPACE)
    assert not replay.playing
    press(watched, pygame.K_RIGHT, pygame.K_RIGHT, pygame.K_LEFT)
    assert replay.step == 1
    press(watched, pygame.K_END, pygame.K_HOME)
    assert replay.step == 0
    press(watched, pygame.K_f)
    assert replay.index == 1
    press(watched, pygame.K_b, pygame.K_n, pygame.K_n)
    assert replay.index == 2
    speed = replay.speed
    press(watched, pygame.K_PLUS, text="+")
    press(watched, pygame.K_PLUS, text="+")
    press(watched, pygame.K_MINUS, text="-")
    assert replay.speed == speed + 1
    press(watched, pygame.K_c)
    assert not watched.screen.claims
    press(watched, pygame.K_PAGEDOWN, pygame.K_PAGEUP, pygame.K_t, pygame.K_TAB)
    press(watched, pygame.K_SLASH, text="?")
    assert watched.screen.help and not watched.screen.hud


def test_a_replay_shows_each_board_as_it_was_played_until_t_is_pressed(window, monkeypatch):
    themes = TASKS["frozenlake"].themes
    monkeypatch.setitem(themes, "grey", lambda canvas, code: canvas.fill((9, 9, 9)))
    first, second = replies((POND, "D"), (POND, "R"))
    second = replace(second, image={"theme": "grey", "pixels": 256})
    unknown = replace(first, image={"theme": "gone"})
    watched = window(ReplayScreen(Replay([first, second, unknown])))
    shown = []
    for _ in range(3):
        shown.append(watched.screen.theme_of("frozenlake"))
        press(watched, pygame.K_n)
    assert shown == ["classic", "grey", "classic"]
    press(watched, pygame.K_t)
    assert watched.screen.theme_of("frozenlake") != "classic"
    assert window(ReplayScreen(Replay([first]), "grey")).screen.theme_of("frozenlake") == "grey"


def test_wrong_claims_are_drawn_over_the_board(window):
    from vsp_envs.prompts.targets import planning_target

    def seen(reply):
        episode = replies((POND, "D"))[0].record() | {"reply": reply}
        screen = ReplayScreen(Replay([type(replies((POND, "D"))[0])(**episode)]))
        surface = pygame.Surface((960, 640))
        screen.draw(surface)
        at = divide_window((960, 640), True, True).board
        return pygame.surfarray.array3d(surface.subsurface(at)).swapaxes(0, 1)

    true = planning_target(POND)
    right, wrong = seen(true), seen(true.replace("holes (0,2)", "holes (2,0)"))
    changed = (right != wrong).any(axis=2)
    third = changed.shape[0] // 3
    assert changed[2 * third :, :third].any() and changed[:third, 2 * third :].any()
    assert not changed[:third, :third].any()  # nothing new about the player


def test_every_key_of_the_help_has_a_command(window):
    for screen, keys in (
        (PlayScreen(Game(RandomBoards(seed=0), TaskLevel("maze", 3))), PLAY_KEYS),
        (ReplayScreen(Replay(replies((POND, "D")))), REPLAY_KEYS),
    ):
        common = {"hud", "screenshot", "help", "quit"}
        wanted = {command for key in keys for command in key.commands.values()}
        assert wanted - common == set(screen.commands) - {"pick up"}


def test_a_public_set_is_played_board_by_board_and_goes_on_where_it_was(window, tmp_path):
    from vsp_envs.play.__main__ import PlayConfig, open_game

    for number, rows in ((1, "@_# ___ __*"), (2, "_@_ #__ __*"), (10, "*__ __@ ___")):
        lines = [" | ".join(["", f"Row {i}", *row, ""]) for i, row in enumerate(rows.split(), 1)]
        file = tmp_path / "level3" / "table" / f"{number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(["| | Col 1 | Col 2 | Col 3 |", *lines]))
    options = PlayConfig(benchmark=tmp_path, record=tmp_path / "runs" / "human.jsonl")
    boards = []
    for steps in ("DDRR", "DDR", "ULL"):
        shown = window(PlayScreen(open_game(options)))
        boards.append(shown.screen.game.layout.to_data()["map"][0])
        press(shown, *[ARROWS[letter] for letter in steps], pygame.K_ESCAPE)
        pygame.display.quit()
    assert boards == ["SFH", "FSF", "GFF"]
    with pytest.raises(ValueError, match="every board has been played"):
        open_game(options)
