"""Readers of answers by name: `strict`, `tolerant`, and `mgsd`, which reads as the reference does.

All take the last complete answer block. They differ in what a block may hold, and in whether a
reply without a block is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from html.entities import html5
from itertools import pairwise
from typing import Literal

from vsp_envs.core.layout import MOVES, Action
from vsp_envs.core.task import Task, get_task
from vsp_envs.scoring.answer_format import (
    ARROWS,
    CLOSE,
    LOWER,
    OPEN,
    SHOWN,
    UPPER,
    Parsed,
    ParseStatus,
    action_name,
    find_answer,
    parsed_tokens,
    read_strict,
)
from vsp_envs.utils.choices import pick_name

ReaderName = Literal["strict", "tolerant", "mgsd"]


def parse_plan(
    reply: str | None, task: str, untagged: bool = False, reader: str = "strict"
) -> Parsed:
    """Read a model's reply. Never raises for any text, nor for None, as endpoints say nothing.

    `reader` is one of `READERS`. `strict` reads an answer block alone, unless `untagged` has it
    read a reply without one as a whole; the others read such replies anyway. Raises ValueError for
    an unknown task or reader.
    """
    reply, known = reply or "", get_task(task)
    read = READERS[pick_name("reader", reader, READERS)]
    if untagged and read is strict and find_answer(reply) is None:
        return read_strict(reply, known)
    return read(reply, known)


def strict(reply: str, task: Task) -> Parsed:
    """What the instruction asks for, see `read_strict`; without a block the answer is missing."""
    answer = find_answer(reply)
    return Parsed(ParseStatus.MISSING, [], "") if answer is None else read_strict(answer, task)


# tolerant

SAME = {
    **{code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)},  # full-width letters and signs
    **{ord(mark): "," for mark in "、،"},
    **{ord(mark): "[" for mark in "「『【《〈"},
    **{ord(mark): "]" for mark in "」』】》〉"},
    **{ord(mark): '"' for mark in "“”„«»"},
    **{ord(mark): "'" for mark in "‘’"},
    **{ord(mark): "-" for mark in "‐‑‒–—−"},
    **{ord(mark): "*" for mark in "•·●▪◦・"},
    **{ord(like): "→" for like in "⇒➡⟶⟹⮕➔➜➝➞"},
    **{ord(like): arrow for like, arrow in zip("⇐⬅⟵⇓⬇⇑⬆", "←←←↓↓↑↑", strict=True)},
    **dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\ufe0e\ufe0f"), ""),
    **{ord("。"): ".", ord("؛"): ";", ord("›"): ">", 0x3000: " "},
}
"""Characters that are another's equal: one for each of a kind."""
_ENTITY = re.compile(r"&[A-Za-z]{2,6};")
_TEX_TEXT = re.compile(r"\\(?:TEXT|MATH)(?:BF|IT|RM|SF|TT)?\{([^{}]*)\}")
_MARKUP = re.compile(
    r"\\BOXED(?![A-Z])|\\[][(){},;:!]"
    r"|```(?:JSON|TE?XT|PLAINTEXT|PYTHON|MARKDOWN|MD|BASH|YAML|XML|HTML|CSS|CSV|LATEX)(?=\s)"
)
_TEX_ARROW = re.compile(r"\\(?:LONG)?(TO|RIGHTARROW|LEFTARROW|UPARROW|DOWNARROW)(?![A-Z])")
_ARROW_OF = {"T": "→", "R": "→", "L": "←", "U": "↑", "D": "↓"}
_LANGUAGE = re.compile(r"```[DR]\s")
"""The name of a language, or a move."""
_LABEL = re.compile(
    r"(?<![^\W_])(?P<label>ANSWER|PLAN|ACTIONS?|MOVES?|STEPS|PATH|ROUTE|SOLUTION|SEQUENCE"
    r"|DIRECTIONS)\b"
    r"(?: IS(?![A-Z])|[\"'*_`]{0,4} ?(?=\n)|(?: IS)?[\"'*_`]{0,4} ?[:=](?!>))[\"'*_`:]{0,4}"
)
_BEFORE_LABEL = (
    r"[\s*_`\"'{#>-]*(?:(?:THE|MY|A|FINAL|ACTION|MOVE|SHORTEST|OPTIMAL|BEST|COMPLETE|FULL|CORRECT"
    r"|SEQUENCE OF|SO|THUS|HENCE|THEREFORE|AND|NOW|FINALLY|HERE|HERE'S|THIS|IS)[\s,*_`]+)*"
)
_HEAD = re.compile(_BEFORE_LABEL + _LABEL.pattern)
_LEAD = re.compile(rf"[\n,.!?:;]{_BEFORE_LABEL}\Z")
_LEAD_LENGTH = 80
"""Characters before a label that are searched for the start of its sentence."""
_NUMBER = r"(?:(?:STEP|ACTION|TURN)\ ?\d{1,4}(?!\d)[.):]?|\(?\d{1,4}[.):])(?!\d)"
_FILLER = "THEN|AND|NEXT|FIRST|FINALLY|MOVE|GO"
_PART = rf"[],;|/\n\t!\"'`*$)}}>→+&._-]|=>|\b(?:{_FILLER})\b"
_PICK_UP = re.compile(rf"PICK(?:[^\S\n\t]+|[_-])UP(?=[^\S\n\t]*(?:{_PART}|{_NUMBER}|\Z))")
_PARTS = re.compile(rf"\[|{_PART}|(?<![\w.]){_NUMBER}")
_TWO_WORDS = re.compile(r"PICK\s+UP(?![A-Z])")
_TOKEN = re.compile(
    rf"""
    (?P<filler>(?<![A-Z])(?:{_FILLER})(?![A-Z]))
    |(?P<number>(?<![\w.]){_NUMBER})
    |(?P<action>PICK[_-]?UP(?!ICK|UT|WARD)|PUT[ _-]?DOWN(?!WARD)|(?:LEFT|RIGHT|UP|DOWN)WARDS?
        |LEFT|DOWN|RIGHT|UP(?!ICK|UT)|PICK|DROP|[LDRU←↓→↑])
    |(?P<open>[\[({{]|<(?![-=]))
    |(?P<arrow>[-=]{{1,3}}>)
    |(?P<part>\.(?!\.)|[],;|/\n!"'`*$)}}>+&])
    |(?P<space>[\s_-])
    |(?P<bad>.)
    """,
    re.DOTALL | re.VERBOSE,
)
_NUMBERS = re.compile(r"\d[\d\s,;|/>→\"'`*=-]*")
_THINK, _BOXED = "</think>", "\\boxed"


def tolerant(reply: str, task: Task) -> Parsed:
    """Whatever has one meaning: lists, numbering, punctuation, markdown, `\\boxed{}`, arrows, the
    numbers of the actions. What has two meanings, or holds any other word, is malformed.

    A block in a thought is not the answer to a reply that goes on after it. Without a block, what a
    last `\\boxed{}` holds is read, or what follows a last `Answer:` or `The plan is`, or a reply
    that is a plan and nothing else.
    """
    # A thought that ends the reply is all there is to read.
    answer = find_answer(after_thought(reply, len(reply.rstrip()) - 1))
    if answer is not None:
        return _read_tolerant(answer, task)
    found = _read_tolerant(_untagged(reply), task)
    if found.status is ParseStatus.OK:
        return found
    return Parsed(ParseStatus.MISSING, [], "")


def after_thought(reply: str, end: int | None = None) -> str:
    """What follows the last `</think>` in `reply[:end]`; without one the reply."""
    thought = reply.translate(LOWER).rfind(_THINK, 0, end)
    return reply[thought + len(_THINK) :] if thought >= 0 else reply


def _untagged(reply: str) -> str:
    """What to read of a reply without a block."""
    reply = after_thought(reply)
    boxed = reply.rfind(_BOXED)
    if boxed >= 0:
        return reply[boxed : _closing(reply, boxed)]
    upper = reply.translate(UPPER)
    # Of "Legal moves: U" and "not the answer: U" no one says that it is the answer.
    starts = [label.start() for label in _LABEL.finditer(upper)]
    start = next((start for start in reversed(starts) if _introduces(upper, start)), 0)
    return reply[start:]


def _introduces(text: str, start: int) -> bool:
    """Whether a label has nothing before it in its sentence but words such as "so the final"."""
    before = text[max(0, start - _LEAD_LENGTH) : start]
    return _LEAD.search(before if start > _LEAD_LENGTH else f"\n{before}") is not None


def _closing(text: str, start: int) -> int:
    """Where the first brace after `start` is closed; the end of the text if nowhere."""
    depth = 0
    for brace in re.finditer("[{}]", text[start:]):
        depth += 1 if brace[0] == "{" else -1
        if depth <= 0:
            return start + brace.end()
    return len(text)


def _read_tolerant(answer: str, task: Task) -> Parsed:
    shown, text = (
        answer[:SHOWN],
        _ENTITY.sub(lambda found: html5.get(found[0][1:], found[0]), answer),
    )
    text = _TEX_TEXT.sub(r"\1", text.translate(SAME).translate(UPPER))
    text = _MARKUP.sub("", text)
    text = _TEX_ARROW.sub(lambda found: _ARROW_OF[found[1][0]], text)
    head = _HEAD.match(text)
    text = text[head.end() :] if head else text
    counted = head is not None and head["label"] not in ("ANSWER", "ACTION", "MOVE")
    tokens = _digits(text, task, counted) or _words(text)
    if tokens is None or (not tokens and answer.strip(" \t\r\n,-")):
        return Parsed(ParseStatus.MALFORMED, [], shown)
    return parsed_tokens(tokens, task, shown)


def _digits(text: str, task: Task, counted: bool) -> list[str] | None:
    """Spellings of a plan in the actions' numbers; None if it is none.

    `counted`: one number alone may be how many actions there are, as in `Moves: 3`.
    """
    edge = " \t\r\n\"'`*$[]{}"
    text = text.strip(edge).removesuffix(".").strip(edge)
    cell = text.startswith("(") and text.endswith(")")
    text = text[1:-1] if cell else text
    if not _NUMBERS.fullmatch(text):
        return None
    runs = re.findall(r"\d+", text)
    if (len(runs) > 1 and max(map(len, runs)) > 1) or (len(runs) == 1 and counted):
        return None
    numbers = [int(digit) for run in runs for digit in run]
    if max(numbers) >= len(task.actions) or (cell and len(numbers) < 3):
        return None
    return [action_name(Action(number)) for number in numbers]


def _words(text: str) -> list[str] | None:
    """Spellings of actions as they come; None if there is anything else, or two meanings."""
    text = text.strip()
    if _PARTS.search(text) or _TWO_WORDS.fullmatch(text):
        text = _PICK_UP.sub("PICKUP", text)
    if _TWO_WORDS.search(text) and re.search(r"PUT\s+DOWN", text):
        return None  # who writes "put down" may mean one action by "pick up"
    if _LANGUAGE.search(text):
        return None
    tokens: list[str] = []
    numbers: dict[int, int] = {}
    strokes: list[int] = []
    after_action = after_arrow = False
    pointed = any(arrow in text for arrow in ARROWS)
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        if kind == "bad" or (kind == "open" and after_action):
            return None  # "Right (R)" says one thing twice
        if kind == "arrow" and (after_arrow or not tokens or pointed):
            return None  # "-> -> D" and "→ R -> D" may have moves in them
        if kind == "action":
            tokens.append(re.sub(r"[\s_-]|WARDS?$", "", match[0]))
        if kind == "number" and numbers.setdefault(len(tokens), _int(match[0])) != _int(match[0]):
            return None
        if match[0] in "/|":
            strokes.append(len(tokens))
        if kind in ("action", "arrow"):
            after_arrow = kind == "arrow"
        if kind != "space":
            after_action = kind == "action"
    edges = sorted({0, *strokes, len(tokens)})
    if len(edges) > 2 and any(end - start > 1 for start, end in pairwise(edges)):
        return None  # "R, D / D, R" and "RD | DR" may be one or the other
    return tokens if not after_arrow and _counts_up(numbers, len(tokens)) else None


def _int(text: str) -> int:
    return int(re.sub(r"\D", "", text))


def _counts_up(numbers: Mapping[int, int], actions: int) -> bool:
    """Whether numbers, by how many actions are before each, number the items of a list."""
    if not numbers:
        return True
    places, counted = list(numbers), list(numbers.values())
    upward = counted == list(range(counted[0], counted[0] + len(counted)))
    return upward and counted[0] in (0, 1) and places[0] == 0 and places[-1] < actions


# mgsd

_MGSD_WORDS = {
    Action.LEFT: ("L", "0", "LEFT", "LEFTWARD", "LEFTWARDS"),
    Action.DOWN: ("D", "1", "DOWN", "DOWNWARD", "DOWNWARDS"),
    Action.RIGHT: ("R", "2", "RIGHT", "RIGHTWARD", "RIGHTWARDS"),
    Action.UP: ("U", "3", "UP", "UPWARD", "UPWARDS"),
    Action.PICK: ("4", "PICK", "PICKUP", "PICK-UP", "GRAB"),
    Action.DROP: ("5", "DROP", "PLACE"),
}
"""What the reference takes for each action; see `tests/data/golden/README.md`."""
_MGSD_ACTION = {word: action for action, words in _MGSD_WORDS.items() for word in words}
# Longest first, so that PICK does not end PICK-UP.
_MGSD_TOKEN = re.compile(rf"\b(?:{'|'.join(sorted(_MGSD_ACTION, key=len, reverse=True))})\b")
_MGSD_LETTERS = {word for action in MOVES for word in _MGSD_WORDS[action] if len(word) == 1}
_MGSD_BETWEEN = str.maketrans("", "", " \t\r\n\f\v,;|/>-")


def mgsd(reply: str, task: Task) -> Parsed:
    """What MGSD's checkpoint evaluation reads (arXiv 2606.06076).

    Every word, letter or digit that names an action counts, wherever it stands and whatever is
    around it; all else is passed over. The text is the last block, or without one all of the
    reply. On boards whose actions are moves alone, a text of nothing but letters and digits may run
    together.
    """
    answer = _last_block(reply)
    text = (reply if answer is None else answer).strip()
    shown, upper = text[:SHOWN], text.translate(UPPER)
    moves_only = Action.PICK not in task.actions
    run = upper.translate(_MGSD_BETWEEN)
    words = list(run) if moves_only and set(run) <= _MGSD_LETTERS else _MGSD_TOKEN.findall(upper)
    plan = [action for action in map(_MGSD_ACTION.get, words) if action in task.actions]
    if plan:
        return Parsed(ParseStatus.OK, plan, shown)
    if answer is None:
        return Parsed(ParseStatus.MISSING, [], "")
    return Parsed(ParseStatus.MALFORMED if text else ParseStatus.EMPTY, [], shown)


def _last_block(reply: str) -> str | None:
    """The text from the first opening tag after the last block but one to the next closing tag.

    `find_answer` has an opening tag inside a block start it anew; here it is part of the block.
    """
    text, last, end = reply.translate(LOWER), None, 0
    while (start := text.find(OPEN, end)) >= 0 and (end := text.find(CLOSE, start)) >= 0:
        last = reply[start + len(OPEN) : end]
    return last


READERS: Mapping[str, Callable[[str, Task], Parsed]] = {
    "strict": strict,
    "tolerant": tolerant,
    "mgsd": mgsd,
}
"""Name → a reader of whole replies."""
