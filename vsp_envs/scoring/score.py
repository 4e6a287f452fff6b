"""A model's reply on a board → Score, for evaluation, training reward and reports alike."""

from __future__ import annotations

from dataclasses import dataclass

from vsp_envs.core.layout import Layout, Outcome
from vsp_envs.core.simulator import Trace, rule_set, simulate
from vsp_envs.core.solver import solve_layout
from vsp_envs.scoring.answer_format import Parsed, ParseStatus
from vsp_envs.scoring.answer_readers import parse_plan


@dataclass(frozen=True)
class Score:
    """What a reply is worth on a board, under one rule set."""

    success: bool
    """The plan reaches the end of the task."""
    optimal: bool
    """It does so in as few actions as the shortest plan."""
    steps: int
    """Actions taken until the episode ended; illegal ones count, later ones do not."""
    outcome: Outcome
    """RUNNING means that the plan stopped short of any end."""
    optimal_length: int
    """Length of a shortest plan."""
    illegal: int
    """Illegal actions taken."""
    reason: str
    """Why it failed, or why its last illegal action was refused; empty if neither."""
    parsed: Parsed
    """How the reply was read."""
    trace: Trace
    """What happened step by step."""

    @property
    def status(self) -> ParseStatus:
        """How the reply was read, in one word."""
        return self.parsed.status


def score_reply(
    layout: Layout, reply: str | None, rules: str = "env", reader: str = "strict"
) -> Score:
    """Read the reply's answer and play it. A reply without a readable answer plays no action.

    `rules` is `env`, `mgsd-train`, `mgsd-eval` or `visualplanning` (see `simulator.RULE_SETS`);
    `reader` is `strict`, `tolerant` or `mgsd` (see `answer_readers.READERS`). Never raises for any
    text, nor for None; raises ValueError for an unknown rule set or reader.
    """
    return score_parsed(layout, parse_plan(reply, layout.task, reader=reader), rules)


def score_parsed(layout: Layout, parsed: Parsed, rules: str = "env") -> Score:
    """Score a reply that has been parsed."""
    trace = simulate(layout, parsed.plan, rules)
    solved = solve_layout(layout)
    shortest = solved.distance[solved.start]
    success = trace.outcome is Outcome.SUCCESS
    optimal = success and trace.steps == shortest
    if rule_set(rules).shortest_only:
        success = optimal
    return Score(
        success, optimal, trace.steps, trace.outcome, shortest,
        trace.illegal, trace.reason, parsed, trace,
    )  # fmt: skip
