"""What `vsp.yaml` names: picture, words and scores of a row."""

import json
from typing import Any

from vsp_envs import load_layout, score_reply


def pictures(row: dict[str, Any]) -> list[Any]:
    """The picture of the board."""
    return [row["image"].convert("RGB")]


def words(row: dict[str, Any], lmms_eval_specific_kwargs: Any = None) -> str:
    """The text of the prompt."""
    return row["prompt"]


def scores(row: dict[str, Any], replies: list[str]) -> dict[str, float]:
    """Success and optimal success of the reply."""
    board = json.loads(row["board"])
    found = score_reply(load_layout(board["task"], board["layout"]), replies[0], reader="tolerant")
    return {"success": float(found.success), "optimal": float(found.optimal)}
