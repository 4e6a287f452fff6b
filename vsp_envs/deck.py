"""Which layout an environment plays next: the one order that the scalar and vector face share."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Generic, TypeVar

import numpy as np

from vsp_envs.generate import Drawn, LayoutSpec, draw_blocks

Card = TypeVar("Card")
_FIRST_BLOCK, _BLOCK = 8, 32


class Deck(Generic[Card]):
    """The layouts that one environment has drawn and not played yet, per level.

    A reset draws a level, then takes the oldest unplayed layout of that level. Where there is
    none, a block of candidates is drawn (a small one first: often one layout is all that is
    wanted of a seed) and all that meet the wish are kept. So an environment's layouts hang on its
    seed and its resets alone, and a layout costs a fraction of a block.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.cards: dict[int, deque[Card]] = defaultdict(deque)
        self.block = _FIRST_BLOCK

    def generator(self) -> np.random.Generator:
        """Where the layouts come from."""
        return self.rng

    def unplayed(self) -> list[Card]:
        """All cards that are left."""
        return [card for cards in self.cards.values() for card in cards]


def deal(
    decks: Sequence[Deck[Card]],
    levels: tuple[int, int],
    wish: LayoutSpec,
    keep: Callable[[Drawn], Sequence[Card]],
) -> list[Card]:
    """The next layout of each deck; `levels` is (low, high). `keep` turns boards into cards.

    Decks that have run dry are refilled together, each from its own generator.
    """
    low, high = levels
    wanted = [int(deck.rng.integers(low, high + 1)) if low < high else low for deck in decks]
    dry: dict[tuple[int, int], list[Deck[Card]]] = defaultdict(list)
    for deck, level in zip(decks, wanted, strict=True):
        if not deck.cards[level]:
            dry[level, deck.block].append(deck)
            deck.block = _BLOCK
    for (level, block), some in dry.items():
        rngs = [deck.rng for deck in some]
        for drawn in draw_blocks(replace(wish, level=level), rngs, block):
            for i, card in zip(drawn.owner, keep(drawn), strict=True):
                some[i].cards[level].append(card)
    return [deck.cards[level].popleft() for deck, level in zip(decks, wanted, strict=True)]
