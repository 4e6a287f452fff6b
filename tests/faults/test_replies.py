"""Hostile replies: none raises, none takes more than linear time, none runs as a script."""

import json
import random
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.agent import Reply, View
from agents.scripted import Oracle
from evaluation import perception, planning
from evaluation.perceived import state_exact
from evaluation.perception_errors import perception_errors
from evaluation.report.gallery import board
from vsp_envs import TASKS, Layout, LayoutSpec, draw_distinct, get_task
from vsp_envs.core.task_level import TaskLevel
from vsp_envs.scoring.answer_format import ParseStatus
from vsp_envs.scoring.episode import Episode, score_episode
from vsp_envs.scoring.perception import facts_of_reply
from vsp_envs.scoring.score import score_reply

LAYOUTS = [
    draw_distinct(LayoutSpec(task, get_task(task).paper_levels[0]), 1, seed=0)[0] for task in TASKS
]
TRUE = [Oracle().answer(layout) for layout in LAYOUTS]
PIECES = [
    *("<answer>", "</answer>", "<ANSWER>", "</Answer>", "<answer", "</", ">", "<answer/>"),
    *("L", "D", "R", "U", "left", "Down", "PICK", "PICK UP", "pick_up", "put-down", "DROP", "UPI"),
    *("←", "→", ",", " ", "-", "\n", "\r\n", "\t", "\x00", "\x0b", "\x1c", "\u2028", "\ufeff", "."),
    *("size 3", "player (0,0)", "holes", "(1,1)", "(", ")", "9" * 5000, "cells [NSWE]", "[", "]"),
    *("٣", "３", "²", "Ⅳ", "ı", "ſ", "K", "Ｒ", "Я", "Ꭱ", "𝐑", "R\u0301", "＜answer＞", "\u202e"),
    *("\ud800", "\udfff", "🧊", "<script>", "{{ 7*7 }}", "%s", "\\", '"', "'", "&lt;", "$x$"),
]  # fmt: skip


def random_reply(draw: random.Random) -> str:
    """Pieces, bytes, nested tags, or a right answer with some of it lost, doubled or replaced."""
    match draw.randrange(4):
        case 0:
            return "".join(draw.choices(PIECES, k=draw.randrange(40)))
        case 1:
            said = draw.randbytes(draw.randrange(200))
            return said.decode(draw.choice(["latin-1", "utf-16-le"]), errors="replace")
        case 2:
            depth = draw.randrange(50)
            inside = "".join(draw.choices(PIECES, k=3))
            return "<answer>" * depth + inside + "</answer>" * draw.randrange(50)
    reply = list(draw.choice(TRUE))
    for _ in range(draw.randrange(6)):
        reply[draw.randrange(len(reply))] = draw.choice(["", "RR", *PIECES])
    return "".join(reply)


def read(reply: str, layout: Layout) -> str:
    """What evaluation makes of a reply: its score, the same twice, and its facts; the status."""
    one, other = score_reply(layout, reply), score_reply(layout, reply)
    assert one == other and (one.status == "ok" or not one.parsed.plan)
    assert all(fact.right in (True, False) for fact in facts_of_reply(reply, layout))
    return str(one.status)


def keep(reply: str, layout: Layout) -> None:
    """What a run and its report make of it."""
    record = score_episode(layout, Reply(reply).text, input="image", image={}, prompt="").record()
    assert Episode.of(json.loads(json.dumps(record))).record() == record
    assert state_exact(record) in (True, False, None)
    assert perception_errors([record]).boards in (0, 1)
    board(record)


def test_any_reply_is_read_and_twice_the_same(long, record_property):
    """Replies of random pieces, bytes, nested tags, look-alikes, and right answers mutilated."""
    draw, count = random.Random(0), 90_000 if long else 1_000
    statuses = []
    for number in range(count):
        reply, layout = random_reply(draw), LAYOUTS[number % 3]
        statuses.append(read(reply, layout))
        if number % 20 == 0:
            keep(reply, layout)
    found = {status: statuses.count(status) for status in sorted(set(statuses))}
    assert set(found) == set(map(str, ParseStatus))
    record_property("replies", count)
    record_property("statuses", ", ".join(f"{n} {status}" for status, n in found.items()))


def test_any_reply_that_hypothesis_finds_is_read_and_twice_the_same(long, record_property):
    """Replies that hypothesis makes: any text, around and inside of answer blocks."""
    count, text = 10_000 if long else 100, st.text(st.characters(exclude_categories=()))
    inside = st.lists(st.one_of(text, st.sampled_from(PIECES))).map("".join)

    @settings(max_examples=count, suppress_health_check=list(HealthCheck))
    @given(st.one_of(text, inside, inside.map(lambda each: f"<answer>{each}</answer>")))
    def check(reply):
        for layout in LAYOUTS:
            read(reply, layout)
        keep(reply, LAYOUTS[len(reply) % 3])

    check()
    record_property("replies", count)


BOMBS = [
    *("<answer>", "</answer>", "<answer></answer>", "<answer>R", "<a", "</answer", "R", "P"),
    *("PICK UP", "PICK" + " " * 100, "UP ,", "PUT ", "-", " ", "\n", "\t", "\x1c", "size "),
    *("holes (1,1) ", "(", "(1", "(1,", "(1,1)", ") (", ") , (", "9", "٣", "* ", "1.", "[NS", "ı"),
]  # fmt: skip


@pytest.mark.parametrize(
    "frame", ["{}", "<answer>{}</answer>", "<answer>R</answer>{}", "holes {}x"]
)
def test_a_long_reply_takes_time_in_proportion_to_its_length(frame, long, record_property):
    """Answers of 1 MB made of one piece each, such as tags, spaces, brackets and digits: time
    against that for 100 kB."""

    [lake, *_] = LAYOUTS

    def cost(bomb: str, length: int) -> float:
        reply = frame.format(bomb * (length // len(bomb)))
        times = []
        for _ in range(2 if long and length < 1_000_000 else 1):
            began = time.process_time()
            read(reply, lake)
            times.append(time.process_time() - began)
        return min(times)

    most = 1_000_000 if long else 10_000
    ratios = {bomb: cost(bomb, most) / max(cost(bomb, most // 10), 0.002) for bomb in BOMBS}
    worst = max(ratios, key=ratios.__getitem__)
    assert not long or ratios[worst] < 30, (worst, ratios)  # ten times is linear, a hundred square
    record_property("bombs", len(BOMBS))
    record_property("worst ratio for ten times the length", f"{ratios[worst]:.1f}")


def test_long_replies_make_no_long_page(tmp_path):
    class Endless(Oracle):
        def answer(self, layout):
            long = "R" * 30_000
            return f"{long}\nholes {long}\n<answer>{long}</answer>{long}"

    planning.evaluate(Endless(), [TaskLevel("frozenlake", 3)], episodes=2, out=tmp_path)
    assert (tmp_path / "report.html").stat().st_size < 1_000_000


def test_a_reply_that_holds_half_a_character_can_be_kept_and_shown(tmp_path):
    class Broken(Oracle):
        name, view = "half \ud800", View()

        def reply(self, requests):
            said = [each.text for each in super().reply(requests)]
            return [Reply(f"\udcff {text} \ud83e", error="") for text in said]

    for command, name in ((planning, "plan"), (perception, "perceive")):
        out = tmp_path / name
        first = command.evaluate(Broken(), [TaskLevel("frozenlake", 3)], episodes=2, out=out)
        assert (
            command.evaluate(Broken(), [TaskLevel("frozenlake", 3)], episodes=2, out=out) == first
        )
    [record, _] = map(json.loads, (tmp_path / "plan/replies.jsonl").read_text().splitlines())
    assert Episode.of(record).success
