"""Layouts on demand: candidates of a task are sampled until enough of them meet a spec."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np

from vsp_envs.core.layout import Bool, Layout, LayoutBatch, NoLayoutError, canonical_ids
from vsp_envs.core.solver import SolvedBatch, solve_batch
from vsp_envs.core.splits import Split, check_split, split_of_id
from vsp_envs.core.task import check_level, get_task
from vsp_envs.utils.choices import check_count, check_probability, pick_name
from vsp_envs.utils.words import counted

Difficulty = Literal["easy", "medium", "hard"]
DIFFICULTIES: tuple[Difficulty, ...] = get_args(Difficulty)
FROZEN_PROB = 0.8
_NO_END = 1 << 30


@dataclass(frozen=True)
class LayoutSpec:
    """Which layouts are wanted. Raises ValueError for an invalid value."""

    task: str
    level: int
    split: Split | None = None
    """`train`, `val`, `test`, or None for all."""
    frozen_prob: float = FROZEN_PROB
    """Share of FrozenLake's cells that are ice; other tasks have no such argument."""
    min_plan: int = 1
    """Fewest actions of a shortest plan."""
    difficulty: Difficulty | None = None
    """`easy`, `medium` or `hard` by the length of a shortest plan, None for all; see `Task`."""
    plan_length: int | None = None
    """Exact number of actions of a shortest plan."""
    exclude: frozenset[str] = frozenset()
    """Canonical hashes of layouts that are left out, with their rotations and reflections."""
    min_distance: int = 0
    """Least rows plus columns between start and goal, walls and holes aside."""

    def __post_init__(self) -> None:
        check_level(get_task(self.task), self.level)
        check_split(self.split)
        check_probability("frozen_prob", self.frozen_prob)
        check_count("min_plan", self.min_plan)
        check_count("min_distance", self.min_distance)
        if self.frozen_prob != FROZEN_PROB and not self.build_arguments():
            raise ValueError(
                f"{self.task} has no frozen_prob, got {self.frozen_prob}; leave it out"
            )
        if self.plan_length is not None:
            check_count("plan_length", self.plan_length, least=1)
        if self.min_distance and "goal" not in get_task(self.task).landmarks:
            raise ValueError(f"{self.task} has no goal and so no min_distance; use min_plan")
        low, high = self.plan_lengths()
        # A shortest plan visits no state twice.
        if low > min(high, get_task(self.task).phases * self.level**2):
            raise NoLayoutError(f"there is no {self}; ask for less at once")

    def plan_lengths(self) -> tuple[int, int]:
        """Fewest and most actions of a shortest plan."""
        low, high = _bucket(self.task, self.level, self.difficulty)
        if self.plan_length is not None:
            low, high = max(low, self.plan_length), min(high, self.plan_length)
        return max(low, self.min_plan, self.min_distance), high

    def build_arguments(self) -> dict[str, float]:
        """The keyword arguments of `Task.build`."""
        return {name: getattr(self, name) for name in get_task(self.task).build_arguments}

    def __str__(self) -> str:
        arguments = get_task(self.task).build_arguments
        given = (
            f"{name}={value!r}"
            for name in ("split", "min_plan", "difficulty", "plan_length", *arguments)
            if (value := getattr(self, name)) is not None
        )
        far = f", min_distance={self.min_distance}" if self.min_distance else ""
        hashes = f"{far}, without {counted(len(self.exclude), 'hash')}" if self.exclude else far
        return f"{self.task} layout of level {self.level} with {', '.join(given)}{hashes}"


def _bucket(task: str, level: int, difficulty: str | None) -> tuple[int, int]:
    if difficulty is None:
        return 1, _NO_END
    buckets = get_task(task).difficulty
    if buckets is None:
        raise ValueError(f"{task} has no difficulties; ask for min_plan or plan_length instead")
    easy, medium = buckets(level)
    lengths = ((1, easy), (easy + 1, medium), (medium + 1, _NO_END))
    return lengths[DIFFICULTIES.index(pick_name("difficulty", difficulty, DIFFICULTIES))]


CANDIDATES = 20_000
"""Candidates in a row without a match after which the search ends."""
_BLOCK = (8, 4096)  # smallest and largest number of candidates made at once
_CELLS = 1 << 18  # cells of the boards that are solved at once: their tables take some 10 MB


def draw_layouts(spec: LayoutSpec, rng: np.random.Generator) -> Iterator[Layout]:
    """An endless stream of solvable layouts that meet `spec`; they may repeat.

    Raises NoLayoutError when `CANDIDATES` in a row do not meet it.
    """
    task, block, missed = get_task(spec.task), _BLOCK[0], 0
    arguments = spec.build_arguments()
    while missed < CANDIDATES:
        hits = 0
        for boards in passing(task.generate(spec.level, block, rng, **arguments), spec):
            hits += len(boards)
            yield from map(boards.layout, range(len(boards)))
        missed = 0 if hits else missed + block
        block = min(2 * block, _BLOCK[1])
    raise NoLayoutError(_none(spec, missed))


class SampledLayouts(NamedTuple):
    """Boards from several random generators, solved."""

    boards: SolvedBatch
    owner: list[int]
    """Per board, the index of its random generator."""


def sample_blocks(
    spec: LayoutSpec, rngs: Sequence[np.random.Generator], block: int = _BLOCK[0]
) -> Iterator[SampledLayouts]:
    """For each generator, the boards that meet `spec` in its first block with any.

    With the default size of the first block, a generator's first board is the one that
    `draw_layouts` would give. Raises NoLayoutError when `CANDIDATES` in a row, over all
    generators, do not meet `spec`.
    """
    task, waiting, missed = get_task(spec.task), list(range(len(rngs))), 0
    while waiting:
        if missed >= CANDIDATES:
            raise NoLayoutError(_none(spec, missed))
        hit: set[int] = set()
        width = max(1, _CELLS // (block * spec.level**2))
        for some in (waiting[i : i + width] for i in range(0, len(waiting), width)):
            sampled = [task.sample_numbers(spec.level, block, rngs[i]) for i in some]
            numbers = tuple(np.concatenate(parts) for parts in zip(*sampled, strict=True))
            boards = solve_batch(task.build(spec.level, numbers, **spec.build_arguments()))
            rows = np.flatnonzero(meets(boards, spec))
            owner = [some[row // block] for row in rows.tolist()]
            hit.update(owner)
            yield SampledLayouts(boards[rows], owner)
        missed = 0 if hit else missed + block * len(waiting)
        waiting = [i for i in waiting if i not in hit]
        block = min(2 * block, _BLOCK[1])


def _none(spec: LayoutSpec, missed: int) -> str:
    return (
        f"no {spec} among {missed} candidates; ask for a larger level, a shorter plan or another "
        "split"
    )


def passing(boards: LayoutBatch, spec: LayoutSpec) -> Iterator[LayoutBatch]:
    """The boards that are solvable and meet `spec`, in several batches."""
    width = max(1, _CELLS // spec.level**2)
    for first in range(0, len(boards), width):
        some = boards[first : first + width]
        yield some[meets(solve_batch(some), spec)]


def meets(solved: SolvedBatch, spec: LayoutSpec) -> Bool:
    """Which boards are solvable and meet `spec`."""
    low, high = spec.plan_lengths()
    length = solved.plan_lengths()
    good = (length >= low) & (length <= high)
    if spec.min_distance:
        goal = get_task(spec.task).landmarks.index("goal")
        start, end = (np.divmod(solved.boards.cells[:, each], spec.level) for each in (0, goal))
        good &= abs(start[0] - end[0]) + abs(start[1] - end[1]) >= spec.min_distance
    if spec.split is None and not spec.exclude:
        return good
    for row, each in zip(np.flatnonzero(good), canonical_ids(solved.boards[good]), strict=True):
        good[row] = spec.split in (None, split_of_id(each)) and each not in spec.exclude
    return good


def draw_distinct(spec: LayoutSpec, count: int, seed: int) -> list[Layout]:
    """`count` different layouts that meet `spec`; the first n are the same for every count.

    Raises NoLayoutError if the space seems to hold fewer.
    """
    found: dict[Layout, None] = {}
    repeats = 0
    for layout in draw_layouts(spec, np.random.default_rng(seed)):
        if len(found) >= count:
            return list(found)
        repeats = repeats + 1 if layout in found else 0
        found[layout] = None
        # If one of n + 1 equally likely layouts were still missing, 20 n samples would all miss it
        # with a probability of e^-20.
        if repeats > 20 * (10 + len(found)):
            break
    raise NoLayoutError(
        f"asked for {count} different {spec.task} layouts of level {spec.level} with "
        f"split={spec.split!r}, but there seem to be only {len(found)}; ask for fewer"
    )
