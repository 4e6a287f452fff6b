"""Boards as files, for programs that need a data set: the boards that training sees.

    python -m examples.export verl --tasks frozenlake:3-8 maze --count 1000 --out runs/verl

`huggingface` (datasets' save_to_disk), `sharegpt` (LLaMA-Factory), `verl` and `easyr1` (parquet).
verl's reward function is `compute_score` in this file, EasyR1's (reward_type batch)
`compute_scores`. Their ground truth is the board itself, because many plans are right.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image as PILImage

from agents.agent import View
from examples import missing
from training.data.layout_stream import LiveBoards
from training.sft import ANSWERS, TARGETS
from vsp_envs import load_layout, score_reply
from vsp_envs.core.task_level import select_task_levels
from vsp_envs.rendering.png import png_bytes

NEEDS = missing("datasets")
if not NEEDS:
    from datasets import Dataset, Features, Image, List, Value

Row = dict[str, Any]


def rows(options: argparse.Namespace) -> Iterator[Row]:
    """The boards of a stream with picture, prompt and reference answer."""
    task_levels = select_task_levels(options.tasks)
    view = View(image_size=options.image_size)
    boards = LiveBoards(
        task_levels,
        view,
        options.split,
        options.seed,
        options.count,
        1,
        goals=TARGETS[options.target],
    )
    for index, board in enumerate(boards):
        yield {
            "image": png_bytes(board.image, board.layout.level),
            "prompt": board.prompt("image", board.goal, view).text,
            "answer": ANSWERS[board.goal](board.layout),
            "board": json.dumps({"task": board.layout.task, "layout": board.layout.to_data()}),
            "split": options.split,
            "index": index,
        }


def huggingface(found: Iterator[Row], out: Path) -> None:
    """A data set with the picture in the column `image`; `datasets.load_from_disk` reads it."""
    text = {name: Value("string") for name in ("prompt", "answer", "board", "split")}
    features = Features({"image": Image(), **text, "index": Value("int64")})
    pictured = [row | {"image": PILImage.open(io.BytesIO(row["image"]))} for row in found]
    Dataset.from_list(pictured, features=features).save_to_disk(out)


def sharegpt(found: Iterator[Row], out: Path) -> None:
    """`data.json`, `images/` and the `dataset_info.json` that LLaMA-Factory wants beside them."""
    (out / "images").mkdir(parents=True, exist_ok=True)
    examples = []
    for row in found:
        picture = Path("images", f"{row['index']:06}.png")
        (out / picture).write_bytes(row["image"])
        turns = [("user", f"<image>{row['prompt']}"), ("assistant", row["answer"])]
        messages = [{"role": role, "content": content} for role, content in turns]
        examples.append({"messages": messages, "images": [str(picture)], "board": row["board"]})
    (out / "data.json").write_text(json.dumps(examples, indent=1))
    tags = {"role_tag": "role", "content_tag": "content"}
    tags |= {"user_tag": "user", "assistant_tag": "assistant"}
    columns = {"messages": "messages", "images": "images"}
    entry = {"file_name": "data.json", "formatting": "sharegpt", "columns": columns, "tags": tags}
    (out / "dataset_info.json").write_text(json.dumps({"vsp": entry}, indent=1))


def verl(found: Iterator[Row], out: Path) -> None:
    """verl's columns: data_source, prompt, images, ability, reward_model, extra_info."""
    table = [
        {
            "data_source": "vsp_envs",
            "prompt": [{"role": "user", "content": f"<image>{row['prompt']}"}],
            "images": [{"bytes": row["image"], "path": None}],
            "ability": "planning",
            "reward_model": {"style": "rule", "ground_truth": row["board"]},
            "extra_info": {name: row[name] for name in ("split", "index", "answer")},
        }
        for row in found
    ]
    write_parquet(table, out)


def easyr1(found: Iterator[Row], out: Path) -> None:
    """EasyR1's columns by its default keys: problem, answer, images."""
    table = [
        {
            "problem": f"<image>{row['prompt']}",
            "answer": row["board"],
            "images": [{"bytes": row["image"], "path": None}],
            "reference": row["answer"],
        }
        for row in found
    ]
    write_parquet(table, out)


def write_parquet(table: list[Row], out: Path) -> None:
    """`data.parquet` with the images as `datasets` stores them: bytes and a path."""
    out.mkdir(parents=True, exist_ok=True)
    Dataset.from_list(table).cast_column("images", List(Image())).to_parquet(out / "data.parquet")


def compute_score(
    data_source: str, solution_str: str, ground_truth: str, extra_info: Any = None
) -> float:
    """verl's `custom_reward_function`: 1 for a plan that succeeds, else 0."""
    board = json.loads(ground_truth)
    layout = load_layout(board["task"], board["layout"])
    return float(score_reply(layout, solution_str, "mgsd-train").success)


def compute_scores(reward_inputs: list[Row]) -> list[dict[str, float]]:
    """EasyR1's reward function."""
    return [
        {"overall": compute_score("", each["response"], each["ground_truth"])}
        for each in reward_inputs
    ]


FORMATS = {each.__name__: each for each in (huggingface, sharegpt, verl, easyr1)}


def main(args: list[str] | None = None) -> None:
    """Write a stream in a format."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], epilog=NEEDS)
    parser.add_argument("format", choices=FORMATS)
    parser.add_argument("--tasks", nargs="+", default=["frozenlake:3"], help="as in evaluation")
    parser.add_argument("--target", default="plan", choices=TARGETS, help="what the answer is")
    parser.add_argument("--split", default="train", choices=["train", "val", "test"])
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--image-size", type=int, default=256)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(args)
    if NEEDS:
        parser.error(NEEDS)
    FORMATS[options.format](rows(options), options.out)
    print(f"boards: {options.count}, in {options.out}")


if __name__ == "__main__":
    main()
