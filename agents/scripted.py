"""Agents without a model: oracle (a shortest plan), random, and blind (ignores obstacles).

They say how to read a rate: the oracle is the ceiling, random the floor, and blind shows what start
and goal alone are worth, without seeing anything between them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agents.agent import Reply, Request, View
from vsp_envs import Action, Layout, format_answer, get_task, parse_plan, shortest_plan
from vsp_envs.core.layout import Cell
from vsp_envs.prompts.targets import perception_target, planning_target


class Scripted:
    """An agent whose reply is a function of the layout."""

    view = View()

    def __init__(self, seed: int = 0) -> None:
        """`seed` determines all random choices."""
        self.seed = seed

    def reply(self, requests: Sequence[Request]) -> list[Reply]:
        """One reply per request, from its layout alone; in a later turn, the rest of the plan."""
        return [Reply(self._rest(request)) for request in requests]

    def _rest(self, request: Request) -> str:
        answer, task = self.sampled(request.layout, request.sample), request.layout.task
        if not request.played:
            return answer
        return format_answer(parse_plan(answer, task).plan[request.played :], task)

    def answer(self, layout: Layout) -> str:
        """The text of the reply."""
        raise NotImplementedError

    def sampled(self, layout: Layout, sample: int) -> str:
        """The text of one of several replies to a board."""
        return self.answer(layout)


class Oracle(Scripted):
    """Answers every question right and gives a shortest plan from where the player is."""

    name = "oracle"

    def _rest(self, request: Request) -> str:
        if not request.played:
            return super()._rest(request)
        plan = shortest_plan(request.layout, request.state) or []
        return format_answer(plan, request.layout.task)

    def answer(self, layout: Layout) -> str:
        """All perception answers, then the reference planning answer."""
        return f"{perception_target(layout)}\n{planning_target(layout)}"


class Random(Scripted):
    """Samples as many actions as a shortest plan has, so that length is no handicap."""

    name, plans_only = "random", True

    def answer(self, layout: Layout) -> str:
        """Uniform actions, which depend on the seed and the board alone."""
        return self.sampled(layout, 0)

    def sampled(self, layout: Layout, sample: int) -> str:
        """Likewise, other actions for each sample."""
        length = len(shortest_plan(layout) or [])
        seeds = [self.seed, int(layout.layout_id, 16), *([sample] if sample else [])]
        rng = np.random.default_rng(seeds)
        actions = rng.integers(len(get_task(layout.task).actions), size=length)
        return format_answer([Action(action) for action in actions], layout.task)


class Blind(Scripted):
    """Knows the landmarks and walks as if nothing were in the way: rows first, then columns.

    This is the baseline that scores 66 % on VSP's FrozenLake (arXiv 2407.01863 test maps).
    """

    name, plans_only = "blind", True

    def answer(self, layout: Layout) -> str:
        """Straight from waypoint to waypoint of the task, acting beside those that ask for it."""
        here, plan = layout.cell("start"), list[Action]()
        for landmark, action in get_task(layout.task).waypoints:
            moves = straight(here, layout.cell(landmark))
            if action is not None:
                moves = moves[:-1]
            here = walk(here, moves)
            plan += moves if action is None else [*moves, action]
        return format_answer(plan, layout.task)


def straight(start: Cell, end: Cell) -> list[Action]:
    """Moves from start to end on an empty board, vertical ones first."""
    down, right = end.row - start.row, end.col - start.col
    vertical = [Action.DOWN if down > 0 else Action.UP] * abs(down)
    return vertical + [Action.RIGHT if right > 0 else Action.LEFT] * abs(right)


def walk(start: Cell, plan: Sequence[Action]) -> Cell:
    """Where moves lead on an empty board."""
    row = start.row + plan.count(Action.DOWN) - plan.count(Action.UP)
    return Cell(row, start.col + plan.count(Action.RIGHT) - plan.count(Action.LEFT))


SCRIPTED = {agent.name: agent for agent in (Oracle, Random, Blind)}
