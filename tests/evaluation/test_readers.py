"""The reader of answers in a run: named, kept, resumed, and the others beside it."""

import json

import pytest

from agents.agent import Reply, View
from agents.multi_turn import TurnPolicy
from agents.scripted import Oracle
from evaluation import modality_gap, planning
from evaluation.report.page import by_reader
from evaluation.report.tables import markdown
from evaluation.run_folder import read_run
from vsp_envs import shortest_plan
from vsp_envs.core.task_level import TaskLevel
from vsp_envs.scoring.answer_readers import READERS
from vsp_envs.utils.cli import main

KINDS = [TaskLevel("frozenlake", 3), TaskLevel("maze", 3)]


class Listing:
    """An agent that writes right plans as a numbered list, which only `tolerant` reads so."""

    name, view = "listing", View()

    def reply(self, requests):
        return [Reply(self.words(request)) for request in requests]

    def words(self, request):
        moves = [move.name.title() for move in shortest_plan(request.layout)[request.played :]]
        lines = [f"{number}. {move}" for number, move in enumerate(moves, start=1)]
        return "<answer>" + "\n".join(lines) + "</answer>"


def config(folder):
    return json.loads((folder / "config.json").read_text())


def rates(results, part):
    return {name: rate["value"] for name, rate in part(results).items() if name in READERS}


def test_a_new_run_reads_tolerantly_and_says_what_the_other_readers_make_of_its_replies(tmp_path):
    results = planning.evaluate(Listing(), KINDS, episodes=6, out=tmp_path)
    assert results["macro"]["success"]["value"] == 1
    assert results["reader"] == config(tmp_path)["settings"]["reader"] == "tolerant"
    found = rates(results, lambda each: each["readers"]["macro"])
    assert found["strict"] == 0 and found["tolerant"] == 1 and found["mgsd"] < 1
    lake = results["readers"]["tasks"]["frozenlake"]["levels"]["3"]["tolerant"]
    assert lake["n"] == 6 and lake["low"] < 1 == lake["high"]
    table = markdown(by_reader(read_run(tmp_path).results))
    assert "| success, read by | strict | tolerant | mgsd | n |" in table
    assert "success, read by" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("reader", sorted(READERS))
def test_the_reader_that_is_named_scores_the_run(tmp_path, reader):
    results = planning.evaluate(Listing(), KINDS, episodes=4, out=tmp_path, reader=reader)
    assert results["macro"]["success"] == results["readers"]["macro"][reader]
    other = next(each for each in READERS if each != reader)
    with pytest.raises(ValueError, match=f"reader '{reader}', now '{other}'"):
        planning.evaluate(Listing(), KINDS, episodes=4, out=tmp_path, reader=other)
    again = planning.evaluate(Listing(), KINDS, episodes=4, out=tmp_path)
    assert again == results  # without a reader, a run goes on with its own


def test_a_run_from_before_readers_goes_on_with_the_strict_one(tmp_path):
    planning.evaluate(Listing(), KINDS[:1], episodes=4, out=tmp_path, reader="strict")
    kept = config(tmp_path)
    del kept["settings"]["reader"]
    (tmp_path / "config.json").write_text(json.dumps(kept))
    lines = (tmp_path / "replies.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "replies.jsonl").write_text("".join(lines[:2]))
    results = planning.evaluate(Listing(), KINDS[:1], episodes=4, out=tmp_path)
    assert (results["reader"], results["macro"]["success"]["value"]) == ("strict", 0)
    assert (tmp_path / "replies.jsonl").read_text() == "".join(lines)
    with pytest.raises(ValueError, match="reader 'strict', now 'tolerant'"):
        planning.evaluate(Listing(), KINDS[:1], episodes=4, out=tmp_path, reader="tolerant")


def test_replies_of_several_turns_are_read_by_the_reader_and_not_read_anew():
    step = TurnPolicy(act="step")
    found = {
        reader: planning.evaluate(Listing(), KINDS, episodes=3, turn_policy=step, reader=reader)
        for reader in ("strict", "tolerant")
    }
    assert found["strict"]["macro"]["success"]["value"] == 0
    assert found["tolerant"]["macro"]["success"]["value"] == 1
    assert found["tolerant"]["readers"] == {}
    assert by_reader(found["tolerant"]) is None


def test_an_unknown_reader_is_refused_before_a_run_begins(tmp_path, capsys):
    asked = ["--agent", "oracle", "--out", str(tmp_path / "run"), "--reader", "mgds", "--quiet"]
    for module, options in (
        (planning, planning.PlanningConfig),
        (modality_gap, modality_gap.GapConfig),
    ):
        with pytest.raises(SystemExit):
            main(module.run, options, asked)
        assert "mgds" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_the_gap_is_read_by_the_reader_that_is_named(tmp_path):
    options = {"tasks": ("maze:3",), "episodes": 3, "quiet": True, "agent": "oracle"}
    for reader in ("", "mgsd"):
        out = tmp_path / (reader or "default")
        modality_gap.evaluate(Oracle(), modality_gap.GapConfig(out=out, reader=reader, **options))
        for run in ("image", "text"):
            assert config(out / run)["settings"]["reader"] == (reader or "tolerant")


def test_an_unknown_reader_is_an_error_that_names_the_readers(tmp_path):
    with pytest.raises(
        ValueError, match=r"readers are strict, tolerant, mgsd. Did you mean 'mgsd'"
    ):
        planning.evaluate(Listing(), KINDS, episodes=3, out=tmp_path / "run", reader="mgds")
    assert not (tmp_path / "run").exists()
