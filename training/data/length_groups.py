"""Micro-batches of answers of similar length, under a budget of tokens."""

from __future__ import annotations

from collections.abc import Sequence

PADDED = 0.1
"""Largest share of padding in a group of several rows."""


def length_groups(
    prompts: Sequence[int], answers: Sequence[int], budget: int, most: int | None = None
) -> list[list[int]]:
    """Rows in groups, by the tokens of their prompts and answers: longest first.

    A group is padded to its longest prompt and its longest answer. It has at most `budget` tokens
    then, at most a tenth of them padding, and at most `most` rows. A row that does not fit is a
    group of its own.
    """
    groups: list[list[int]] = []
    rows = range(len(prompts))
    for row in sorted(rows, key=lambda row: -prompts[row] - answers[row]):
        for group in groups:
            tried = [*group, row]
            width = max(prompts[each] for each in tried) + max(answers[each] for each in tried)
            area, used = len(tried) * width, sum(prompts[each] + answers[each] for each in tried)
            fits = area <= budget and (most is None or len(tried) <= most)
            if fits and used >= (1 - PADDED) * area:
                group.append(row)
                break
        else:
            groups.append([row])
    return groups
