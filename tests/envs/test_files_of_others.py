"""Files as other people and programs leave them: read, or skipped with a word."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.drawn import lake
from tests.public_rows import LAKE_ROW, ROOM_ROW, TABLE
from vsp_envs import render
from vsp_envs.core.splits import read_hashes
from vsp_envs.play.__main__ import PlayConfig, open_game
from vsp_envs.public_sets import read_benchmark, read_boards
from vsp_envs.rendering.picture_file import read_picture
from vsp_envs.scoring.episode import read_episodes, score_episode
from vsp_envs.utils.files import append_json_line, read_json, read_json_lines

POND = lake("SFF HFG FFH")
MAZE = "2\n0 0\n1 0\n7 9\n7 10\n"
EPISODE = score_episode(
    lake("SF FG"), "<answer>RD</answer>", input="image", image={}, prompt="p"
).record()
LINE = json.dumps(EPISODE).encode()


SAVED = {
    "with a mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "on Windows": lambda text: text.replace("\n", "\r\n").encode(),
    "by PowerShell": lambda text: b"\xff\xfe" + text.replace("\n", "\r\n").encode("utf-16-le"),
    "with empty lines": lambda text: ("\n \n" + text.replace("\n", "\n\n")).encode(),
    "without a last newline": lambda text: text.rstrip().encode(),
}


@pytest.mark.parametrize("how", SAVED)
@pytest.mark.parametrize(("name", "text"), [("table/1.txt", TABLE), ("Maze/2_test/1.txt", MAZE)])
def test_a_board_is_the_same_however_its_file_was_saved(
    tmp_path: Path, how: str, name: str, text: str
) -> None:
    file = tmp_path / name
    file.parent.mkdir(parents=True)
    file.write_text(text)
    plain = read_benchmark(tmp_path)
    file.write_bytes(SAVED[how](text))
    assert read_benchmark(tmp_path) == plain == read_benchmark(file)


def test_a_table_with_a_rule_under_its_head_is_read(tmp_path: Path) -> None:
    head, rest = TABLE.split("\n", 1)
    (tmp_path / "1.txt").write_text(f"{head}\n|---|:-:|---|---|\n{rest}")
    assert read_benchmark(tmp_path / "1.txt") == [POND]


@pytest.mark.parametrize("how", [each for each in SAVED if each != "by PowerShell"])
def test_rows_are_the_same_however_their_file_was_saved(tmp_path: Path, how: str) -> None:
    file = tmp_path / "test_dataset.jsonl"
    file.write_bytes(SAVED[how](f"{json.dumps(LAKE_ROW)}\n{json.dumps(ROOM_ROW)}\n"))
    tasks = [layout.task for layout in read_benchmark(file)]
    assert tasks == ["frozenlake", "minibehaviour"]


def test_what_lies_beside_the_boards_is_skipped_with_a_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, data in {
        "level3/table/2.txt": TABLE.encode(),
        "level3/table/._2.txt": b"\0\5\26\7\0\2\0\0Mac OS X",
        "__MACOSX/level3/table/2.txt": b"\0\5\26\7",
        ".Trash/level3/table/3.txt": TABLE.encode(),
        "level3/table/README.txt": b"These are the maps.",
        "level3/table/notes.txt": b"\xe4\xf6\xfc in Latin-1",
        "level3/table/9.txt": b"",
        "level3/table/10.txt": b" \r\n",
        "test_dataset.jsonl": b"",
    }.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    (tmp_path / "level3/table/old.txt").mkdir()
    boards = read_boards(tmp_path)
    assert [board.source for board in boards] == ["level3/table/2.txt"]
    said = capsys.readouterr().err
    assert said.startswith("skipped 9 files without a board: ") and said.endswith(", …\n")


def test_one_skipped_file_is_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "table").mkdir()
    (tmp_path / "table/1.txt").write_text(TABLE)
    (tmp_path / "table/2.txt").write_bytes(b"")
    assert len(read_boards(tmp_path)) == 1
    assert capsys.readouterr().err == f"skipped 1 file without a board: {tmp_path}/table/2.txt\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("table/1.TXT", TABLE),
        ("TABLE/1.Txt", TABLE),
        ("maze/2_TEST/1.TXT", MAZE),
        ("Test_Dataset.JSONL", json.dumps(LAKE_ROW)),
    ],
)
def test_capitals_in_a_name_hide_no_board(tmp_path: Path, name: str, text: str) -> None:
    file = tmp_path / "SET" / name
    file.parent.mkdir(parents=True)
    file.write_text(text)
    [board] = read_boards(tmp_path)
    assert board.source.partition(":")[0] == f"SET/{name}"
    for given in (file, file.parent, tmp_path / "SET"):
        assert read_benchmark(given) == [board.layout]


@pytest.mark.parametrize("name", ["img/1.PNG", "IMG/1.png", "Img/1.JPG", "img/1.jpeg"])
def test_the_picture_of_a_board_is_found_whatever_its_ending(tmp_path: Path, name: str) -> None:
    picture = tmp_path / name
    for file in (tmp_path / "table/1.txt", picture, picture.with_name("._1.png")):
        file.parent.mkdir(exist_ok=True)
        file.write_text(TABLE)
    if picture.suffix != ".png":
        picture.with_suffix(".png").mkdir()
    [board] = read_boards(tmp_path)
    assert board.picture == picture


def test_a_bad_board_is_still_an_error_and_not_skipped(tmp_path: Path) -> None:
    (tmp_path / "table").mkdir()
    (tmp_path / "table/1.txt").write_text(TABLE)
    (tmp_path / "table/2.txt").write_text(TABLE.replace("*", "?"))
    with pytest.raises(ValueError, match=r"2\.txt: a FrozenLake map is rows of S, F, H and G"):
        read_boards(tmp_path)


@pytest.mark.parametrize("inner", ["", "maps", "maps/level3", "maps/level3/table"])
def test_any_folder_on_the_way_to_the_tables_may_be_named(
    tmp_path: Path, inner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "maps/level3/table").mkdir(parents=True)
    (tmp_path / "maps/level3/table/1.txt").write_text(TABLE)
    assert read_benchmark(tmp_path / inner) == [POND]
    monkeypatch.chdir(tmp_path / inner)
    assert read_benchmark(Path(".")) == [POND]


def test_folders_are_read_behind_links_and_once(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/1.txt").write_text(TABLE)
    (tmp_path / "set").mkdir()
    (tmp_path / "set/table").symlink_to(tmp_path / "data", target_is_directory=True)
    (tmp_path / "data/again").symlink_to(tmp_path / "set", target_is_directory=True)
    [board] = read_boards(tmp_path / "set")
    assert board.source == "table/1.txt"


def test_a_tilde_is_the_home_folder_where_no_shell_replaces_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "maps/table").mkdir(parents=True)
    (tmp_path / "maps/table/1.txt").write_text(TABLE)
    for name in ("ice", "hole", "start", "goal", "player"):
        Image.new("RGB", (8, 8), (9, 8, 7)).save(tmp_path / f"maps/{name}.png")
    assert read_benchmark(Path("~/maps")) == [POND]
    assert render(POND, 64, "tiles:~/maps")[63, 0].tolist() == [9, 8, 7]
    with pytest.raises(ValueError, match="no boards at ~nobody-here/maps"):
        read_benchmark(Path("~nobody-here/maps"))


@pytest.mark.parametrize("inner", ["Maze", "Maze/2_test"])
def test_any_folder_on_the_way_to_the_mazes_may_be_named(tmp_path: Path, inner: str) -> None:
    (tmp_path / "Maze/2_test").mkdir(parents=True)
    (tmp_path / "Maze/2_test/1.txt").write_text(MAZE)
    assert [layout.task for layout in read_benchmark(tmp_path / inner)] == ["maze"]


@pytest.mark.parametrize(
    "data",
    [
        LINE + b"\n\n" + LINE + b"\n",
        b"\xef\xbb\xbf" + LINE + b"\r\n \t\r\n" + LINE + b"\r\n\r\n",
        b"\n" + LINE + b"\n" + LINE,
    ],
)
@pytest.mark.parametrize("repair", [True, False])
def test_a_recording_edited_by_hand_is_read_and_can_be_continued(
    tmp_path: Path, data: bytes, repair: bool
) -> None:
    file = tmp_path / "human.jsonl"
    file.write_bytes(data)
    assert [each.record() for each in read_episodes(file, repair)] == [EPISODE] * 2
    if repair:
        append_json_line(file, EPISODE)
        assert read_json_lines(file) == [EPISODE] * 3
        assert open_game(PlayConfig(record=file)).played == {EPISODE["layout_id"]}


def test_the_line_of_a_bad_record_is_counted_with_the_empty_ones(tmp_path: Path) -> None:
    file = tmp_path / "human.jsonl"
    file.write_bytes(LINE + b"\n\n\n" + b'{"task": 5}\n')
    with pytest.raises(ValueError, match="line 4: not an episode"):
        read_episodes(file)
    file.write_bytes(LINE + b"\n\n\n" + b"[]\n")
    with pytest.raises(ValueError, match="line 4 is not a record"):
        read_episodes(file)


@pytest.mark.parametrize("how", SAVED)
def test_json_and_hashes_are_the_same_however_their_file_was_saved(
    tmp_path: Path, how: str
) -> None:
    (tmp_path / "config.json").write_bytes(SAVED[how]('{"settings":\n{}}\n'))
    (tmp_path / "hashes").write_bytes(SAVED[how]("0123456789abcdef # one\n"))
    assert read_json(tmp_path / "config.json") == {"settings": {}}
    assert read_hashes(tmp_path / "hashes") == {"0123456789abcdef"}


def saved(tmp_path: Path, picture: Image.Image, **how: object) -> tuple[int, ...]:
    """The pixel at the top left, as it is read from a file."""
    picture.save(tmp_path / "1.png", **how)
    return tuple(np.asarray(read_picture(tmp_path / "1.png"))[0, 0].tolist())


def test_pictures_of_every_kind_are_shown_as_a_viewer_shows_them(tmp_path: Path) -> None:
    half = Image.fromarray(np.full((4, 4), 128 * 257, np.uint16))
    assert saved(tmp_path, half) == (128, 128, 128, 255)
    assert saved(tmp_path, Image.new("L", (4, 4), 128)) == (128, 128, 128, 255)
    assert saved(tmp_path, Image.new("1", (4, 4), 1)) == (255, 255, 255, 255)
    assert saved(tmp_path, Image.new("LA", (4, 4), (7, 9))) == (7, 7, 7, 9)
    assert saved(tmp_path, Image.new("RGBA", (4, 4), (1, 2, 3, 0)))[3] == 0
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([250, 1, 2, *[0] * 765])
    assert saved(tmp_path, palette) == (250, 1, 2, 255)
    assert saved(tmp_path, palette, transparency=0) == (250, 1, 2, 0)
    assert saved(tmp_path, Image.new("RGB", (4, 4), (5, 6, 7)), transparency=(5, 6, 7))[3] == 0


def test_a_picture_that_lies_on_its_side_is_turned(tmp_path: Path) -> None:
    picture = Image.new("RGB", (4, 2))
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "1.png", exif=exif)
    assert read_picture(tmp_path / "1.png").size == (2, 4)


def test_a_picture_without_a_known_white_is_refused_by_name(tmp_path: Path) -> None:
    Image.fromarray(np.ones((2, 2), np.float32)).save(tmp_path / "1.tiff")
    with pytest.raises(ValueError, match=r"1\.tiff is no picture to show: its pixels are of mode"):
        read_picture(tmp_path / "1.tiff")


def test_tiles_of_every_kind_make_a_theme_and_a_broken_one_is_named(tmp_path: Path) -> None:
    for name in ("ice", "hole", "start", "goal", "player"):
        Image.fromarray(np.full((8, 8), 200 * 257, np.uint16)).save(tmp_path / f"{name}.png")
    assert render(POND, 64, f"tiles:{tmp_path}")[63, 0].tolist() == [200, 200, 200]
    (tmp_path / "goal.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"goal\.png is no picture to show"):
        render(POND, 64, f"tiles:{tmp_path}/.")
