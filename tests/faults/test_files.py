"""Hostile files: malformed, huge, out of place or made to run code: refused, and by their name."""

import json
import os
import pickle
import re
import shutil
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import gymnasium as gym
import pytest
import torch
from PIL import Image

from agents.scripted import Oracle
from agents.vlm.checkpoint import CheckpointError, load_checkpoint
from evaluation import planning
from evaluation.report.recording import read_recording
from evaluation.run_folder import read_run
from vsp_envs import LayoutSpec, draw_distinct, load_layout
from vsp_envs.core.splits import read_hashes
from vsp_envs.core.task_level import TaskLevel
from vsp_envs.public_sets import read_boards
from vsp_envs.rendering.picture_file import picture_pixels
from vsp_envs.scoring.episode import Episode, score_episode

ROOT = Path(__file__).parents[2]
BILLION = 31_623
"""Side of a board of a billion cells."""
TABLE = [[2, 0], [2, 1], [2, 2], [3, 0], [3, 1], [3, 2]]
MAZE = draw_distinct(LayoutSpec("maze", 4), 1, seed=0)[0].to_data()
LAKE = draw_distinct(LayoutSpec("frozenlake", 4), 1, seed=0)[0]
INFINITE, NO_NUMBER = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("task", "data"),
    [
        *(("frozenlake", {"map": each}) for each in (None, 5, {}, [b"SFG"], [[["S"]]], "S" * 999)),
        *(("frozenlake", {"map": each}) for each in (["S" * 10**6, "F", "G"], ["SFG"] * 10**5, [])),
        *(("maze", MAZE | {"walls": each}) for each in ("abc", [], [[]], [[1, 2], [3]], [[[1]]])),
        *(("maze", MAZE | {"walls": each}) for each in ([[10**30]], [[15] * 999] * 999, [[-1]])),
        *(("maze", MAZE | {"start": each}) for each in ([0, INFINITE], [0, 10**40], 5, {}, [1])),
        *(("minibehaviour", {"start": [0, 0], "printer": [0, each], "table": TABLE, "level": 5})
          for each in (INFINITE, NO_NUMBER, "x", None, 10**9, -1)),
        *(("minibehaviour", {"start": [0, 0], "printer": [0, 3], "table": TABLE, "level": each})
          for each in (BILLION, "5", 5.5, INFINITE, -1, [5])),
        *(("minibehaviour", {"start": [0, 0], "printer": [0, 3], "table": each})
          for each in ([[INFINITE, 0], *TABLE[1:]], {"a": 1}, 5, [[10**9, 0], *TABLE[1:]])),
    ],
)  # fmt: skip
def test_a_layout_that_is_none_is_refused(task, data):
    with pytest.raises(ValueError):
        load_layout(task, data)


@pytest.mark.parametrize("spec", [{"level": BILLION}, {"max_level": BILLION}, {"level": 10**30},
                                  {"image_size": 10**6}, {"level": (3, BILLION)}])  # fmt: skip
@pytest.mark.parametrize("make", [gym.make, gym.make_vec])
def test_a_board_of_a_billion_cells_is_refused_before_it_takes_memory(make, spec):
    with pytest.raises(ValueError, match="out of range"):
        make("VSP/Maze-v0", **spec)


def meta(**changed):
    row = {"layout": [["S", "F"], ["F", "G"]], "level": 2}
    return json.dumps({"meta": row | changed, "input_state": [1, 2, 3]}).encode()


ROOM = {"table_pos": TABLE, "start_pos": [0, 0], "printer_pos": [0, 3]}
CELL = {"north": 1, "south": 0, "west": 0, "east": 0}
ROWS = [
    *(b"\xff\xfe", b"[]", b"5", b"null", b"{}", b'"x"', b"[" * 100_000, b"9" * 9000, b"{"),
    *(meta(layout=each) for each in ([], {}, [[]], [[5]], [["\ud800"]], "SFG", [[{}]], [["SFG"]])),
    *(meta(layout=[[CELL]], level=each, start_pos=1, target_pos=2) for each in (0, 1e300, BILLION)),
    *(meta(**ROOM, level=each) for each in (BILLION, 10**30, "5", None, INFINITE)),
    *(meta(**ROOM | {"table_pos": each}, level=5) for each in (5, [1, [2]], {}, "x" * 6)),
    pickle.dumps({"meta": {}}).replace(b"\n", b" "),
]


@pytest.mark.parametrize("number", range(len(ROWS)))
def test_a_row_of_a_benchmark_that_is_none_is_refused_with_its_line(number, tmp_path):
    file = tmp_path / "test_dataset.jsonl"
    file.write_bytes(meta() + b"\n" + ROWS[number] + b"\n")
    with pytest.raises(ValueError, match=re.escape(f"{file}, line 2: ")):
        read_boards(tmp_path)


TABLES = {
    "table/a.txt": [
        b"\xff\xfe| x |",
        b"",
        b"|\n",
        b"\x00" * 99,
        pickle.dumps([1]),
        b"| |\n| | @ |",
    ],
    "Maze/8_test/a.txt": [f"{BILLION}\n0 0\n1 1\n1 2".encode(), b"3\n0 0\n", b"9" * 9000, b"x"],
}


@pytest.mark.parametrize("name", TABLES)
def test_a_benchmark_file_that_is_none_is_refused_by_name(name, tmp_path):
    file = tmp_path / name
    file.parent.mkdir(parents=True)
    for text in TABLES[name]:
        file.write_bytes(text)
        with pytest.raises(ValueError, match=re.escape(f"{file}: ")):
            read_boards(file)


def test_a_benchmark_file_of_a_billion_cells_is_refused_before_it_is_read(tmp_path):
    for name in ("table/a.txt", "Maze/8_test/a.txt", "test_dataset.jsonl"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb") as sparse:
            sparse.truncate(4 * BILLION**2)
        with pytest.raises(ValueError, match=re.escape(f"{file}: {4 * BILLION**2} bytes are too")):
            read_boards(file)


def test_a_benchmark_whose_names_are_no_text_is_played_and_kept(tmp_path):
    file = Path(os.fsdecode(bytes(tmp_path) + b"/table/\xff..\xfe.txt"))
    file.parent.mkdir()
    file.write_text("| | 1 | 2 |\n| Row 1 | @ | _ |\n| Row 2 | # | * |\n")
    [board] = read_boards(tmp_path)
    assert board.source == "table/?..?.txt" and board.layout.level == 2


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n" + b"\x00" * 50, None])
def test_a_picture_that_is_none_or_too_large_is_refused_by_name(data, tmp_path):
    file = tmp_path / "img.png"
    if data is None:
        Image.new("1", (20_000, 20_000)).save(file)  # 50 kB, and 1.2 GB once it is read
    else:
        file.write_bytes(data)
    with pytest.raises(ValueError, match=re.escape(f"{file} is no picture to show: ")):
        picture_pixels(str(file))


GOOD = score_episode(LAKE, Oracle().answer(LAKE), input="image", image={"theme": "classic"},
                     prompt="p", agent="human").record()  # fmt: skip
WRONG = {
    "str": [None, -1, [], {}], "int": [None, -1, 10**30, NO_NUMBER, "1", True, 1.5],
    "float": [None, -1, NO_NUMBER, INFINITE, "1", True], "bool": [None, 1, "yes"],
    "list": [None, 5, {}, "x"], "dict": [None, 5, [], "x"],
}  # fmt: skip
"""Kind of a field → what is no value of it."""
ALSO = {
    "task": ["../../etc/passwd", ""], "level": [BILLION, 3, 0], "layout_id": ["../x", "0" * 16],
    "layout": [{}, {"map": ["S" * 99] * 99}], "image": [{"theme": "../../etc"}, {"theme": 5}],
    "status": ["fine"], "outcome": ["../x"], "plan": [["../x"], [5], [None], ["PICK"]],
    "states": [[10**6], [{}], [-1], ["1"]],
}  # fmt: skip


def test_a_recording_with_a_wrong_value_is_refused_with_its_line(tmp_path, record_property):
    """Recordings with one value of another kind or out of range, and lines that are no JSON."""
    file, refused = tmp_path / "human.jsonl", 0
    for field in fields(Episode):
        for value in WRONG[field.type.partition("[")[0]] + ALSO.get(field.name, []):
            file.write_text(f"{json.dumps(GOOD)}\n{json.dumps(GOOD | {field.name: value})}\n")
            with pytest.raises(ValueError, match=re.escape(f"{file}, line 2: not an episode: ")):
                read_recording(file)
            refused += 1
    for line in (b"\xff\xfe", b"[" * 100_000, pickle.dumps(GOOD), b"9" * 9000, b"{"):
        file.write_bytes(json.dumps(GOOD).encode() + b"\n" + line.replace(b"\n", b" ") + b"\n")
        with pytest.raises(ValueError, match=re.escape(f"{file}, line 2 is not a record")):
            read_recording(file)
        refused += 1
    record_property("refused with file and line", refused)


@pytest.mark.parametrize("name", ["config.json", "results.json", "replies.jsonl"])
@pytest.mark.parametrize("data", [b"\xff\xfe\n", b"[]\n", b"{}\n", b"[" * 100_000 + b"\n", b"{\n",
                                  b'{"settings": 5, "goal": "x", "tasks": 7, "macro": []}\n',
                                  b'{"goal": "plan", "macro": {}, "tasks": {}}\n'])  # fmt: skip
def test_a_run_folder_with_a_broken_file_is_refused_by_its_name(name, data, tmp_path):
    planning.evaluate(Oracle(), [TaskLevel("frozenlake", 3)], episodes=2, out=tmp_path)
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=re.escape(f"{tmp_path / name}")):
        read_run(tmp_path)
    if name != "results.json":  # which is written anew
        with pytest.raises(ValueError, match=re.escape(str(tmp_path))):
            planning.evaluate(Oracle(), [TaskLevel("frozenlake", 3)], episodes=2, out=tmp_path)


def test_hashes_that_are_none_are_refused(tmp_path):
    (tmp_path / "hashes").write_bytes(b"\xff\xfe\n")
    with pytest.raises(ValueError, match=r"hashes: .* is no hash"):
        read_hashes(tmp_path / "hashes")


# What would run code


class Bomb:
    """A pickle that makes a file when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def test_the_bomb_goes_off(tmp_path):
    pickle.loads(pickle.dumps(Bomb(tmp_path / "mark")))
    assert (tmp_path / "mark").exists()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "adapter_model.bin"])
def test_weights_that_are_pickles_are_never_loaded(name, tiny_folder, tmp_path):
    for file in tiny_folder.iterdir():
        if file.suffix != ".safetensors" or name.startswith("adapter"):
            (tmp_path / file.name).write_bytes(file.read_bytes())
    torch.save({"lm_head.weight": Bomb(tmp_path / "mark")}, tmp_path / name)
    adapter = {"peft_type": "LORA", "r": 1, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM"}
    (tmp_path / "adapter_config.json").write_text(json.dumps(adapter))
    asked = {"adapter": str(tmp_path)} if name.startswith("adapter") else {}
    path = tiny_folder if asked else tmp_path
    if not asked:
        (tmp_path / "adapter_config.json").unlink()
    with pytest.raises(CheckpointError, match="safetensors"):
        load_checkpoint(path, **asked)
    assert not (tmp_path / "mark").exists()


def test_code_that_comes_with_a_checkpoint_is_never_run(tiny_folder, tmp_path):
    for file in tiny_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "own.py").write_text(f"import os; os.mkdir({str(tmp_path / 'mark')!r})")
    for name, kinds in {
        "config.json": ("AutoConfig", "AutoModelForImageTextToText"),
        "tokenizer_config.json": ("AutoTokenizer",),
        "preprocessor_config.json": ("AutoImageProcessor",),
        "processor_config.json": ("AutoProcessor",),
    }.items():
        file = tmp_path / name
        data = json.loads(file.read_text()) if file.exists() else {}
        auto = {kind: ["own.Own", None] if "Token" in kind else "own.Own" for kind in kinds}
        file.write_text(json.dumps(data | {"auto_map": auto}))
    data = json.loads((tmp_path / "config.json").read_text()) | {"model_type": "own"}
    load_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(data))
    with pytest.raises(
        CheckpointError, match=re.escape(f"cannot load a checkpoint from {tmp_path}")
    ):
        load_checkpoint(tmp_path)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"[" * 100_000, b"\xff" * 8 + b"{}", b"{}"])
def test_a_broken_checkpoint_is_refused_by_its_name(file, data, tiny_folder, tmp_path):
    for each in tiny_folder.iterdir():
        (tmp_path / each.name).write_bytes(each.read_bytes())
    (tmp_path / file).write_bytes(data)
    with pytest.raises(CheckpointError, match=re.escape(str(tmp_path))):
        load_checkpoint(tmp_path)


@pytest.mark.slow
def test_a_resumed_training_runs_no_code_of_its_checkpoint(long, tiny_folder, tmp_path):
    from training.sft import SFTConfig, train_sft

    config = SFTConfig(out=tmp_path / "run", model=str(tiny_folder), steps=1, batch_size=2,
                       save_every=1, eval_every=0)  # fmt: skip
    train_sft(config)
    [checkpoint] = (tmp_path / "run/checkpoints").glob("checkpoint-*")
    done = config.out / "run.json"
    done.write_text(done.read_text().replace('"done": true', '"done": false'))
    shutil.copytree(config.out, tmp_path / "stopped")
    names = ("optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin")
    for name in names if long else names[:1]:
        shutil.rmtree(config.out)
        shutil.copytree(tmp_path / "stopped", config.out)
        torch.save(Bomb(tmp_path / "mark"), checkpoint / name)
        with suppress(pickle.UnpicklingError):  # or the checkpoint is left aside
            train_sft(config)
        assert not (tmp_path / "mark").exists()
