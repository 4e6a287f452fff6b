"""A referee who knows the tasks from their rule books alone: slow, plain, one action at a time.

Nothing of vsp_envs is used here but the data of a layout, so that what the tables, the solver and
the environments say can be held against it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any, NamedTuple

KNOWS = ("frozenlake", "maze", "minibehaviour")
"""The tasks whose rule books the referee knows."""
LEFT, DOWN, RIGHT, UP, PICK, DROP = range(6)
CHANGE = {LEFT: (0, -1), DOWN: (1, 0), RIGHT: (0, 1), UP: (-1, 0)}
WALL = {LEFT: 4, DOWN: 2, RIGHT: 8, UP: 1}
MOVED, WON, LOST, REFUSED = "moved", "won", "lost", "refused"


class Stand(NamedTuple):
    """Where play stands."""

    row: int
    col: int
    carrying: bool = False


class Ruling(NamedTuple):
    """What an action comes to."""

    what: str
    """`moved`, `won`, `lost` or `refused`."""
    stand: Stand
    """Where play stands afterwards."""
    why: str = ""
    """Why it was refused or lost."""


class Verdict(NamedTuple):
    """What a whole plan comes to under a rule set."""

    success: bool
    what: str
    """The last ruling that counts; `moved` if the plan stopped short."""
    rulings: list[Ruling]
    """One for each action until the end."""


class Referee:
    """Rules on one board."""

    def __init__(self, task: str, data: dict[str, Any]) -> None:
        """`data` as `load_layout` takes it; a room's holds its `level`."""
        self.task, self.data = task, data
        self.side: int = data.get("level") or len(data.get("map") or data["walls"])
        self.actions = range(6 if task == "minibehaviour" else 4)
        if task == "frozenlake":
            cells = product(range(self.side), repeat=2)
            self.start = next(Stand(r, c) for r, c in cells if data["map"][r][c] == "S")
        else:
            self.start = Stand(*data["start"])

    def rule(self, stand: Stand, action: int) -> Ruling:
        """What one action comes to; a refused one leaves everything as it is."""
        what, why = getattr(self, self.task)(stand, action)
        if what == REFUSED:
            return Ruling(what, stand, why)
        if action == PICK:
            return Ruling(what, stand._replace(carrying=True))
        if action == DROP:
            return Ruling(what, stand._replace(carrying=False))
        row, col = self.target(stand, action)
        return Ruling(what, Stand(row, col, stand.carrying), why)

    def target(self, stand: Stand, action: int) -> list[int]:
        """The cell that a move leads to; none where that is off the board."""
        row, col = stand.row + CHANGE[action][0], stand.col + CHANGE[action][1]
        return [row, col] if 0 <= row < self.side and 0 <= col < self.side else []

    def frozenlake(self, stand: Stand, action: int) -> tuple[str, str]:
        """Reach the goal; entering a hole fails; leaving the grid is illegal."""
        target = self.target(stand, action)
        if not target:
            return REFUSED, "off_grid"
        letter = self.data["map"][target[0]][target[1]]
        return {"H": (LOST, "hole"), "G": (WON, "")}.get(letter, (MOVED, ""))

    def maze(self, stand: Stand, action: int) -> tuple[str, str]:
        """Reach the goal; crossing a wall is illegal."""
        if self.data["walls"][stand.row][stand.col] & WALL[action]:
            return REFUSED, "wall"
        return (WON if self.target(stand, action) == self.data["goal"] else MOVED), ""

    def minibehaviour(self, stand: Stand, action: int) -> tuple[str, str]:
        """Pick the printer up from beside it, drop it on the table from beside that.

        The table is never entered, nor is the printer's cell before it is picked up.
        """
        printer, table = self.data["printer"], self.data["table"]
        beside = [self.target(stand, move) for move in CHANGE]
        if action == PICK and stand.carrying:
            return REFUSED, "already_carrying"
        if action == PICK:
            return (MOVED, "") if printer in beside else (REFUSED, "not_beside_printer")
        if action == DROP and not stand.carrying:
            return REFUSED, "empty_handed"
        if action == DROP:
            at_table = any(cell in table for cell in beside)
            return (WON, "") if at_table else (REFUSED, "not_beside_table")
        target = self.target(stand, action)
        if not target:
            return REFUSED, "off_grid"
        if target in table:
            return REFUSED, "table"
        if target == printer and not stand.carrying:
            return REFUSED, "printer"
        return MOVED, ""

    def goes_on(self, ruling: Ruling, rules: str) -> bool:
        """Whether play goes on after a ruling under a rule set."""
        if ruling.what != REFUSED:
            return ruling.what == MOVED
        if rules == "env":
            return True
        if rules == "mgsd-train":
            return self.task == "frozenlake"
        assert rules in ("mgsd-eval", "visualplanning")
        return False

    def judge(self, plan: Iterable[int], rules: str) -> Verdict:
        """Rule on a plan action by action until one ends it."""
        stand, rulings = self.start, []
        for action in plan:
            rulings.append(self.rule(stand, action))
            stand = rulings[-1].stand
            if not self.goes_on(rulings[-1], rules):
                break
        what = MOVED if not rulings or self.goes_on(rulings[-1], rules) else rulings[-1].what
        success = what == WON
        if rules == "visualplanning" and success:
            success = len(rulings) == self.search().distance[self.start]
        return Verdict(success, what, rulings)

    def describe(self, stand: Stand, won: bool = False) -> dict[str, Any]:
        """The symbolic observation without padding; `won` is whether play stands there as won."""
        data, side = self.data, self.side
        seen = {"level": side, "agent": [stand.row, stand.col]}
        if self.task == "maze":
            return seen | {"walls": data["walls"], "goal": data["goal"]}
        if self.task == "frozenlake":
            grid = [["_FHGS".index(letter) for letter in row] for row in data["map"]]
            goal = next([r, c] for r, row in enumerate(grid) for c in range(side) if row[c] == 3)
            return seen | {"grid": grid, "goal": goal}
        grid = [[1 + ([r, c] in data["table"]) for c in range(side)] for r in range(side)]
        row, col = printer = data["printer"]
        if won:  # it lies on the first table cell beside the agent, in the order of the actions
            beside = [self.target(stand, move) for move in CHANGE]
            printer = next(cell for cell in beside if cell in data["table"])
        elif stand.carrying:
            printer = [-1, -1]
        else:
            grid[row][col] = 3
        table = min(data["table"])
        return seen | {"grid": grid, "printer": printer, "table": table,
                       "carrying": int(stand.carrying)}  # fmt: skip

    def search(self) -> Search:
        """Forward to every stand, then backward from success, one action at a time."""
        leads: dict[Stand, list[Ruling]] = {}
        stands = [self.start]
        for stand in stands:
            if stand not in leads:
                leads[stand] = [self.rule(stand, action) for action in self.actions]
                stands += [ruling.stand for ruling in leads[stand] if ruling.what == MOVED]
        distance: dict[Stand, int] = {}
        for length in range(1, len(leads) + 1):
            ready = [stand for stand in leads if stand not in distance]
            found = [stand for stand in ready if _leads(leads[stand], distance, length)]
            distance |= dict.fromkeys(found, length)
            if not found:
                break
        return Search(leads, distance)

    def first_moves(self, search: Search, stand: Stand) -> list[int]:
        """With what the shortest plans from a stand begin."""
        if stand not in search.distance:
            return []
        rulings, length = search.leads[stand], search.distance[stand]
        return [a for a in self.actions if _leads([rulings[a]], search.distance, length)]


class Search(NamedTuple):
    """What breadth-first search finds."""

    leads: dict[Stand, list[Ruling]]
    """Every stand of play, with what each action comes to there."""
    distance: dict[Stand, int]
    """Fewest actions to success; absent where there is no way."""


def _leads(rulings: Sequence[Ruling], distance: dict[Stand, int], length: int) -> bool:
    """Whether one of these actions begins a plan of that length."""
    for what, stand, _ in rulings:
        if what == WON and length == 1:
            return True
        if what == MOVED and distance.get(stand) == length - 1:
            return True
    return False
