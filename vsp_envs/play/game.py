"""A game without a window: boards, attempts at them, the tally and the recording."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vsp_envs.core.layout import Action, Layout, NoLayoutError, Outcome
from vsp_envs.core.registry import TASKS
from vsp_envs.core.solver import solve_layout
from vsp_envs.core.task import Task, get_task
from vsp_envs.core.task_level import TaskLevel
from vsp_envs.play.attempt import Attempt, Tally, Verdict, tally
from vsp_envs.play.boards import Supply
from vsp_envs.scoring.answer_format import Parsed, ParseStatus, format_plan
from vsp_envs.scoring.answer_readers import parse_plan
from vsp_envs.scoring.describe import symbolic_state
from vsp_envs.scoring.episode import Episode, append_episode


class Game:
    """Boards one after another; each method is what one key does."""

    def __init__(
        self,
        boards: Supply,
        task_level: TaskLevel | None = None,
        recording: Path | None = None,
        episodes: Sequence[Episode] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with the first board of `task_level` (None: the first of any).

        Every episode is appended to the file `recording`. `episodes` are those already in it;
        their boards are not given again. Raises NoLayoutError if no board is left.
        """
        self.boards, self.recording, self.episodes = boards, recording, list(episodes)
        self._clock = clock
        self.played = {each.layout_id for each in episodes}
        self.message = Verdict()
        self.queue: list[Action] = []
        """The actions of a typed plan that are still to be played."""
        self.hint = self.symbolic = False
        self.image: dict[str, Any] = {"theme": "classic", "pixels": 256}
        """How the board is shown; the window updates it."""
        self.seen = [boards.after(None, task_level, self.played)]
        self._position = 0
        self._begin(self.seen[0])

    @property
    def layout(self) -> Layout:
        """The current board."""
        return self.attempt.layout

    @property
    def task(self) -> Task:
        """The task of the current board."""
        return get_task(self.layout.task)

    @property
    def state(self) -> int:
        """The current state."""
        return self.attempt.trace.states[-1]

    def say(self, message: str, tone: str = "plain") -> None:
        """Tell the player something; see `Verdict` for tones."""
        self.message = Verdict(message, tone)

    def act(self, action: Action) -> Outcome | None:
        """Play an action and return its outcome; None if it could not be played."""
        if self.attempt.over:
            self.say("This board is over. N: next, R: again, U: take the last action back.")
            return None
        if action not in self.task.actions:
            self.say(f"{self.task.title} has no {action.name.lower()}.")
            return None
        outcome = Outcome(solve_layout(self.layout).outcome[self.state][action])
        self.attempt.plan.append(action)
        self.hint = False
        self.message = self.attempt.verdict(outcome, tells_shortest=not self.recording)
        if outcome in (Outcome.SUCCESS, Outcome.FAILURE):
            self._finish()
        return outcome

    def pick_or_drop(self) -> Outcome | None:
        """PICK or DROP, whichever makes sense here."""
        if Action.DROP in self.task.actions:
            carrying = symbolic_state(self.layout, self.state).get("carrying")
            return self.act(Action.DROP if carrying else Action.PICK)
        return self.act(Action.PICK)

    def undo(self) -> None:
        """Take the last action back; after the end this begins another attempt."""
        if not self.attempt.plan:
            self.say("Nothing to take back.")
            return
        self._again(self.attempt.trace.actions[:-1])

    def restart(self) -> None:
        """Back to the start of the same board; within an attempt that is an undo of all."""
        self._again([])

    def next_board(self) -> None:
        """The next board. A board that was begun is given up and counts as not solved."""
        self._give_up()
        if self._position + 1 < len(self.seen):
            self._position += 1
            self._begin(self.seen[self._position])
        else:
            self._new_board(None)

    def previous_board(self) -> None:
        """The board before this one."""
        if not self._position:
            self.say("This is the first board.")
            return
        self._give_up()
        self._position -= 1
        self._begin(self.seen[self._position])

    def change_task(self, number: int) -> None:
        """A board of the task of that number, from 1, at the level nearest to this one."""
        task = list(TASKS)[number - 1] if number <= len(TASKS) else ""
        levels = self.boards.levels(task) if task else []
        usual = [level for level in levels if level in TASKS[task].paper_levels] or levels
        if not usual:
            self.say(f"There are no boards of {task or f'a task {number}'} here.")
            return
        self._give_up()
        self._new_board(
            TaskLevel(task, min(usual, key=lambda level: abs(level - self.layout.level)))
        )

    def change_level(self, step: int) -> None:
        """A board of the next higher (1) or lower (-1) level."""
        levels = list(self.boards.levels(self.layout.task))
        index = levels.index(self.layout.level) + step
        if not 0 <= index < len(levels):
            self.say(f"Levels of {self.task.title} here are {levels[0]} to {levels[-1]}.")
            return
        self._give_up()
        self._new_board(TaskLevel(self.layout.task, levels[index]))

    def toggle_hint(self) -> None:
        """Show the optimal actions until the next action, or hide them."""
        if self._recorded():
            return
        self.hint = not self.hint and not self.attempt.over
        if self.hint:
            self.attempt.aids.add("hint")
            self.say("The arrows are the optimal actions. This board will not count as solved.")

    def toggle_symbolic(self) -> None:
        """Show the symbolic state beside the picture, or hide it."""
        if self._recorded():
            return
        self.symbolic = not self.symbolic
        if self.symbolic:
            self.attempt.aids.add("symbolic")

    def _recorded(self) -> bool:
        """Whether the game is recorded, and then only what a model sees is shown; says so."""
        if self.recording:
            self.say("Not while you are recorded: you see what a model sees, and nothing else.")
        return bool(self.recording)

    def run_plan(self, text: str) -> Parsed:
        """Begin to play a typed plan from the start, like a model's reply; `advance` plays on.

        Text that is not a plan gives a message and costs nothing.
        """
        parsed = parse_plan(text, self.layout.task, untagged=True)
        if parsed.status is not ParseStatus.OK:
            wanted = format_plan(self.task.actions[:3], self.layout.task)
            self.say(f"No plan can be read in that ({parsed.status}). Write it like {wanted}.")
            return parsed
        self.restart()
        self.attempt.typed, self.queue = text.strip(), list(parsed.plan)
        return parsed

    def advance(self) -> Outcome | None:
        """Play the next action of a typed plan; None once it is played."""
        outcome = self.act(self.queue.pop(0)) if self.queue else None
        if self.attempt.over:
            self.queue.clear()
        elif not self.queue and self.attempt.typed is not None:
            self._finish()
            self.say("The plan ends here, before the task does. R: again.", "bad")
        return outcome

    @property
    def tally(self) -> Tally:
        """The tally so far, with the earlier episodes of the recording."""
        return tally(self.episodes)

    def _begin(self, layout: Layout) -> None:
        self.attempt = Attempt(layout, began=self._clock())
        self._ready()

    def _again(self, plan: Sequence[Action]) -> None:
        """Start the same board again; the aids that were used stay recorded."""
        before = self.attempt
        aids = before.aids | ({"undo"} if before.plan else set())
        began = self._clock() if before.over else before.began
        self.attempt = Attempt(before.layout, list(plan), aids=aids, began=began)
        self._ready()

    def _ready(self) -> None:
        if self.symbolic:
            self.attempt.aids.add("symbolic")
        self.queue, self.hint = [], False
        self.say("")

    def _new_board(self, task_level: TaskLevel | None) -> None:
        try:
            layout = self.boards.after(self.layout, task_level, self.played)
        except NoLayoutError as error:
            self.say(str(error), "warn")
            return
        self.seen = [*self.seen[: self._position + 1], layout]
        self._position += 1
        self._begin(layout)

    def _give_up(self) -> None:
        if self.attempt.plan and not self.attempt.over:
            self._finish()

    def _finish(self) -> None:
        self.attempt.over = True
        episode = self.attempt.episode(self.image, self._clock())
        if self.recording:
            append_episode(self.recording, episode)
        self.episodes.append(episode)
        self.played.add(episode.layout_id)
