"""Boards of public test sets in their own formats, made by hand."""

import json
from pathlib import Path

TABLE = """| | Col 1 | Col 2 | Col 3 |
| Row 1 | @ | _ | _ |
| Row 2 | # | _ | * |
| Row 3 | _ | _ | # |
"""
LAKE_ROW = {
    "input_state": [0, 1, 2],
    "meta": {
        "start_pos": 0,
        "target_pos": 2,
        "layout": [["S", "F", "G"], ["F", "H", "F"], ["F", "F", "F"]],
        "level": 3,
    },
}
ROOM_ROW = {
    "input_state": [[[4, 0], False], [[4, 0], True], [[4, 1], True], [[4, 1], False]],
    "meta": {
        "level": 5,
        "start_pos": [4, 0],
        "printer_pos": [3, 0],
        "table_pos": [[3, 2], [4, 2], [3, 3], [4, 3], [3, 4], [4, 4]],
    },
}


def walls(*letters):
    sides = {"N": "north", "S": "south", "E": "east", "W": "west"}
    return [{side: letter in each for letter, side in sides.items()} for each in letters]


MAZE_ROW = {
    "input_state": [0, 1, 3, 2],
    "meta": {
        "start_pos": 0,
        "target_pos": 2,
        "layout": [walls("NSW", "NE"), walls("NSW", "SE")],
        "level": 2,
    },
}

MAZE_OF_3_ROW = {
    "input_state": [0, 1, 2, 5],
    "meta": {
        "start_pos": 0,
        "target_pos": 5,
        "layout": [walls("NSW", "NS", "NE"), walls("NW", "NS", "SE"), walls("SW", "NS", "NSE")],
        "level": 3,
    },
}


def rows(folder: Path, *data: object) -> Path:
    file = folder / "test_dataset.jsonl"
    file.write_text("".join(json.dumps(each) + "\n" for each in data))
    return file
