"""A board in turns, for a model that somebody else asks: `ClosedLoop`."""

from __future__ import annotations

from dataclasses import dataclass, field

from vsp_envs.core.layout import Action, Layout, Outcome
from vsp_envs.core.simulator import Trace, simulate
from vsp_envs.prompts.prompt import Prompt, View
from vsp_envs.prompts.question import next_turn_words, question
from vsp_envs.rendering.png import LazyImage
from vsp_envs.scoring.answer_format import Parsed, ParseStatus
from vsp_envs.scoring.answer_readers import parse_plan
from vsp_envs.scoring.score import Score, score_parsed


@dataclass
class ClosedLoop:
    """One board: a fresh picture after every reply, and the score at the end.

    Plays as `evaluation.planning --act step` does, and keeps no history: who asks the model keeps
    the earlier turns.

        game = ClosedLoop(layout)
        while not game.over:
            game.take(reply_to(game.prompt()))
        game.score().success
    """

    layout: Layout
    view: View = field(default_factory=View)
    chunk: int = 1
    """How many actions of each reply are played; 0: all."""
    rules: str = "env"
    reader: str = "tolerant"
    max_turns: int = 50
    """Most replies."""
    played: list[Action] = field(default_factory=list)
    replies: int = 0
    last: Parsed = field(default_factory=lambda: Parsed(ParseStatus.MISSING, [], ""))
    """How the last reply was read."""

    @property
    def trace(self) -> Trace:
        """What has been played."""
        return simulate(self.layout, self.played, self.rules)

    @property
    def over(self) -> bool:
        """Whether nothing is left to ask: the end of the task, a reply that holds no answer, an
        illegal action under rules that end the episode with it, or `max_turns`."""
        unread = self.replies > 0 and self.last.status is not ParseStatus.OK
        return unread or self.replies >= self.max_turns or self.trace.outcome != Outcome.RUNNING

    def prompt(self) -> Prompt:
        """The next message to the model: the board as it is now and, at first, the task."""
        if not self.replies:
            return question(self.layout, goal="act", view=self.view, chunk=self.chunk)
        pixels, theme = self.view.pixels(self.layout.level), self.view.theme_of(self.layout.task)
        image = LazyImage(self.layout, pixels, theme, self.trace.states[-1])
        words = {"type": "text", "text": next_turn_words(self.layout, self.view, self.chunk, True)}
        return Prompt([{"role": "user", "content": [{"type": "image"}, words]}], (image,))

    def take(self, reply: str | None) -> Trace:
        """Play a reply. Returns what has been played up to now."""
        if self.over:
            raise ValueError("the episode is over; make another ClosedLoop")
        self.replies += 1
        self.last = parse_plan(reply, self.layout.task, reader=self.reader)
        self.played += self.last.plan[: self.chunk or None]
        self.played = self.trace.actions
        return self.trace

    def score(self) -> Score:
        """The score of all that was played."""
        parsed = Parsed(self.last.status, self.played, self.last.answer)
        return score_parsed(self.layout, parsed, self.rules)
