"""What a reply means to say about the board: statements in other words than the prompt asks for.

`perception` matches answers exactly. This reads what has one meaning beside it: `**size**: 3x3`,
`The player is at (0, 0).`, lists with commas or semicolons. Of several statements the last counts,
and none inside a `<think>` block.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from vsp_envs.scoring.answer_format import ParseStatus
from vsp_envs.scoring.answer_readers import SAME, after_thought, parse_plan

_MARKS = r"[ *_#>`\"'|{•-]{0,8}(?:\(?\d{1,3}[.)] {0,2})?[*_`\"' ]{0,4}"
_ABOUT = r"(?: of the (?:board|grid|map|maze|room))?"
_LINK = (
    rf"{_ABOUT}[*_`\"']{{0,4}}"
    r"(?: ?(?:positions?|locations?|coordinates?|cells?|tiles?|directions?))?"
    rf"{_ABOUT}(?: (?:is|are))?(?: (?:located|found))?(?: (?:at|in|on))?(?: cells?)?"
    r"[*_`\"']{0,4} ?(?:(?:[-=]?>|[:=|→])[*_`\"']{0,4}|[*_`\"']{0,4}(?![A-Za-z0-9]))"
)
_CELL = re.compile(
    r"[(\[] ?(\d{1,9}) ?, ?(\d{1,9}) ?[)\]]"
    r"|row[\"']?[ :=]{1,3}(\d{1,9}),? (?:and )?[\"']?col(?:umn)?[\"']?[ :=]{1,3}(\d{1,9})"
)
_BARE_CELL = re.compile(r"(\d{1,9}) ?, ?(\d{1,9})")
_UNSURE = re.compile(
    r"\b(?:not|no|or|except|either|maybe|perhaps|but|without)\b|n't|\?"
    r"|\b(?:after|before|if|when|would|could|might|goes|moves)\b"
    r"|\b(?:to|from|through|near|above|below|under|beside|(?:left|right) of) ?[(\[]"
    r"|[)\]]-[(\[]|[(\[] ?(?:\d{1,9} ?,? ?\d{0,9})?$"
)
"""Of a statement with one of these no one knows whether its cells are the answer."""
_OPEN_END = re.compile(r"\.\.|…|\betc\b", re.IGNORECASE)
_NONE = re.compile(
    r"(?:there (?:is|are) )?no(?:ne)?(?: (?:holes?|cells?|moves?|visible|found|present|at all))?"
    r"|empty|\[ ?(?:none|empty)? ?\]|-|0"
)
_SIZE_WORD = re.compile(
    "x|by|cells?|tiles?|squares?|long|wide|per|sides?|an?|on|each|grid|board|maze|room|rows|columns"
    "|and|is|are"
)
_SAID = re.compile(r"\w")
_SIDES = re.compile(r"\[([^\[\]]*)\]")
_ITEM = re.compile(
    r"[-*•\d.) ]{0,6}(?:[(\[]|[{\"' ]{0,4}row\b)|\d{1,3}(?: ?[x×] ?\d{1,3})?\.?$"
    r"|[-*•\d.) ]{1,6}(?:left|down|right|up|pick|drop|[ldru])\b",
    re.IGNORECASE,
)


def statements(reply: str, names: Sequence[str]) -> dict[str, list[str]]:
    """Name of a question → what the reply says to it, in order; see the head of this file.

    `hole 1: (1,1)` names one of the holes: all that are named so are one answer, if no `holes`
    are.
    """
    lines = after_thought(reply).translate(SAME).splitlines()
    found: dict[str, list[list[str]]] = {}
    single: dict[str, list[list[str]]] = {}
    below: list[str] | None = None  # a statement whose answer goes on in the list below it
    for line in (" ".join(line.split()) for line in lines):
        heads = list(_heads(tuple(names)).finditer(line))
        if not heads:
            if below is not None and (_ITEM.match(line) or (line and not _SAID.search(below[-1]))):
                below.append(line)
            elif line:
                below = None
            continue
        ends = [*(head.start() for head in heads[1:]), len(line)]
        for head, end in zip(heads, ends, strict=True):
            said, name = [(head["no"] or "") + line[head.end() : end]], _name(head, names)
            one = name.endswith("s") and not head[head.lastindex or 0].lower().endswith("s")
            (single if one else found).setdefault(name, []).append(said)
        below = said if re.search(r"(?:^|,)[ *_`\"'|\[{-]*$", said[0]) else None
    found = {
        name: [[part for said in each for part in said]] for name, each in single.items()
    } | found
    return {name: [" ".join(parts) for parts in each] for name, each in found.items()}


@lru_cache(maxsize=16)
def _heads(names: tuple[str, ...]) -> re.Pattern[str]:
    longest = sorted(names, key=len, reverse=True)
    words = "|".join(
        f"({re.escape(name.removesuffix('s')).replace(chr(92) + ' ', ' (?:the )?')}s?)"
        for name in longest
    )
    return re.compile(
        rf"(?:^|(?<=[.:;,|{{)\]]) |\band ){_MARKS}(?:there (?:is|are) )?(?P<no>no )?(?:the |my )?"
        rf"(?:(?:legal|board|grid|map|maze|room|\d{{1,3}}) )?(?:{words}){_LINK}",
        re.IGNORECASE,
    )


def _name(head: re.Match[str], names: Sequence[str]) -> str:
    return sorted(names, key=len, reverse=True)[(head.lastindex or 2) - 2]


def last_meaning(said: Sequence[str], true: str, task: str) -> str | None:
    """What the last statement says that can be read as an answer like the true one."""
    for statement in reversed(said):
        found = meaning(statement, true, task)
        if found is not None:
            return found
    return None


def meaning(answer: str, true: str, task: str) -> str | None:
    """An answer in one writing for each meaning; None if it has none, or two.

    The true answer says what kind it is of: a number, cells, open sides of cells, or actions.
    """
    text = " ".join(answer.lower().split()).strip(" *_`\"'|,;").rstrip(" .*_`\"'|,;}!").strip()
    text = text.removeprefix("- ")
    if true.isdecimal():
        return _number(text)
    if true.startswith("["):
        return _sides(text, task)
    if _OPEN_END.search(answer):
        return None
    if true.startswith("("):
        return "none" if _NONE.fullmatch(text) else _cells(text)
    if _NONE.fullmatch(text):
        return "none"
    return (_cells(text) if true == "none" else None) or _actions(text, task)


def _number(text: str) -> str | None:
    numbers, words = re.findall(r"\d{1,9}", text), re.findall(r"[a-z]+", text)
    plain = re.fullmatch(r"(?!-\d)[a-z\d ×*()[\].,-]*", text)
    if not plain or not all(map(_SIZE_WORD.fullmatch, words)) or len(set(numbers)) != 1:
        return None
    return str(int(numbers[0])) if len(numbers) <= 2 else None


def _cells(text: str) -> str | None:
    if _UNSURE.search(text):
        return None
    bare = _BARE_CELL.fullmatch(text)
    found = [bare.groups()] if bare else [match.groups() for match in _CELL.finditer(text)]
    pairs = {tuple(int(each) for each in groups if each is not None) for groups in found}
    return " ".join("({},{})".format(*pair) for pair in sorted(pairs)) or None


def _sides(text: str, task: str) -> str | None:
    rest = _SIDES.sub("", text)
    if rest.strip(" ,;|/[]"):
        return None
    sides = [_actions(inside, task) if inside.strip() else "" for inside in _SIDES.findall(text)]
    return "".join(f"[{each}]" for each in sides) if sides and None not in sides else None


def _actions(text: str, task: str) -> str | None:
    """Actions in the order of their numbers."""
    listed = re.sub(r"\bor\b", ",", text)
    parsed = parse_plan(f"<answer>{listed}</answer>", task, reader="tolerant")
    if parsed.status is not ParseStatus.OK:
        return None
    return " ".join(action.name for action in sorted(set(parsed.plan)))
