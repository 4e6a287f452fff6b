"""Planning as a data set of VLMEvalKit: copy this into `vlmeval/dataset/` and list `VSP` there.

    python -m examples.harnesses.lmms_eval.boards --out $LMUData/VSP.tsv

VLMEvalKit is not installed for the tests, so they run `scores` alone.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from vsp_envs import load_layout, score_reply


def scores(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Success and optimal success of rows with the columns `answer` and `prediction`."""
    found = []
    for row in rows:
        board = json.loads(row["answer"])
        layout = load_layout(board["task"], board["layout"])
        found.append(score_reply(layout, str(row["prediction"]), reader="tolerant"))
    names = ("success", "optimal")
    return {name: sum(getattr(each, name) for each in found) / len(found) for name in names}


try:
    from vlmeval.dataset.image_base import ImageBaseDataset
    from vlmeval.smp import load
except ModuleNotFoundError:
    pass
else:

    class VSP(ImageBaseDataset):  # type: ignore[misc, no-any-unimported]
        """Questions with a picture and a free answer, from `$LMUData/VSP.tsv`."""

        TYPE = "VQA"
        DATASET_URL: dict[str, str] = {"VSP": ""}  # noqa: RUF012 - VLMEvalKit declares it so

        def evaluate(self, eval_file: str, **judge_kwargs: Any) -> dict[str, float]:
            """The scores of a file of predictions."""
            return scores(load(eval_file).to_dict("records"))
