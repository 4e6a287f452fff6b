"""The boards of `evaluation.planning` as files: parquet for lmms-eval, TSV for VLMEvalKit.

python -m examples.harnesses.lmms_eval.boards --tasks maze:3-6 --out runs/lmms_eval/vsp.parquet
"""

import argparse
import base64
import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vsp_envs import LayoutSpec, draw_distinct
from vsp_envs.core.task_level import select_task_levels
from vsp_envs.prompts.question import question
from vsp_envs.rendering.png import png_bytes


def rows(tasks: Sequence[str], count: int, split: str = "test", seed: int = 0) -> list[Any]:
    """Picture, prompt and board of `count` boards of each level."""
    return [
        {
            "image": png_bytes(prompt.images[0], layout.level),
            "prompt": prompt.text,
            "board": json.dumps({"task": layout.task, "layout": layout.to_data()}),
        }
        for each in select_task_levels(tasks)
        for layout in draw_distinct(LayoutSpec(*each, split), count, seed)
        for prompt in [question(layout)]
    ]


def write_parquet(found: list[Any], file: Path) -> None:
    """As `vsp.yaml` reads it; needs the package `datasets`."""
    from datasets import Dataset, Features, Image, Value

    text = Value("string")
    features = Features({"image": Image(), "prompt": text, "board": text})
    made = [row | {"image": {"bytes": row["image"], "path": None}} for row in found]
    Dataset.from_list(made, features=features).to_parquet(file)


def write_tsv(found: list[Any], file: Path) -> None:
    """As VLMEvalKit reads it: the picture in base64, the board in the column `answer`."""
    with file.open("w", newline="", encoding="utf-8") as out:
        table = csv.writer(out, delimiter="\t")
        table.writerow(["index", "image", "question", "answer"])
        for index, row in enumerate(found):
            picture = base64.b64encode(row["image"]).decode()
            table.writerow([index, picture, row["prompt"], row["board"]])


def main(args: list[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    everything = ["frozenlake:3-8", "maze:3-6", "minibehaviour:5-6"]
    parser.add_argument("--tasks", nargs="+", default=everything)
    parser.add_argument("--count", type=int, default=200, help="boards of each level")
    parser.add_argument("--out", type=Path, required=True, help="a .parquet or a .tsv file")
    options = parser.parse_args(args)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write = write_tsv if options.out.suffix == ".tsv" else write_parquet
    write(rows(options.tasks, options.count), options.out)


if __name__ == "__main__":
    main()
