"""Episodes as images: the board, the model's path on it, and its reply."""

from __future__ import annotations

import base64
import io
import math
from collections import Counter
from collections.abc import Collection, Sequence
from itertools import chain, zip_longest
from typing import NamedTuple

from PIL import Image

from evaluation.perceived import facts_of, is_right
from evaluation.rates import Key, Record, key_of
from vsp_envs import Action, Cell, Layout, Outcome, load_layout, render
from vsp_envs.core.grid import STEPS
from vsp_envs.core.simulator import state_cell
from vsp_envs.core.solver import solve_layout
from vsp_envs.scoring.answer_format import SplitReply, action_name, split_reply
from vsp_envs.scoring.perception import Fact
from vsp_envs.utils.words import counted

BOARD_PIXELS = 192
FAILURES, SUCCESSES = 18, 6
"""Most failures and successes in a gallery."""
MOST_SHOWN = 8000
"""Characters of a reply before, in and after its answer that a page shows."""
MOST_DRAWN = 1000
"""Actions of a plan that are drawn."""
_STUB = 0.45  # how far, in cells, a refused move is drawn
_SPREAD = 0.08  # how far, in cells, the way back is drawn beside the way out
_ACT_SPREAD = 0.3  # and a DROP beside the PICK of the same cell


class Stroke(NamedTuple):
    """One action on the image, in cells from the top left."""

    kind: str
    """`move`, `refused` (an illegal move), `fall` (the move that failed), or for PICK and DROP
    `act` and `refused_act`."""
    x: float
    y: float
    end_x: float
    end_y: float
    label: str

    @property
    def middle(self) -> tuple[float, float]:
        """Where the arrow's head is drawn."""
        return (self.x + self.end_x) / 2, (self.y + self.end_y) / 2

    @property
    def angle(self) -> float:
        """Direction of the arrow in degrees, clockwise from the right."""
        return math.degrees(math.atan2(self.end_y - self.y, self.end_x - self.x))


class Board(NamedTuple):
    """One episode of a gallery."""

    record: Record
    right: bool
    verdict: str
    picture: str
    """The board as a data URI."""
    strokes: list[Stroke]
    plan: str
    reply: SplitReply
    """Shortened, with the answer block that was read in the middle."""
    misread: list[Fact]
    """What the reply states wrongly about the board."""


def gallery(
    records: Sequence[Record], goal: str = "plan", solved: Collection[Key] = ()
) -> list[Board]:
    """Failures first, then a few successes, both spread over tasks and levels.

    The most telling failures come first: boards that another run has `solved`, answers that could
    be read, and boards with short plans.
    """
    right = [is_right(record, goal) for record in records]
    failures = [record for record, fine in zip(records, right, strict=True) if not fine]
    successes = [record for record, fine in zip(records, right, strict=True) if fine]
    failures.sort(
        key=lambda each: (
            key_of(each) not in solved,
            bool(each["error"]),
            each["status"] != "ok",
            each["optimal_length"],
        )
    )
    chosen = [*_spread(failures)[:FAILURES], *_spread(successes)[:SUCCESSES]]
    return [board(record, goal) for record in chosen]


def board(record: Record, goal: str = "plan") -> Board:
    """One episode as the page shows it."""
    layout = load_layout(record["task"], record["layout"], record["level"])
    facts = facts_of(record)
    wrong = [fact for fact in facts if not fact.right and (goal == "perceive" or fact.said)]
    plan = [Action[name] for name in record["plan"]]
    return Board(
        record=record,
        right=is_right(record, goal),
        verdict=verdict(record, wrong, goal),
        picture=picture(layout, record["image"].get("theme", "classic")),
        strokes=strokes(layout, record["states"][: MOST_DRAWN + 1], plan) if goal == "plan" else [],
        plan=shortened(" ".join(map(action_name, plan))),
        reply=SplitReply(*map(shortened, split_reply(record["reply"]))),
        misread=[fact._replace(said=fact.said and shortened(fact.said)) for fact in wrong],
    )


def verdict(record: Record, wrong: Sequence[Fact], goal: str) -> str:
    """How the episode ended, in a few words."""
    if record["error"]:
        return "no reply"
    if goal == "perceive":
        return f"{len(wrong)} wrong" if wrong else "all right"
    if record["status"] != "ok":
        return f"answer {record['status']}"
    steps = f"{counted(record['steps'], 'step')}, shortest {record['optimal_length']}"
    if record["success"]:
        return "optimal" if record["optimal"] else f"success: {steps}"
    if record["outcome"] == "success":
        return f"not shortest: {steps}"
    why = record["reason"].replace("_", " ")
    return f"failed: {why}" if record["outcome"] != "running" else f"unfinished: {why or steps}"


def picture(layout: Layout, theme: str) -> str:
    """The board before the first move as a PNG data URI, in cells of whole pixels."""
    pixels = layout.level * max(1, round(BOARD_PIXELS / layout.level))
    file = io.BytesIO()
    Image.fromarray(render(layout, pixels, theme)).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def strokes(layout: Layout, states: Sequence[int], plan: Sequence[Action]) -> list[Stroke]:
    """The strokes of the actions that were played; `states` holds one state more than actions."""
    solved, trail = solve_layout(layout), []
    passed: Counter[frozenset[Cell]] = Counter()
    for state, after, action in zip(states, states[1:], plan, strict=False):
        cell, target = state_cell(layout, state), state_cell(layout, after)
        times = passed[frozenset((cell, target))]
        passed[frozenset((cell, target))] += cell != target or action > Action.UP
        outcome = Outcome(solved.outcome[state][action])
        trail.append(_stroke(cell, target, action, outcome, times))
    return list(dict.fromkeys(trail))  # running into the same wall again looks the same


def _stroke(cell: Cell, target: Cell, action: Action, outcome: Outcome, times: int) -> Stroke:
    x, y, label = cell.col + 0.5, cell.row + 0.5, action_name(action)
    refused = outcome is Outcome.ILLEGAL
    if action > Action.UP:
        x += _ACT_SPREAD * (times % 2)
        return Stroke("refused_act" if refused else "act", x, y, x, y, label)
    if refused:
        down, right = STEPS[action]
        return Stroke("refused", x, y, x + _STUB * right, y + _STUB * down, label)
    kind = "fall" if outcome is Outcome.FAILURE else "move"
    aside = _SPREAD * (times % 4)
    end_x, end_y = target.col + 0.5 + aside, target.row + 0.5 + aside
    return Stroke(kind, x + aside, y + aside, end_x, end_y, label)


def shortened(text: str) -> str:
    """Long text without its middle, so that a page of long replies stays readable."""
    half = MOST_SHOWN // 2
    return text if len(text) <= MOST_SHOWN else f"{text[:half]} … {text[-half:]}"


def _spread(records: Sequence[Record]) -> list[Record]:
    groups: dict[tuple[str, int], list[Record]] = {}
    for record in records:
        groups.setdefault((record["task"], record["level"]), []).append(record)
    return [each for each in chain(*zip_longest(*groups.values())) if each is not None]
