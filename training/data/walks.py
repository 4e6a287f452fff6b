"""Turns to learn from without a model: states along shortest plans, and off them by detours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from agents.agent import Prompt, Reply, View
from agents.multi_turn import TurnPolicy
from training.data.layout_stream import Board
from vsp_envs import Layout
from vsp_envs.core.layout import Action, Outcome
from vsp_envs.core.simulator import layout_in
from vsp_envs.core.solver import optimal_actions, shortest_plan, solve_layout
from vsp_envs.prompts.question import teacher_prompt
from vsp_envs.prompts.targets import answer_target

Target = Callable[[Layout, int, Sequence[Action]], str]
"""Layout, state, plan from there → the reference answer."""


class Taught(NamedTuple):
    """A turn, and the answer to it."""

    prompt: Prompt
    answer: str
    given: str = ""
    """The head of the answer that is given, not learned."""


class Walk(NamedTuple):
    """The turns before the taught one: the state of each, and what is played there."""

    turns: list[tuple[int, list[Action]]]
    end: int
    """The state of the taught turn. The board can be solved from there."""


def walk(layout: Layout, chunk: int, longest: int, detours: float, seed: Sequence[int]) -> Walk:
    """Play up to `longest` turns of `chunk` actions from the start.

    Each action is one of the optimal ones, or with a chance of `detours` any legal one after which
    the board can still be solved. The number of turns is random, less than those of a shortest
    plan.
    """
    rng, solved = np.random.default_rng(seed), solve_layout(layout)
    needed = -(-solved.distance[solved.start] // chunk)
    turns: list[tuple[int, list[Action]]] = []
    state = solved.start
    for _ in range(int(rng.integers(min(needed, longest + 1)))):
        here, played = state, list[Action]()
        while len(played) < chunk:
            after, outcomes = solved.next_state[here], solved.outcome[here]
            open_ = [
                Action(each)
                for each, outcome in enumerate(outcomes)
                if outcome == Outcome.RUNNING and solved.distance[after[each]] > 0
            ]
            choices = open_ if rng.random() < detours else optimal_actions(layout, here)
            action = choices[int(rng.integers(len(choices)))] if choices else None
            if action is None or outcomes[action] != Outcome.RUNNING:
                return Walk(turns, state)  # the next turn ends it: it is the one to learn
            played.append(action)
            here = after[action]
        turns.append((state, played))
        state = here
    return Walk(turns, state)


class TaughtTurns:
    """Makes a turn and its answer of a board."""

    def __init__(self, view: View, policy: TurnPolicy, input: str, target: Target, detours: float):
        """By text a turn is shown as a teacher reads it, alone; by image as the policy says."""
        self.view, self.input, self.target, self.detours = view, input, target, detours
        self.policy = replace(policy, push=False)

    def walk_on(self, board: Board) -> Walk:
        """The turns of the board before the taught one."""
        seed = [board.stream_index, int(board.layout.layout_id, 16)]
        return walk(board.layout, self.policy.chunk, self.policy.max_turns - 1, self.detours, seed)

    def reached(self, board: Board) -> Board:
        """The board as it is in the taught turn, and what it looks like there."""
        state = self.walk_on(board).end
        picture = np.asarray(board.show(self.view, state))
        return board._replace(layout=layout_in(board.layout, state), image=picture)

    def turn(self, board: Board, with_plan: bool = False) -> Taught:
        """A turn of an episode on the board; `with_plan` is for text."""
        layout, policy, walked = board.layout, self.policy, self.walk_on(board)
        answer = self.target(layout, walked.end, shortest_plan(layout, walked.end) or [])
        if self.input == "text":
            style = self.view.style
            prompt = teacher_prompt(layout, walked.end, policy.chunk, style, with_plan)
            return Taught(prompt, answer)
        game = board._replace(goal="plan").game(self.view, policy)
        request = next(game)
        for number, (state, played) in enumerate(walked.turns):
            after = (*walked.turns, (walked.end, []))[number + 1][0]
            plan = [*played, *(shortest_plan(layout, after) or [])]
            target = self.target if policy.history else answer_target  # what no prompt will show
            request = game.send(Reply(target(layout, state, plan)))
        return Taught(request.prompt, answer)
