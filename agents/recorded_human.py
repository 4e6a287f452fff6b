"""A person's recorded answers as an agent: the human row of a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agents.agent import Reply, Request, View
from vsp_envs import Layout
from vsp_envs.scoring.episode import first_attempts, read_episodes


class Human:
    """A person's first attempt at each board, as `vsp_envs.play --record` wrote it."""

    view, plans_only = View(), True

    def __init__(self, path: Path) -> None:
        """Raises ValueError if the file holds no episode or an invalid one."""
        self.path, episodes = path, first_attempts(read_episodes(path))
        if not episodes:
            raise ValueError(
                f"{path} holds no episode; `python -m vsp_envs.play --record` writes one"
            )
        self.name = ", ".join(sorted({each.agent for each in episodes if each.agent})) or "human"
        self._episodes = {each.board(): each for each in episodes}

    def layouts(self) -> list[Layout]:
        """The boards that were played, in the order of playing."""
        return list(self._episodes)

    def reply(self, requests: Sequence[Request]) -> list[Reply]:
        """The recorded answers; a board not played, or played with a hint, gives an error."""
        return [self._reply(request.layout) for request in requests]

    def _reply(self, layout: Layout) -> Reply:
        episode = self._episodes.get(layout)
        if episode is None:
            return Reply(error="this board was not played")
        return Reply(episode.reply, error="a hint was used" if "hint" in episode.aids else "")
