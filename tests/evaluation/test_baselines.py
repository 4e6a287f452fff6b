"""The table of the scripted agents, and the speed benchmark's two clients."""

import pytest

from benchmarks.endpoint import running
from benchmarks.evaluation import PASS, our_client, plain_client
from evaluation import baselines
from evaluation.baselines import BaselinesConfig
from tests.public_rows import LAKE_ROW, ROOM_ROW, rows
from vsp_envs.utils.cli import main


def test_the_table_has_every_task_and_the_public_sets_that_are_there(tmp_path, capsys):
    (tmp_path / "visualplanning").mkdir()
    rows(tmp_path / "visualplanning", LAKE_ROW, ROOM_ROW)
    out = tmp_path / "docs/baselines.md"
    arguments = ("--benchmarks", str(tmp_path), "--episodes", "4", "--out", str(out))
    main(baselines.run, BaselinesConfig, arguments)
    lines = [line for line in out.read_text().splitlines() if line.startswith("| ")]
    names = [line.split("|")[1].strip() for line in lines]
    assert names == [
        "test set", "---", "frozenlake", "maze", "minibehaviour", "macro mean",
        "VisualPlanning frozenlake", "VisualPlanning minibehaviour",
    ]  # fmt: skip
    assert all("| 100 (" in line for line in lines[2:])
    assert str(out) in capsys.readouterr().out.replace("\n", "")


def test_a_folder_without_a_public_set_is_refused_before_anything_is_played(tmp_path):
    with pytest.raises(ValueError, match=r"no vsp_frozenlake, visualplanning or diffthinker in"):
        baselines.run(BaselinesConfig(benchmarks=str(tmp_path), out=tmp_path / "table.md"))
    assert not (tmp_path / "table.md").exists()


@pytest.mark.slow
def test_both_clients_of_the_benchmark_get_all_their_answers():
    with running() as server:
        url = f"{server}/v1"
        assert our_client(url, True)() == plain_client(url, True)() == PASS
