"""Public test sets: their formats are read, a bad board is named with its file and line."""

import os
from collections import Counter
from pathlib import Path

import pytest

from tests.drawn import lake, maze, room
from tests.public_rows import LAKE_ROW, MAZE_ROW, ROOM_ROW, TABLE, rows
from vsp_envs.core.layout import LayoutBatch, canonical_ids
from vsp_envs.public_sets import benchmark_ids, read_benchmark, read_boards


def test_a_vsp_table_is_read(tmp_path):
    file = tmp_path / "maps/level3/table/4.txt"
    file.parent.mkdir(parents=True)
    file.write_text(TABLE)
    assert read_benchmark(tmp_path) == read_benchmark(file) == [lake("SFF HFG FFH")]


def test_tables_come_in_the_order_of_their_numbers(tmp_path):
    for number, drawing in ((10, "@"), (9, "*")):
        file = tmp_path / f"table/{number}.txt"
        file.parent.mkdir(exist_ok=True)
        file.write_text(
            TABLE if drawing == "@" else TABLE.replace("| # | _ | * |", "| * | _ | _ |")
        )
    assert read_benchmark(tmp_path) == [lake("SFF GFF FFH"), lake("SFF HFG FFH")]


def test_visualplanning_rows_of_every_task_are_read(tmp_path):
    corridor = maze(
        """
        +-+-+
        |S  |
        +-+ +
        |G  |
        +-+-+
        """
    )
    desk = room("..... ..... ..... P.TTT A.TTT")
    file = rows(tmp_path, LAKE_ROW, MAZE_ROW, ROOM_ROW)
    assert read_benchmark(file) == [lake("SFG FHF FFF"), corridor, desk]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ({"input_state": [0, 1]}, "its way has 1 step, but the shortest has 2"),
        ({"meta": {"level": 3}}, "not a row of VisualPlanning"),
        ({"meta": LAKE_ROW["meta"] | {"layout": [["S", "H"], ["H", "G"]], "level": 2}}, "solution"),
        ({"meta": LAKE_ROW["meta"] | {"layout": []}}, "not a row of VisualPlanning"),
        ({"meta": "text"}, "not a row of VisualPlanning"),
    ],
)
def test_a_bad_row_is_named_with_its_line(tmp_path, spoil, said):
    file = rows(tmp_path, LAKE_ROW, LAKE_ROW | spoil)
    with pytest.raises(ValueError, match=f"test_dataset.jsonl, line 2: .*{said}"):
        read_benchmark(file)


def test_a_bad_table_is_named(tmp_path):
    (tmp_path / "bad.txt").write_text(TABLE.replace("*", "?"))
    with pytest.raises(ValueError, match=r"bad.txt: a FrozenLake map is rows of S, F, H and G"):
        read_benchmark(tmp_path / "bad.txt")


def test_a_folder_without_boards_says_what_is_looked_for(tmp_path):
    with pytest.raises(ValueError, match=r"no boards at .*; a benchmark is a folder"):
        read_benchmark(tmp_path)


DIFFTHINKER = """2
0 0
1 0
7 9
7 10
"""


def test_a_diffthinker_maze_is_read(tmp_path):
    file = tmp_path / "Maze/8_test/3.txt"
    file.parent.mkdir(parents=True)
    file.write_text(DIFFTHINKER)
    corridor = maze(
        """
        +-+-+
        |S  |
        +-+ +
        |G  |
        +-+-+
        """
    )
    assert read_benchmark(tmp_path) == read_benchmark(file) == [corridor]
    [board] = read_boards(tmp_path, "diffthinker")
    assert board.source == "Maze/8_test/3.txt" and board.picture is None
    with pytest.raises(ValueError, match="no boards at"):
        read_boards(tmp_path, "vsp")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2", "not a DiffThinker maze"),
        ("2\n0 0\n1 0\n7 x", "not a DiffThinker maze"),
        ("3\n0 0\n1 0\n7 9\n7 10", "maze walls must be square"),
        ("2\n0 0\n1 0\n7 9\n6 10", "neighbours disagree"),
        ("2\n0 0\n1 0\n7 11\n7 11", "this maze layout has no solution"),
    ],
)
def test_a_bad_diffthinker_maze_is_named(tmp_path, text, said):
    file = tmp_path / "Maze/8_test/3.txt"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    with pytest.raises(ValueError, match=rf"3.txt: .*{said}"):
        read_benchmark(tmp_path)


def test_a_board_says_where_it_is_from_and_where_its_picture_is(tmp_path):
    (tmp_path / "level3/table").mkdir(parents=True)
    (tmp_path / "level3/img").mkdir()
    for number in (4, 5):
        (tmp_path / f"level3/table/{number}.txt").write_text(TABLE)
    (tmp_path / "level3/img/5.png").write_bytes(b"")
    rows(tmp_path, LAKE_ROW, LAKE_ROW)
    found = [(board.source, board.picture is not None) for board in read_boards(tmp_path)]
    assert found == [
        ("test_dataset.jsonl:1", False),
        ("test_dataset.jsonl:2", False),
        ("level3/table/4.txt", False),
        ("level3/table/5.txt", True),
    ]


def test_the_hashes_of_a_set_are_shared_by_turned_and_mirrored_boards(tmp_path):
    rows(tmp_path, LAKE_ROW, ROOM_ROW)
    ids = benchmark_ids(tmp_path)
    assert len(ids) == 2
    turned = lake("SFF FHF GFF")
    assert canonical_ids(LayoutBatch.stack([turned]))[0] in ids


def test_the_public_sets_are_read_whole():
    root = os.environ.get("VSP_BENCHMARKS")
    if not root:
        pytest.skip("VSP_BENCHMARKS names no folder with the public test sets")
    counts = Counter(layout.task for layout in read_benchmark(Path(root)))
    assert counts["frozenlake"] >= 800 and counts["minibehaviour"] >= 202 and counts["maze"] >= 4
