"""The boards of `vsp` in turns, as `evaluation.planning --act step`: a picture after each action.

eval vsp --env.id vsp-turns --env.agent.harness.id null --model NAME
"""

import verifiers.v1 as vf
from vsp import BoardTask, user_message

from vsp_envs import ClosedLoop, Score, load_layout


class TurnsConfig(vf.EnvConfig):
    """How the boards are played."""

    agent: vf.AgentConfig = vf.AgentConfig()
    chunk: int = 1
    """How many actions of each reply are played."""


class TurnsTask(BoardTask):
    """A board without an opening prompt: the environment shows it, turn by turn."""

    chunk = 1

    def game(self) -> ClosedLoop:
        """The board before the first reply."""
        layout = load_layout(self.data.board, self.data.layout)
        return ClosedLoop(layout, chunk=self.chunk)

    def _score(self, trace: vf.Trace) -> Score:
        game = self.game()
        for each in trace.messages:
            if each.role == "assistant" and not game.over:
                game.take(each.content)
        return game.score()


class TurnsEnv(vf.Env[TurnsConfig]):
    """One agent plays one board until it is over."""

    async def run(self, task: BoardTask, agents: vf.Agents) -> None:
        """Show the board, play the reply, and so on; the task scores what was said."""
        played = TurnsTask(task.data.model_copy(update={"prompt": None}), task.config)
        played.chunk = self.config.chunk
        game = played.game()
        async with agents.agent.interaction(played) as chat:
            while not game.over:
                segment = await chat.turn([user_message(game.prompt())])
                if segment.terminated:
                    break
                game.take(segment.last_reply)


__all__ = ["TurnsEnv"]
