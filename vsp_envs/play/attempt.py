"""One try at a board, what it is worth, and the score over many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from vsp_envs.core.layout import Action, Layout, Outcome
from vsp_envs.core.simulator import Trace, simulate
from vsp_envs.core.solver import solve_layout
from vsp_envs.scoring.answer_format import CLOSE, OPEN, format_answer
from vsp_envs.scoring.episode import Episode, first_attempts, score_episode

MOVED = "A person at the board, one action per key."
TYPED = "A person at the board, typing a whole plan."
"""The prompts of recorded episodes."""

REFUSALS = {
    "off_grid": "The board ends there.",
    "wall": "A wall is in the way.",
    "table": "The table is in the way.",
    "printer": "The printer is in the way: pick it up first.",
    "already_carrying": "The printer is in hand already.",
    "empty_handed": "There is nothing in hand to put down.",
    "not_beside_printer": "Stand beside the printer to pick it up.",
    "not_beside_table": "Stand beside the table to put the printer down.",
}
"""What to tell a person for each reason of an illegal action."""


class Verdict(NamedTuple):
    """A line for the player."""

    text: str = ""
    tone: str = "plain"
    """plain, good, bad or warn."""


@dataclass
class Attempt:
    """One try at a board, from its start."""

    layout: Layout
    plan: list[Action] = field(default_factory=list)
    typed: str | None = None
    """The plan as it was typed, if it was."""
    aids: set[str] = field(default_factory=set)
    """What helped; see `Episode.aids`."""
    began: float = 0.0
    """When the board was first seen, in seconds of the game's clock."""
    over: bool = False
    """It has ended and counts."""

    @property
    def trace(self) -> Trace:
        """What the actions so far did."""
        return simulate(self.layout, self.plan)

    @property
    def reply(self) -> str:
        """The attempt as a model would answer it."""
        if self.typed is None:
            return format_answer(self.plan, self.layout.task)
        return self.typed if OPEN in self.typed.lower() else f"{OPEN}{self.typed}{CLOSE}"

    @property
    def shortest(self) -> int:
        """Length of a shortest plan."""
        machine = solve_layout(self.layout)
        return machine.distance[machine.start]

    def episode(self, image: Mapping[str, Any], now: float) -> Episode:
        """The attempt as a line of `replies.jsonl`; `image` is how the board was shown."""
        return score_episode(
            self.layout,
            self.reply,
            input="image",
            image=image,
            prompt=MOVED if self.typed is None else TYPED,
            agent="human",
            aids=sorted(self.aids),
            seconds=round(now - self.began, 2),
        )

    def verdict(self, outcome: Outcome, tells_shortest: bool = True) -> Verdict:
        """What to say after an action that led to `outcome`."""
        trace, shortest = self.trace, self.shortest
        if outcome is Outcome.ILLEGAL:
            why = REFUSALS.get(trace.reason, f"Not possible: {trace.reason.replace('_', ' ')}.")
            return Verdict(f"{why} It counts as a step.", "warn")
        if outcome is Outcome.FAILURE:
            why = trace.reason.replace("_", " ").capitalize()
            return Verdict(f"{why}: failed. U takes it back, R: again, N: next board.", "bad")
        if outcome is Outcome.SUCCESS and not tells_shortest:
            return Verdict(f"Solved in {trace.steps}. N: next board.", "good")
        if outcome is Outcome.SUCCESS and trace.steps > shortest:
            return Verdict(f"Solved in {trace.steps}; {shortest} is possible. N: next.", "good")
        if outcome is Outcome.SUCCESS:
            return Verdict(f"Solved in {trace.steps}, the shortest way. N: next board.", "good")
        return Verdict()


class Tally(NamedTuple):
    """The score over the first attempts at all boards."""

    played: int
    solved: int
    optimal: int
    streak: int
    """Boards solved in a row until now."""


def tally(episodes: Sequence[Episode]) -> Tally:
    """The score of a person's episodes; see `first_attempts`."""
    firsts = first_attempts(episodes)
    streak = next((i for i, each in enumerate(reversed(firsts)) if not each.success), len(firsts))
    solved, optimal = sum(each.success for each in firsts), sum(each.optimal for each in firsts)
    return Tally(len(firsts), solved, optimal, streak)
