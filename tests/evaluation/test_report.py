"""The report: safe, whole in one file, and the boards as they were played."""

import re
from html.parser import HTMLParser

import pytest

from agents.agent import Reply, View
from agents.scripted import Blind, Oracle
from evaluation import modality_gap, perception, planning
from evaluation.rates import wilson
from evaluation.report.__main__ import ReportConfig, run
from evaluation.report.gallery import FAILURES, SUCCESSES, gallery, strokes
from evaluation.report.page import write_report
from evaluation.report.plots import Chart, curves_svg, history_points
from evaluation.report.tables import Row, Table
from evaluation.run_folder import read_run
from vsp_envs import Action, load_layout, simulate
from vsp_envs.core.task_level import select_task_levels
from vsp_envs.scoring.answer_format import split_reply
from vsp_envs.utils.cli import main

KINDS = select_task_levels(["frozenlake:3-4", "maze:3", "minibehaviour:5"])
LAKE = load_layout("frozenlake", {"map": ["SFH", "FFF", "FFG"]})
ROOM = load_layout(
    "minibehaviour",
    {
        "level": 5,
        "start": [4, 0],
        "printer": [3, 0],
        "table": [[0, 2], [0, 3], [0, 4], [1, 2], [1, 3], [1, 4]],
    },
)


class Rude:
    """An agent that answers in HTML."""

    name = "<i>rude</i>"
    view = View()

    def reply(self, requests):
        text = "<script>alert(1)</script><answer>R<b></answer>&amp;"
        return [Reply(text) for _ in requests]


class Page(HTMLParser):
    """Collects tags, and checks that they close in order."""

    void = ("meta", "img")

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.sources = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.void:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def blind(tmp_path_factory):
    out = tmp_path_factory.mktemp("blind")
    planning.evaluate(Blind(), KINDS, episodes=12, out=out)
    return out


def kinds_of(trail):
    return [stroke.kind for stroke in trail]


def drawn(layout, plan, rules="env"):
    return strokes(layout, simulate(layout, plan, rules).states, plan)


def test_the_page_is_whole_in_one_file(blind):
    text = (blind / "report.html").read_text()
    page = Page(text)
    assert "script" not in page.tags and "link" not in page.tags
    assert all(source.startswith(("data:image/png;base64,", "#")) for source in page.sources)
    assert not re.search(r"https?://|@import", text)


def test_the_page_says_what_was_run_and_shows_boards_and_levels(blind):
    text = (blind / "report.html").read_text()
    for said in ("Planning: blind", "frozenlake: success by level", "numpy", "frozenlake, mean"):
        assert said in text
    assert text.count("<figure") == FAILURES + SUCCESSES


def test_failures_come_first_and_from_every_kind(blind):
    boards = gallery(read_run(blind).records)
    assert [board.right for board in boards] == [False] * FAILURES + [True] * SUCCESSES
    task_levels = {(board.record["task"], board.record["level"]) for board in boards[:FAILURES]}
    assert task_levels == set(KINDS)


def test_html_in_a_reply_is_text(tmp_path):
    planning.evaluate(Rude(), KINDS[:1], episodes=2, out=tmp_path)
    text = (tmp_path / "report.html").read_text()
    Page(text)
    assert "<script>" not in text and "<i>rude" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;<mark>&lt;answer&gt;R&lt;b&gt;&lt;/answer" in text
    assert "answer malformed" in text


@pytest.mark.parametrize(
    ("reply", "parts"),
    [
        ("no answer", ("no answer", "", "")),
        ("a <answer>R</answer> b", ("a ", "<answer>R</answer>", " b")),
        (
            "<answer>r</answer><ANSWER>r</Answer>r",
            ("<answer>r</answer>", "<ANSWER>r</Answer>", "r"),
        ),
        ("<answer></answer>", ("", "<answer></answer>", "")),
    ],
)
def test_the_answer_that_was_read_is_marked(reply, parts):
    assert split_reply(reply) == parts


def test_a_refused_move_is_a_stub_and_a_fall_ends_in_the_hole():
    # S . H     up is refused, right moves, right falls into the hole
    trail = drawn(LAKE, [Action.UP, Action.UP, Action.RIGHT, Action.RIGHT])
    assert kinds_of(trail) == ["refused", "move", "fall"]
    assert (trail[0].end_x, trail[0].end_y) == (0.5, pytest.approx(0.05))
    assert (trail[2].end_x, trail[2].end_y) == (2.5, 0.5)


def test_a_way_back_is_drawn_beside_the_way_out():
    there, back = drawn(LAKE, [Action.RIGHT, Action.LEFT])
    assert (there.x, there.y, there.end_x) == (0.5, 0.5, 1.5)
    assert back.x > there.end_x and back.y > there.end_y and back.angle == pytest.approx(180)


def test_pick_and_drop_are_marks_where_the_agent_stands():
    trail = drawn(ROOM, [Action.DROP, Action.PICK, Action.RIGHT])
    assert kinds_of(trail) == ["refused_act", "act", "move"]
    assert [stroke.label for stroke in trail] == ["DROP", "PICK", "R"]
    assert trail[0].x != trail[1].x


def test_perception_pages_show_what_was_misread(tmp_path):
    perception.evaluate(Rude(), KINDS[:1], episodes=2, out=tmp_path)
    text = (tmp_path / "report.html").read_text()
    assert "4 wrong" in text and "frozenlake: holes" in text


def test_several_runs_stand_side_by_side(blind, tmp_path, capsys):
    planning.evaluate(Oracle(), KINDS[:1], episodes=2, out=tmp_path / "oracle")
    out = tmp_path / "both.html"
    main(run, ReportConfig, [str(blind), str(tmp_path / "oracle"), "--out", str(out)])
    text = out.read_text()
    Page(text)
    assert text.index("Summary") < text.index(">oracle") and str(out) in capsys.readouterr().out


def test_a_folder_without_a_run_is_refused_in_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(run, ReportConfig, [str(tmp_path)])
    assert "holds no finished run: there is no results.json" in capsys.readouterr().err


def test_a_summary_of_ones_own_has_rates_notes_and_gaps(tmp_path):
    table = Table(["success", "exact"], [Row("SFT <1>", [wilson(9, 10), None], "by hand")])
    points = [{"step": step, "name": "OPCD", "value": 2 / step} for step in (1, 2)]
    chart = Chart("loss", points)
    write_report(tmp_path / "page.html", "Demo", table=table, charts=[chart], lead="Hello.")
    text = (tmp_path / "page.html").read_text()
    Page(text)
    for said in ("SFT &lt;1&gt;", "by hand", "90.0", "59.6–98.2", "–</td>", "Hello.", "<svg"):
        assert said in text


def test_a_trainer_history_gives_a_curve():
    history = [{"loss": 2.0, "step": 1}, {"eval": 1.0, "step": 1}, {"loss": 1.0, "step": 2}]
    points = history_points(history, "loss", "SFT")
    assert [tuple(point) for point in points] == [(1, "SFT", 2.0), (2, "SFT", 1.0)]
    assert curves_svg(Chart("loss", points)).startswith("<svg")


def test_a_report_takes_the_folder_of_a_modality_gap(tmp_path, capsys):
    asked = ["--agent", "oracle", "--tasks", "maze:3", "--episodes", "4", "--quiet"]
    main(modality_gap.run, modality_gap.GapConfig, [*asked, "--out", str(tmp_path / "gap")])
    assert "next: python -m evaluation.report" in capsys.readouterr().out
    out = tmp_path / "page.html"
    main(run, ReportConfig, [str(tmp_path / "gap"), "--out", str(out)])
    text = out.with_suffix(".md").read_text()
    assert f"minus {tmp_path}/gap/image" in text and f"| {tmp_path}/gap/text |" in text
