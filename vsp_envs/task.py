"""The vocabulary: actions, outcomes, layouts and what a task must bring. Read this file first."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from numbers import Integral
from operator import index
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

UInt8 = NDArray[np.uint8]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]
Chance = tuple[NDArray[Any], ...]
"""Random numbers from which boards are made: arrays whose first axis is the board's."""


class Action(IntEnum):
    """What an agent can do. The number is the Gymnasium action and the solver's tie-break."""

    LEFT = 0
    DOWN = 1
    RIGHT = 2
    UP = 3
    PICK = 4
    DROP = 5


MOVES = (Action.LEFT, Action.DOWN, Action.RIGHT, Action.UP)


class Outcome(IntEnum):
    """What an action leads to. SUCCESS and FAILURE are final; ILLEGAL leaves the state as is."""

    RUNNING = 0
    SUCCESS = 1
    FAILURE = 2
    ILLEGAL = 3


class Cell(NamedTuple):
    """A place on the board, 0-based from the top left; written `(row,col)` everywhere."""

    row: int
    col: int

    def __str__(self) -> str:
        return f"({self.row},{self.col})"


class LayoutError(ValueError):
    """The data of a layout is not a board of the task; the message names what is wrong."""


class NoLayoutError(ValueError):
    """No layout satisfies what was asked for, or none was found in bounded time."""


@dataclass(frozen=True)
class Layout:
    """One board before the first move. Immutable and hashable; equal boards are equal objects.

    `grid` holds level × level codes row by row, whose meaning is the task's own (see its
    `rules.py`); `cells` holds the task's landmarks as flat indices `row * level + col`.
    """

    task: str
    level: int
    grid: bytes
    cells: tuple[int, ...]

    def cell(self, landmark: str) -> Cell:
        """Where a landmark of the task stands, for example `layout.cell("start")`.

        Raises ValueError for a landmark that the task does not have.
        """
        known = get_task(self.task).landmarks
        place = known.index(pick_name(f"landmark of {self.task}", landmark, known))
        return Cell(*divmod(self.cells[place], self.level))

    def codes(self) -> UInt8:
        """The grid as a fresh uint8[level, level] array."""
        return np.frombuffer(self.grid, np.uint8).reshape(self.level, self.level).copy()

    @property
    def layout_id(self) -> str:
        """Content hash of the board, 16 hexadecimal digits."""
        from vsp_envs.splits import layout_id

        return layout_id(self)

    def to_data(self) -> dict[str, Any]:
        """The board as JSON data; `load_layout(layout.task, layout.to_data())` gives it back."""
        return get_task(self.task).dump(self)


@dataclass(frozen=True, eq=False)
class Boards:
    """Many layouts of one task and level as arrays, one board to a row."""

    task: str
    level: int
    grid: UInt8  # [board, level, level]
    cells: Int  # [board, landmark]

    @classmethod
    def stack(cls, layouts: Sequence[Layout]) -> Boards:
        """Layouts of one task and level as arrays."""
        task, level = layouts[0].task, layouts[0].level
        grid = np.frombuffer(b"".join(each.grid for each in layouts), np.uint8)
        cells = np.array([each.cells for each in layouts], np.int64)
        return cls(task, level, grid.reshape(len(layouts), level, level), cells)

    def __len__(self) -> int:
        return len(self.grid)

    def __getitem__(self, rows: Any) -> Boards:
        """The boards that an index array, mask or slice selects."""
        return Boards(self.task, self.level, self.grid[rows], self.cells[rows])

    def layout(self, row: int) -> Layout:
        """One board as a Layout."""
        cells = tuple(int(cell) for cell in self.cells[row])
        return Layout(self.task, self.level, self.grid[row].tobytes(), cells)

    def flat(self) -> UInt8:
        """The grids with one axis of cells: uint8[board, level * level]."""
        return self.grid.reshape(len(self), self.level**2)


class Tables(NamedTuple):
    """Every board as a finite state machine: where each action leads from each state.

    A state is a flat cell index, plus `phase * level**2` in a task that has phases. Rows of final
    and unreachable states hold no promise.
    """

    next_state: Int  # [board, state, action]
    outcome: UInt8  # [board, state, action], values of Outcome
    reason: UInt8  # [board, state, action], where ILLEGAL an index into `Task.reasons`


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
    """Name in prompts and in the id, for example in `gym.make("VSP/Maze-v0")`."""
    actions: tuple[Action, ...]
    """Legal actions; their values are 0, 1, 2, …"""
    paper_levels: tuple[int, ...]
    """Side lengths played unless others are asked for; for the paper's tasks those that MGSD
    (arXiv 2606.06076) trains and tests on."""
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
    pattern: Callable[[Boards], UInt8]
    """Boards as small arrays [board, height, width] that turn and mirror as a whole."""
    transitions: Callable[[Boards], Tables]
    """The rules, for many boards at once."""
    reasons: tuple[str, ...]
    """Why the rules may refuse an action: one word or two, joined by underscores."""
    symbolic: Callable[[Boards, Int, int], dict[str, NDArray[Any]]]
    """Boards, a state of each, max_level → their symbolic observations, as fresh arrays.

    In a phase in which play goes on, `agent` is all that changes with the state.
    """
    symbolic_space: Callable[[int], dict[str, Any]]
    """max_level → the Gymnasium spaces of the symbolic observation."""
    draw: Callable[[int, int, np.random.Generator], Chance]
    """Level, count, generator → the random numbers of that many boards."""
    build: Callable[[int, Chance, float], Boards]
    """Level, random numbers, frozen_prob → candidate boards, not all of them solvable."""
    size: Callable[[int], int]
    """Level → number of boards, unsolvable ones included; rounded where above 2**53."""
    every: Callable[[int], Boards]
    """Level → all of them. For small levels."""
    appearance: Callable[[Layout, int], Int]
    """Layout, state → int[level, level]: a code per cell that fixes what the cell looks like."""
    agent_codes: tuple[int, ...]
    """What `appearance` adds to the code of the agent's cell, per phase in which play goes on;
    while such a phase stays, that is all that changes with the state."""
    themes: Mapping[str, Any]
    """Name of the drawing → painter of one cell (see `drawing.py`)."""
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
    folder_themes: Mapping[str, Callable[[str], Any]] = field(default_factory=dict)
    """Kind of drawing → folder → painter: the theme is then called `kind:folder`."""
    difficulty: Callable[[int], tuple[int, int]] | None = None
    """Level → longest shortest plan that is easy, and longest that is medium; None: no buckets."""
    in_hand: str = ""
    """What the agent holds in the second phase; empty: nothing."""
    version: int = 0
    """In the id; raised with the rules, the pixels and which boards a seed gives."""

    def __reduce__(self) -> tuple[Callable[[str], Task], tuple[str]]:
        return get_task, (self.name,)  # a copied or pickled task is the task

    @property
    def id(self) -> str:
        """Id for `gym.make`."""
        return f"VSP/{self.title}-v{self.version}"

    def generate(
        self, level: int, count: int, rng: np.random.Generator, frozen_prob: float
    ) -> Boards:
        """Candidate boards, not all of them solvable."""
        return self.build(level, self.draw(level, count, rng), frozen_prob)

    def theme_legend(self, theme: str) -> str:
        """What is what in the image, for a prompt."""
        return self.legend[theme.partition(":")[0]]


MAX_LEVEL = 32
"""Largest side length anywhere: DiffThinker's largest public boards."""


def pick_name(kind: str, name: str, names: Iterable[str]) -> str:
    """`name` if it is one of `names`; otherwise a ValueError that says what there is."""
    names = list(names)
    if name in names:
        return name
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"unknown {kind} {name!r}; {_plural(kind)} are {', '.join(names)}.{hint}")


def get_task(name: str) -> Task:
    """The task of that name. Raises ValueError that lists the tasks."""
    from vsp_envs.tasks import TASKS

    return TASKS[pick_name("task", name, TASKS)]


def check_level(task: Task, level: int) -> int:
    """`level` if the task has boards of that side; otherwise a ValueError with the range."""
    if not isinstance(level, Integral):
        raise ValueError(f"level {level!r} is no whole number; it is the side of a board in cells")
    if not task.min_level <= level <= MAX_LEVEL:
        raise ValueError(
            f"level {level!r} is out of range for {task.name}: its boards have a side of "
            f"{task.min_level} to {MAX_LEVEL} cells"
        )
    return int(level)


def load_layout(task: str, data: Mapping[str, Any], level: int | None = None) -> Layout:
    """A layout from JSON data, checked and solvable.

    FrozenLake: `{"map": ["SFF", "FHF", "FFG"]}`. Maze: `{"walls": [[masks]], "start": [r, c],
    "goal": [r, c]}`, masks N1 S2 W4 E8. MiniBehaviour: `{"start", "printer", "table": six cells}`
    with the side of the room in `level` or in `data["level"]`; without either it is the smallest
    of the paper's levels that holds every cell. Raises LayoutError naming what is wrong.
    """
    from vsp_envs.solve import shortest_plan

    if not isinstance(data, Mapping):
        raise LayoutError(f"a {task} layout is a mapping, not {type(data).__name__}")
    layout = get_task(task).load(data, level)
    if shortest_plan(layout) is None:
        raise LayoutError(f"this {task} layout has no solution: {layout.to_data()}")
    return layout


def need(task: str, data: Mapping[str, Any], *names: str) -> None:
    """Raises a LayoutError that says which of the names a layout's data does not hold."""
    missing = ", ".join(name for name in names if name not in data)
    if missing:
        raise LayoutError(f"a {task} layout holds {', '.join(names)}; this one lacks {missing}")


def read_cell(data: Mapping[str, Any], name: str, level: int) -> Cell:
    """`data[name]`, which is there, as a cell of a board of that side. Raises LayoutError."""
    try:
        row, col = map(index, data[name])
    except (TypeError, ValueError):
        raise LayoutError(f"{name} must be [row, col], got {data[name]!r}") from None
    if not (0 <= row < level and 0 <= col < level):
        raise LayoutError(f"{name} ({row},{col}) is outside the {level}×{level} board")
    return Cell(row, col)


def _plural(kind: str) -> str:
    noun, *rest = re.split(r"(?= (?:of|on|to) )", kind, maxsplit=1)
    for ending, plural in {"cy": "cies", "ss": "sses", "us": "uses"}.items():
        if noun.endswith(ending):
            return "".join([noun.removesuffix(ending), plural, *rest])
    return "".join([noun, "s", *rest])
