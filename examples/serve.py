"""An environment behind HTTP and WebSockets, served by OpenEnv; on this machine alone.

    python -m examples.serve --task FrozenLake --level 4 --port 8000

Every WebSocket connection is a session with a board of its own:

    with GenericEnvClient(base_url="http://127.0.0.1:8000").sync() as client:
        client.reset(seed=0).observation["image"]     # data:image/png;base64,…
        client.step({"action": 2}).reward
"""

import argparse
from functools import partial
from typing import Any

import gymnasium as gym

import vsp_envs  # noqa: F401 - registers the environments
from examples import missing
from vsp_envs.rendering.png import data_url

NEEDS = missing("openenv", "uvicorn").replace("make install-examples", "see docs/examples.md")
if not NEEDS:
    import uvicorn
    from openenv.core.env_server.http_server import create_fastapi_app
    from openenv.core.env_server.interfaces import Environment
    from openenv.core.env_server.types import Action, Observation, State
else:
    Environment = Action = Observation = State = object


class Move(Action):
    """LEFT 0, DOWN 1, RIGHT 2, UP 3, and where the task has them PICK 4, DROP 5."""

    action: int


class Seen(Observation):
    """What a player sees; `reward` and `done` come with it."""

    image: str
    """The board as a PNG data URL."""
    legal: list[int]
    """The actions that the rules allow now."""
    outcome: str
    """`running`, `success`, `failure` or `illegal`: what the last action led to."""


class Session(Environment):
    """One player's episodes."""

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self, env_id: str, options: dict[str, Any]) -> None:
        super().__init__()
        self.env = gym.make(env_id, observation="image", **options)
        self._state = State(step_count=0)

    def reset(
        self, seed: int | None = None, episode_id: str | None = None,
        layout: dict[str, Any] | None = None, **_: Any,
    ) -> Seen:  # fmt: skip
        """A fresh board, or the one in `layout` (see `Layout.to_data`)."""
        options = {"layout": layout} if layout else None
        image, info = self.env.reset(seed=seed, options=options)
        self._state = State(episode_id=episode_id or info["layout_id"], step_count=0)
        return self._seen(image, info, 0.0, False)

    def step(self, action: Move, timeout_s: float | None = None, **_: Any) -> Seen:
        """Play one action."""
        image, reward, terminated, truncated, info = self.env.step(action.action)
        self._state.step_count = info["steps"]
        return self._seen(image, info, float(reward), terminated or truncated)

    def _seen(self, image: Any, info: dict[str, Any], reward: float, done: bool) -> Seen:
        legal = info["action_mask"].nonzero()[0].tolist()
        outcome = info["outcome"]
        return Seen(image=data_url(image), legal=legal, outcome=outcome, reward=reward, done=done)

    @property
    def state(self) -> State:
        """The board's hash, and how many actions were played on it."""
        return self._state


def app(task: str = "FrozenLake", sessions: int = 64, **options: Any) -> Any:
    """The ASGI application; `options` are the keyword arguments of `gym.make`."""
    make = partial(Session, f"VSP/{task}-v0", options)
    return create_fastapi_app(make, Move, Seen, max_concurrent_envs=sessions, env_name=task)


def main(args: list[str] | None = None) -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], epilog=NEEDS)
    parser.add_argument("--task", default="FrozenLake", help="FrozenLake, Maze or MiniBehaviour")
    parser.add_argument("--level", type=int, help="side of the boards; unset: the paper's levels")
    parser.add_argument("--split", default="train", help="train, val or test")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args(args)
    if NEEDS:
        parser.error(NEEDS)
    served = app(options.task, level=options.level, split=options.split)
    uvicorn.run(served, host="127.0.0.1", port=options.port)


if __name__ == "__main__":
    main()
