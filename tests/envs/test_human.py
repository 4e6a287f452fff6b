"""`render_mode="human"`: one window per environment, and what closing it means."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from vsp_envs import TASKS
from vsp_envs.rendering.window import Window

pygame = pytest.importorskip("pygame")
every_task = pytest.mark.parametrize("task", TASKS)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    envs, before = [], dict(Window._open)

    def make(task: str = "maze", **wishes: Any) -> Any:
        env: Any = gym.make(TASKS[task].id, render_mode="human", image_size=96, **wishes)
        env.unwrapped.metadata = {**env.unwrapped.metadata, "render_fps": 1000}
        envs.append(env)
        return env

    yield make
    for env in envs:
        env.close()
    assert Window._open.items() <= before.items()  # the session's end closes others too


def window(env: Any) -> Any:
    return env.unwrapped._window._window


def close(env: Any) -> None:
    """As a person does who clicks on the cross."""
    pygame.event.post(pygame.event.Event(pygame.WINDOWCLOSE, window=window(env)))


@every_task
def test_it_shows_every_state_in_a_window_of_the_pictures_size(task: str, made: Any) -> None:
    env = made(task)
    for act in (lambda: env.reset(seed=0), lambda: env.step(0)):
        observation = act()[0]
        shown = pygame.surfarray.array3d(window(env).get_surface())
        assert np.array_equal(shown.swapaxes(0, 1), observation["image"])
    env.close()
    env.close()
    assert env.unwrapped._window is None


def test_closing_the_window_truncates_the_episode_and_a_reset_opens_it_again(made: Any) -> None:
    env = made()
    env.reset(seed=0)
    assert env.step(0)[3] is False
    close(env)
    assert env.step(0)[2:4] == (False, True)
    assert env.step(0)[2:4] == (False, True)  # and shows nothing any more
    env.reset()
    assert env.step(0)[3] is False and window(env) is not None


def test_the_end_of_one_window_leaves_the_others_alone(made: Any) -> None:
    one, other = made("maze"), made("frozenlake")
    for env in (one, other):
        env.reset(seed=0)
    close(one)
    assert other.step(0)[3] is False and one.step(0)[3] is True
    third = made("minibehaviour")
    third.reset(seed=0)
    other.close()
    assert third.step(0)[3] is False and window(third).get_surface().get_size() == (96, 96)


def test_the_end_of_the_session_ends_every_episode(made: Any) -> None:
    envs = [made(), made()]
    for env in envs:
        env.reset(seed=0)
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    assert [env.step(0)[3] for env in envs] == [True, True]


def test_a_window_that_the_program_has_ended_itself_closes_without_a_word(made: Any) -> None:
    env = made()
    env.reset(seed=0)
    pygame.display.quit()
    env.close()
    again = made()
    again.reset(seed=0)
    assert again.step(0)[3] is False


def test_keys_that_are_pressed_are_left_to_who_wants_to_read_them(made: Any) -> None:
    env = made()
    env.reset(seed=0)
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_LEFT))
    env.step(0)
    assert [event.key for event in pygame.event.get(pygame.KEYDOWN)] == [pygame.K_LEFT]


def test_that_there_is_no_display_is_said_once_and_play_goes_on(
    made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SDL_VIDEODRIVER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    env = made()
    with pytest.warns(UserWarning, match="there is no display .*xvfb-run.*rgb_array"):
        env.reset(seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert env.step(0)[3] is False
        env.reset(seed=1)
