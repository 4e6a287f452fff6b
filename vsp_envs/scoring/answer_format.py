"""The answer format: the sentence that asks for it, its writer and its strict reader.

`answer_readers` has the readers by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from vsp_envs.core.layout import Action, Cell
from vsp_envs.core.task import Task, get_task


class ParseStatus(StrEnum):
    """How an answer was read. Only OK carries a plan."""

    OK = "ok"
    MISSING = "missing"
    """No complete answer block."""
    EMPTY = "empty"
    """A block with nothing in it."""
    MALFORMED = "malformed"
    """A block with anything that is not an action of the task."""


class Parsed(NamedTuple):
    """A reply, read."""

    status: ParseStatus
    plan: list[Action]
    answer: str
    """The text that was read, as the model wrote it; shortened to 200 characters."""


_NAME = {Action.LEFT: "L", Action.DOWN: "D", Action.RIGHT: "R", Action.UP: "U"}
ACTION_OF = {
    **{"L": Action.LEFT, "LEFT": Action.LEFT, "←": Action.LEFT},
    **{"D": Action.DOWN, "DOWN": Action.DOWN, "↓": Action.DOWN},
    **{"R": Action.RIGHT, "RIGHT": Action.RIGHT, "→": Action.RIGHT},
    **{"U": Action.UP, "UP": Action.UP, "↑": Action.UP},
    **{"PICK": Action.PICK, "PICKUP": Action.PICK, "DROP": Action.DROP, "PUTDOWN": Action.DROP},
}
# A word that could swallow the head of the next one looks ahead: "UPICK" is U, PICK.
_SCAN = re.compile(
    r"(?P<action>PICK[_-]?UP(?!ICK|UT)|PUT[ _-]?DOWN|LEFT|DOWN|RIGHT|UP(?!ICK|UT)|PICK|DROP"
    r"|[LDRU←↓→↑])|(?P<gap>[\s,-]+)|(?P<bad>.)",
    re.DOTALL,
)
# "pick up" with a space is one action only between commas or arrows; in "PICK UP UP DROP" it is
# two.
_PICK_UP = re.compile(r"PICK +UP(?=\s*(?:[,→]|\Z))")
# ASCII alone: str.upper() turns look-alikes such as a dotless ı into real letters.
UPPER = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}
LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
ARROWS = "←↓→↑"
SHOWN = 200
"""Characters of an answer that `Parsed` keeps."""
OPEN, CLOSE = "<answer>", "</answer>"


def action_name(action: Action) -> str:
    """The action as answers write it: L, D, R, U, PICK, DROP."""
    return _NAME.get(action, action.name)


def _compact(task: Task) -> bool:
    return Action.PICK not in task.actions


def format_answer(plan: Sequence[Action], task: str) -> str:
    """The answer block of a plan: `<answer>RRDD</answer>`."""
    return f"{OPEN}{format_plan(plan, task)}{CLOSE}"


def format_plan(plan: Sequence[Action], task: str) -> str:
    """A plan as it stands in an answer: `RRDD`, with commas where actions are words."""
    return ("" if _compact(get_task(task)) else ",").join(map(action_name, plan))


def format_instruction(task: str) -> str:
    """The sentence of a prompt that asks for the answer block."""
    actions = get_task(task).actions
    names = ", ".join(f"{action_name(action)} ({action.name.lower()})" for action in actions[:4])
    if _compact(get_task(task)):
        return f"End with {OPEN}…{CLOSE} holding the moves as letters: {names}."
    words = ", ".join(action_name(action) for action in actions[4:])
    return f"End with {OPEN}…{CLOSE} holding the actions, separated by commas: {names}, {words}."


def find_answer(reply: str) -> str | None:
    """The text in the last complete answer block, or None. Tags in any case; linear time.

    An opening tag inside a block starts a new block; a closing tag after the block is not part of
    it.
    """
    block = split_reply(reply).block
    return block[len(OPEN) : -len(CLOSE)] if block else None


class SplitReply(NamedTuple):
    """A reply around its last complete answer block; without one all of it is `before`."""

    before: str
    block: str
    """With its tags."""
    after: str


def split_reply(reply: str) -> SplitReply:
    """The reply, split at the block that `find_answer` reads."""
    text = reply.translate(LOWER)
    end = text.rfind(CLOSE)
    start = text.rfind(OPEN, 0, end) if end >= 0 else -1
    if start < 0:
        return SplitReply(reply, "", "")
    stop = text.find(CLOSE, start) + len(CLOSE)
    return SplitReply(reply[:start], reply[start:stop], reply[stop:])


def read_strict(answer: str, task: Task) -> Parsed:
    """Read the text of an answer block: letters, words, arrows and `PICK_UP` in any case, with
    commas, spaces, hyphens or nothing between. Anything else makes it malformed."""
    shown, text = answer[:SHOWN], answer.translate(UPPER)
    if "," in text or "→" in text:
        text = _PICK_UP.sub("PICKUP", text)
    tokens: list[str] = []
    for match in _SCAN.finditer(text):
        if match["bad"]:
            return Parsed(ParseStatus.MALFORMED, [], shown)
        if match["action"]:
            tokens.append(re.sub("[ _-]", "", match["action"]))
    return parsed_tokens(tokens, task, shown)


def parsed_tokens(tokens: Sequence[str], task: Task, shown: str) -> Parsed:
    """Spellings of actions in order, as a plan of the task. `shown` is the text they are from."""
    plan = settle_arrows(tokens)
    if plan is None or not set(plan) <= set(task.actions):
        return Parsed(ParseStatus.MALFORMED, [], shown)
    return Parsed(ParseStatus.OK if plan else ParseStatus.EMPTY, plan, shown)


def settle_arrows(tokens: Sequence[str]) -> list[Action] | None:
    """The actions that spellings stand for: arrows between letters or words part them, arrows
    alone are moves. None for what could be either, or neither.

    Arrows part actions where each is a `→` between two of them: `D → R`. They are moves where no
    other move is written, as in `→ → PICK ↓ DROP`; `PICK → DROP` could be both.
    """
    words = [token for token in tokens if token not in ARROWS]
    if not words or len(words) == len(tokens):
        return [ACTION_OF[token] for token in tokens]
    between = all(
        token not in ARROWS or (token == "→" and at > 0 and tokens[at - 1] not in ARROWS)
        for at, token in enumerate(tokens)
    )
    parts = between and tokens[-1] not in ARROWS
    # `→ PICK → DROP` could be a list whose bullets are arrows.
    bullets = list(tokens[::2]) == ["→"] * len(words) and list(tokens[1::2]) == words
    moves = all(ACTION_OF[word] > Action.UP for word in words)
    if parts == moves or (moves and bullets):
        return None
    return [ACTION_OF[token] for token in (words if parts else tokens)]


def cells_text(cells: Iterable[Cell]) -> str:
    """`(0,1) (2,2)`, or `none`."""
    return " ".join(map(str, cells)) or "none"


def actions_text(actions: Sequence[Action]) -> str:
    """`LDR`, with spaces around words: `LD PICK`; `none` when empty."""
    letters = "".join(action_name(action) for action in actions if action <= Action.UP)
    words = [action_name(action) for action in actions if action > Action.UP]
    return " ".join([letters, *words] if letters else words) or "none"
