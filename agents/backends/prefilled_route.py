"""The format control: a visual agent that is made to continue with a route after its own state.

An SFT model that has only learned to describe may end where a plan should begin. Giving it the
state it perceived itself and the word that opens a route separates *planning from pixels* from
*unlocking the answer format*: what remains between this control and OPCD is planning.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agents.agent import Prompt, Reply, Request
from agents.backends.hf import HFAgent
from agents.prompts import ROUTE, visual_prompt
from vsp_envs.scoring.perception import fact_names, state_names


class ForcedRoute:
    """Asks the model what it sees, then has it go on from `state … route`."""

    def __init__(self, agent: HFAgent) -> None:
        """Wrap an agent that answers visual prompts."""
        self.agent, self.name, self.view = agent, f"{agent.name}+route", agent.view
        self.batch_size = agent.batch_size

    def settings(self) -> dict[str, Any]:
        """What its replies depend on: what the agent's do."""
        return self.agent.settings()

    def reply(self, requests: Sequence[Request]) -> list[Reply]:
        """One reply per request: the model's own state, `route`, and what it makes of it."""
        replies: list[Reply] = []
        for first in range(0, len(requests), self.batch_size):
            replies += self._continue(requests[first : first + self.batch_size])
        return replies

    def _continue(self, requests: Sequence[Request]) -> list[Reply]:
        seen = self.agent.answer([self._perception(request) for request in requests])
        prefills = [
            f"{state_lines(reply.text, request.layout.task)}\n{ROUTE}"
            for reply, request in zip(seen, requests, strict=True)
        ]
        return self.agent.answer([request.prompt for request in requests], prefills)

    def _perception(self, request: Request) -> Prompt:
        [picture] = request.prompt.pictures
        return visual_prompt(request.layout.task, picture, "perceive", self.view)


def state_lines(reply: str, task: str) -> str:
    """The lines of a perception answer that state the board; the others are left out."""
    others = [name for name in fact_names(task) if name not in state_names(task)]
    lines = reply.split("\n")
    return "\n".join(line for line in lines if not line.startswith(tuple(others) or "\0"))
