"""A plan on a board → what happened, step by step, under a named rule set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from vsp_envs.core.layout import Action, Cell, Layout, Outcome
from vsp_envs.core.solver import solve_layout
from vsp_envs.core.task import get_task
from vsp_envs.utils.choices import pick_name


@dataclass(frozen=True)
class RuleSet:
    """What an illegal action costs, and whether only a shortest plan succeeds.

    The transitions of a task are always the same; benchmarks differ in these two policies only.
    """

    illegal_ends: bool
    """An illegal action ends the episode; otherwise the state stays and play goes on."""
    lenient_tasks: tuple[str, ...] = ()
    """Tasks on which play goes on nevertheless."""
    shortest_only: bool = False
    """A plan longer than the shortest is not a success."""

    def ends(self, task: str) -> bool:
        """Whether an illegal action ends an episode of that task."""
        return self.illegal_ends and task not in self.lenient_tasks


RULE_SETS = {
    "env": RuleSet(illegal_ends=False),
    # MGSD's training reward lets a FrozenLake bump waste the move; its evaluation does not.
    "mgsd-train": RuleSet(illegal_ends=True, lenient_tasks=("frozenlake",)),
    "mgsd-eval": RuleSet(illegal_ends=True),
    "visualplanning": RuleSet(illegal_ends=True, shortest_only=True),
}


class Trace(NamedTuple):
    """What a plan did: `actions[i]` leads to `states[i + 1]`; later actions are left out."""

    states: list[int]
    actions: list[Action]
    outcome: Outcome
    illegal: int
    """Illegal actions among `actions`."""
    reason: str
    """Why the episode failed or the last illegal action was refused; empty if neither."""

    @property
    def steps(self) -> int:
        """Actions taken, illegal ones included."""
        return len(self.actions)


def rule_set(name: str) -> RuleSet:
    """The rule set of that name. Raises ValueError that lists them."""
    return RULE_SETS[pick_name("rule set", name, RULE_SETS)]


def simulate(
    layout: Layout, plan: Sequence[Action], rules: str = "env", start: int | None = None
) -> Trace:
    """Play `plan` until it or the episode ends; `rules` names a rule set.

    `start` is a state; None: the board's own.
    """
    task, ends = get_task(layout.task), rule_set(rules).ends(layout.task)
    solved = solve_layout(layout)
    state, illegal, reason = solved.start if start is None else start, 0, ""
    states, taken, outcome = [state], [], Outcome.RUNNING
    for action in plan:
        taken.append(action)
        outcome = Outcome(solved.outcome[state][action])
        if outcome is Outcome.ILLEGAL:
            illegal += 1
            reason = task.reasons[solved.reason[state, action]]
        state = solved.next_state[state][action]
        states.append(state)
        if outcome in (Outcome.SUCCESS, Outcome.FAILURE) or (outcome is Outcome.ILLEGAL and ends):
            break
        outcome = Outcome.RUNNING
    if outcome is Outcome.FAILURE:
        reason = task.failure_reason
    return Trace(states, taken, outcome, illegal, reason)


def state_cell(layout: Layout, state: int) -> Cell:
    """The agent's cell in a state."""
    return Cell(*divmod(state % layout.level**2, layout.level))


def layout_in(layout: Layout, state: int) -> Layout:
    """The board as it is in a state in which play goes on, to be put into words."""
    phase, agent = divmod(state, layout.level**2)
    in_state = get_task(layout.task).in_state
    if in_state is None:
        return replace(layout, cells=(agent, *layout.cells[1:]))
    return in_state(layout, phase, agent)
