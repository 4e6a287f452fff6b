"""The format control: a visual agent whose reply is prefilled with its own state and `route`.

An SFT model that has only learned to describe may stop where a plan should begin. The prefill holds
the state that the model itself perceived and the first word of a route. It separates *planning from
pixels* from *the answer format*: what remains between this control and OPCD is planning.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agents.agent import Prompt, Reply, Request
from agents.backends.hf import HFAgent
from vsp_envs.prompts.question import visual_prompt
from vsp_envs.prompts.targets import ROUTE
from vsp_envs.scoring.perception import question_names, state_question_names


class ForcedRoute:
    """Asks the model what it sees, then lets it continue from `state … route`."""

    def __init__(self, agent: HFAgent) -> None:
        """Wrap an agent that answers visual prompts."""
        self.agent, self.name, self.view = agent, f"{agent.name}+route", agent.view
        self.batch_size = agent.batch_size

    def settings(self) -> dict[str, Any]:
        """What its replies depend on: the settings of the wrapped agent."""
        return self.agent.settings()

    def reply(self, requests: Sequence[Request]) -> list[Reply]:
        """One reply per request: the model's own state, `route`, and its continuation."""
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
    others = [name for name in question_names(task) if name not in state_question_names(task)]
    lines = reply.split("\n")
    return "\n".join(line for line in lines if not line.startswith(tuple(others) or "\0"))
