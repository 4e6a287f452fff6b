"""What a task consists of, and its look-up by name. Read this file after `layout`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vsp_envs.core.layout import Action, Int, Layout, LayoutBatch, UInt8
from vsp_envs.core.registry import find_task

RandomNumbers = tuple[NDArray[Any], ...]
"""Random numbers that boards are made from: arrays with one row per board."""


class TransitionTables(NamedTuple):
    """Every board as a finite state machine: where each action leads from each state.

    A state is a flat cell index, plus `phase * level**2` in a task that has phases. Rows of final
    and unreachable states may hold anything.
    """

    next_state: Int  # [board, state, action]
    outcome: UInt8  # [board, state, action], values of Outcome
    reason: UInt8  # [board, state, action], where ILLEGAL an index into `Task.reasons`


class Waypoint(NamedTuple):
    """One leg of any plan of a task."""

    landmark: str
    """Where the plan goes next."""
    action: Action | None = None
    """What the agent does beside the landmark; None: it walks onto it."""


class Obstacles(NamedTuple):
    """What makes one board of a task harder than another, for reports."""

    name: str
    """In the plural, for example `holes`."""
    count_on: Callable[[Layout], int]


class Question(NamedTuple):
    """A question about the board and its true answer in the words of the project.

    `states` marks the questions whose answers together fix the board: a plan opens with them.
    """

    name: str
    text: str
    answer: str
    states: bool


@dataclass(frozen=True)
class Task:
    """A task is data and pure functions; one folder under `tasks/` makes one of these."""

    name: str
    """Name in commands and files, for example `frozenlake`."""
    title: str
    """Name in prompts and in the id, for example `Maze` in `gym.make("VSP/Maze-v0")`."""
    actions: tuple[Action, ...]
    """Legal actions; their values are 0, 1, 2, …"""
    paper_levels: tuple[int, ...]
    """Default side lengths; for the paper's tasks those that MGSD (arXiv 2606.06076) trains and
    tests on."""
    min_level: int
    """Smallest side length on which the task has a board."""
    landmarks: tuple[str, ...]
    """Names of `Layout.cells`; the first is the agent's start."""
    phases: int
    """States per cell."""

    load: Callable[[Mapping[str, Any], int | None], Layout]
    """JSON data, level if the data does not hold it → layout. Raises LayoutError."""
    dump: Callable[[Layout], dict[str, Any]]
    """Inverse of `load`."""
    pattern: Callable[[LayoutBatch], UInt8]
    """Boards as small arrays [board, height, width] that turn and mirror as a whole."""
    transitions: Callable[[LayoutBatch], TransitionTables]
    """The rules, for many boards at once."""
    reasons: tuple[str, ...]
    """Why the rules may refuse an action: one word or more, joined by underscores."""
    symbolic: Callable[[LayoutBatch, Int, int], dict[str, NDArray[Any]]]
    """Boards, a state of each, max_level → their symbolic observations, as fresh arrays.

    In a phase in which play goes on, `agent` is all that changes with the state.
    """
    symbolic_space: Callable[[int], dict[str, Any]]
    """max_level → the Gymnasium spaces of the symbolic observation."""
    waypoints: tuple[Waypoint, ...]
    """The legs of a plan, in order: the blind agent walks them as if nothing stood in the way."""
    sample_numbers: Callable[[int, int, np.random.Generator], RandomNumbers]
    """Level, count, generator → the random numbers of that many boards."""
    build: Callable[..., LayoutBatch]
    """Level, random numbers, `build_arguments` by name → candidates, not all of them solvable."""
    size: Callable[[int], int]
    """Level → number of boards, unsolvable ones included; rounded where above 2**53."""
    every: Callable[[int], LayoutBatch]
    """Level → all of them. For small levels."""
    appearance: Callable[[Layout, int], Int]
    """Layout, state → int[level, level]: a code per cell that fixes what the cell looks like."""
    agent_codes: tuple[int, ...]
    """What `appearance` adds to the code of the agent's cell, per phase in which play goes on;
    while such a phase stays, that is all that changes with the state."""
    themes: Mapping[str, Any]
    """Name of the theme → painter of one cell (see `rendering/canvas.py`), or `module:name` of one
    whose module is slow to import: it is imported when the theme is first used."""
    minigrid: Mapping[int, str]
    """Code in `pattern` → Minigrid's name of the object there; all others are empty."""
    rules_text: str
    """The rules, for a prompt."""
    legend: Mapping[str, str]
    """Theme → what is what in the image, for a prompt."""
    state_text: Callable[[Layout], str]
    """The board as compact text that a model can plan on."""
    notation: str
    """How to read `state_text`, for a prompt."""
    questions: Callable[[Layout], list[Question]]
    """The perception questions, those that state the board first."""
    notes: Mapping[str, str]
    """Heading of the card → Markdown: what the code cannot say of itself."""
    failure_reason: str = ""
    """Why an episode fails, written as in `reasons`; empty: no action leads to FAILURE."""
    obstacles: Obstacles | None = None
    """None: the boards of a level do not differ in this."""
    build_arguments: tuple[str, ...] = ()
    """Fields of `LayoutSpec` that `build` takes by name; see `LayoutSpec.build_arguments`."""
    folder_themes: Mapping[str, Callable[[str], Any]] = field(default_factory=dict)
    """Kind of theme → folder → painter: the theme is then called `kind:folder`."""
    missing_themes: Mapping[str, str] = field(default_factory=dict)
    """Themes that cannot be drawn with what is installed → what they need, for an error."""
    difficulty: Callable[[int], tuple[int, int]] | None = None
    """Level → longest shortest plan that is easy, and longest that is medium; None: no buckets."""
    in_hand: str = ""
    """What the agent holds in the second phase; empty: nothing."""
    in_state: Callable[[Layout, int, int], Layout] | None = None
    """Layout, phase, agent's cell → what `state_text` and `questions` read there while play goes
    on. It is for words alone: its rules are other ones. None: the start is moved, all else stays.
    """
    version: int = 0
    """In the id; raised with the rules, the pixels and which boards a seed gives."""

    def __reduce__(self) -> tuple[Callable[[str], Task], tuple[str]]:
        return get_task, (self.name,)  # a copied or pickled task is the task

    @property
    def id(self) -> str:
        """Id for `gym.make`."""
        return f"VSP/{self.title}-v{self.version}"

    def generate(
        self, level: int, count: int, rng: np.random.Generator, **arguments: float
    ) -> LayoutBatch:
        """Candidate boards, not all of them solvable; `arguments` are those of `build`."""
        return self.build(level, self.sample_numbers(level, count, rng), **arguments)

    def theme_legend(self, theme: str) -> str:
        """What is what in the image, for a prompt. Raises ValueError for a theme without one."""
        if theme.partition(":")[0] not in self.legend:
            raise ValueError(
                f"the theme {theme!r} of {self.name} has no legend, and prompts need one: add a "
                "sentence of what is what to LEGEND in the task's words.py"
            )
        return self.legend[theme.partition(":")[0]]


MAX_LEVEL = 32
"""Largest side length anywhere: DiffThinker's largest public boards."""


def get_task(name: str) -> Task:
    """The task of that name. Raises ValueError that lists the tasks."""
    task: Task = find_task(name)
    return task


def check_level(task: Task, level: int) -> int:
    """`level` itself. Raises ValueError with the range if the task has no boards of that side."""
    if not isinstance(level, Integral):
        raise ValueError(f"level {level!r} must be an integer: the side of a board in cells")
    if not task.min_level <= level <= MAX_LEVEL:
        raise ValueError(
            f"level {level!r} is out of range for {task.name}: its boards have a side of "
            f"{task.min_level} to {MAX_LEVEL} cells"
        )
    return int(level)
