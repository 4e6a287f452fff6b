"""Kept replies, scored anew: what each reader of answers makes of the same replies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evaluation.rates import Record, tabulate
from vsp_envs import load_layout, score_reply
from vsp_envs.scoring.answer_readers import READERS


def reader_rates(records: Sequence[Record], rules: str) -> dict[str, Any]:
    """`tasks` and `macro` as for success, with a success rate for each reader.

    Episodes of several turns are left out: another reading would have led to other boards. Empty
    if there are no others.
    """
    once = [record for record in records if not record.get("turns")]
    return tabulate(once, [_marks(record, rules) for record in once]) if once else {}


def _marks(record: Record, rules: str) -> dict[str, bool]:
    layout = load_layout(record["task"], record["layout"], record["level"])
    return {
        reader: score_reply(layout, record["reply"], rules, reader).success for reader in READERS
    }
