"""The reply beside the board: its answer marked, what it saw wrong in red."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import pygame
from pygame import Surface

from vsp_envs.play.claims import Claims
from vsp_envs.play.drawing import (
    BAD,
    BLUE,
    DIM,
    GOOD,
    GROUND,
    INK,
    PANEL,
    Color,
    WindowAreas,
    font,
    wrap,
    write,
)  # fmt: skip
from vsp_envs.scoring.answer_format import split_reply
from vsp_envs.scoring.episode import Episode
from vsp_envs.scoring.perception import read_facts
from vsp_envs.utils.words import counted

LONGEST = 20_000
"""Characters shown before the answer, of it, and after it."""


class Line(NamedTuple):
    """A line of the panel."""

    words: str
    color: Color
    marked: bool = False
    """Part of the answer block."""


class ReplyPanel:
    """Shows a reply; a long one opens at its answer and can be scrolled."""

    def __init__(self) -> None:
        self._moved, self._shown = 0, ""

    def scroll(self, lines: int) -> None:
        """Move the text by lines, down where positive."""
        self._moved += lines

    def draw(
        self, surface: Surface, at: WindowAreas, episode: Episode, claims: Claims, reply: str,
        turn: str = "",
    ) -> None:  # fmt: skip
        """All of the panel, with the `reply` of the `turn` that is on the screen."""
        if reply != self._shown:
            self._moved, self._shown = 0, reply
        pygame.draw.rect(surface, PANEL, at.panel, 0, at.size // 2)
        inside = at.panel.inflate(-at.size, -at.size)
        size, step = at.size, round(at.size * 1.35)
        head = _head(episode, turn)
        wrong = _truths(claims, size, inside.width)
        seen_wrong = frozenset(claims.wrong)
        lines = _reply_lines(reply, episode.task, seen_wrong, size, inside.width)
        rows = max(1, inside.height // step - len(head) - len(wrong) - (1 if wrong else 0))
        first = self._first(lines, rows)
        shown = [*head, *lines[first : first + rows]]
        if wrong:
            shown += [Line("", INK)] * (len(head) + rows - len(shown) + 1) + wrong
        surface.set_clip(at.panel)
        for i, line in enumerate(shown):
            corner = (inside.left, inside.top + i * step)
            if line.marked:
                box = font(size).render(line.words, True, INK).get_rect(topleft=corner)
                pygame.draw.rect(surface, BLUE, box.inflate(size // 3, size // 5), 0, size // 4)
            write(surface, line.words, corner, size, line.color)
        surface.set_clip(None)

    def _first(self, lines: Sequence[Line], rows: int) -> int:
        last = max(0, len(lines) - rows)
        answer = next((i for i, line in enumerate(lines) if line.marked), 0)
        start = min(last, max(0, answer - rows + 2))
        self._moved = min(max(self._moved, -start), last - start)
        return start + self._moved


def verdict(episode: Episode) -> str:
    """How an episode ended, in a few words."""
    if episode.error:
        return f"no reply: {episode.error}"
    if episode.status != "ok":
        return f"answer {episode.status}"
    if episode.success:
        return "optimal" if episode.optimal else "solved, not the shortest way"
    why = episode.reason.replace("_", " ")
    if episode.outcome == "running":
        return f"unfinished (refused: {why})" if why else "unfinished"
    return f"failed: {why}" if why else "solved, but only a shortest way counts"


def _head(episode: Episode, turn: str) -> list[Line]:
    # Of a long name the end tells most: it is a path.
    tokens = counted(episode.tokens, "token") if episode.tokens else ""
    who = [turn, _end(episode.agent or "model", 32), tokens]
    if episode.seconds:
        who.append(f"{episode.seconds:.0f} s")
    if episode.aids:
        who.append(f"with {', '.join(episode.aids)}")
    return [
        Line(verdict(episode), GOOD if episode.success else BAD),
        Line("   ".join(word for word in who if word), DIM),
        Line("", INK),
    ]


@lru_cache(maxsize=8)
def _reply_lines(
    reply: str, task: str, wrong: frozenset[str], size: int, width: int
) -> Sequence[Line]:
    before, block, after = split_reply(reply)
    # What a model that fell into a loop said before its answer is shown from its end.
    parts = ((_end(before), False), (_start(block), True), (_start(after), False))
    lines: list[Line] = []
    for part, marked in parts:
        for paragraph in part.strip("\n").split("\n") if part.strip() else []:
            said = wrong.intersection(read_facts(paragraph, task))
            color = GROUND if marked else BAD if said else INK
            lines += [Line(words, color, marked) for words in wrap(paragraph, font(size), width)]
    return lines


def _start(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"


def _end(text: str, most: int = LONGEST) -> str:
    return text if len(text) <= most else f"… {text[-most:]}"


def _truths(claims: Claims, size: int, width: int) -> list[Line]:
    """What is true where the reply claims something else."""
    lines: list[str] = []
    for question, true in claims.wrong.items():
        lines += wrap(f"in truth: {question} {true}", font(size), width)[:2]
    return [Line(words, DIM) for words in lines[:6]]
