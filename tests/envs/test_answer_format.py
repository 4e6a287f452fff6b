"""How replies are read: a table of spellings, and no text that breaks the parser."""

from __future__ import annotations

import random

import pytest
from drawn import plan
from growth import growth

from vsp_envs import TASKS, Action, ParseStatus, format_answer, get_task, parse_plan
from vsp_envs.scoring.answer_format import action_name, format_instruction

OK, MISSING = ParseStatus.OK, ParseStatus.MISSING
EMPTY, MALFORMED = ParseStatus.EMPTY, ParseStatus.MALFORMED


def read(answer: str, task: str = "minibehaviour") -> list[Action] | ParseStatus:
    """The plan in an answer block, or the status of an answer that holds none."""
    parsed = parse_plan(f"<answer>{answer}</answer>", task)
    assert (parsed.status is OK) == bool(parsed.plan)
    return parsed.plan or parsed.status


@pytest.mark.parametrize(
    ("answer", "actions"),
    [
        # letters
        ("RRDD", "R R D D"),
        ("rrdd", "R R D D"),
        ("R,R,D,D", "R R D D"),
        ("R, R, D, D", "R R D D"),
        ("R R D D", "R R D D"),
        ("R-R-D-D", "R R D D"),
        ("R - R,\n\tD ,D", "R R D D"),
        (" ,-RRDD-, ", "R R D D"),
        # words
        ("RIGHT,RIGHT,DOWN,DOWN", "R R D D"),
        ("right right down down", "R R D D"),
        ("Up, Left, Down, Right", "U L D R"),
        ("RIGHTRIGHTDOWNDOWN", "R R D D"),
        ("LeftL", "L L"),
        ("UUP", "U U"),
        # arrows
        ("→→↓↓", "R R D D"),
        ("← ↓ → ↑", "L D R U"),
        ("→PICK↓DROP", "R PICK D DROP"),
        ("PICK → → DROP", "PICK R R DROP"),
        # arrows between letters or words part them
        ("D → R → R → D", "D R R D"),
        ("Left→Up", "L U"),
        ("RR→D", "R R D"),
        ("PICK → D → DROP", "PICK D DROP"),
        # what is done with the printer
        ("L,PICK,D,DROP", "L PICK D DROP"),
        ("L PICK D DROP", "L PICK D DROP"),
        ("LPICKDDROP", "L PICK D DROP"),
        ("l-pick-d-drop", "L PICK D DROP"),
        ("R,PICK_UP,D,PUT_DOWN", "R PICK D DROP"),
        ("R,PICK-UP,D,PUT-DOWN", "R PICK D DROP"),
        ("R,pickup,D,putdown", "R PICK D DROP"),
        ("R, pick up, D, put down", "R PICK D DROP"),
        ("R, Pick Up", "R PICK"),
        ("R, pick up\n\n", "R PICK"),
        ("R, pick up\r\n", "R PICK"),
        ("R, pick up\n, D", "R PICK D"),
        # "pick up" with a space is one action between commas or arrows alone
        ("left → pick up → down → drop", "L PICK D DROP"),
        ("L → pick up", "L PICK"),
        ("PICK UP UP DROP", "PICK U U DROP"),
        ("PICK,UP,UP,DROP", "PICK U U DROP"),
        ("pick up,drop", "PICK DROP"),
        ("PICK UP DROP", "PICK U DROP"),
        # words that run into each other
        ("UPICK", "U PICK"),
        ("UPPICK", "U PICK"),
        ("UPPUTDOWN", "U DROP"),
        ("UPUTDOWN", "U DROP"),
        ("PICKUPICK", "PICK U PICK"),
        ("DROPDOWN", "DROP D"),
        ("DDROP", "D DROP"),
        ("PICKUPUP", "PICK U"),
    ],
)
def test_spellings_that_are_read(answer: str, actions: str) -> None:
    assert read(answer) == plan(actions)


@pytest.mark.parametrize(
    "answer",
    [
        "RIGHTWARDS", "RRX", "X", "R,R,PLACE", "4 5", "0123", "R1D2", "RR;DD", "R|D", "R/D", "R.D.",
        "R,R,D,D.", "(0,0) (0,1)", "[R, D]", '"RD"', "**RD**", "none", "RR then DD", "NORTH", "PUT",
        "PICK__UP", "PUT  DOWN", "R_D", "<b>RD</b>", "R>D", "...", "…", "R\0D",
        # arrows that could be moves and could part, or can be neither
        "PICK → DROP", "→ PICK → DROP", "R ← D", "R ↑ D", "→ R → D", "R → D →", "R → → D",
    ],
)  # fmt: skip
def test_anything_that_is_no_action_makes_an_answer_malformed_and_is_never_dropped(
    answer: str,
) -> None:
    assert read(answer) is MALFORMED


@pytest.mark.parametrize(
    "answer",
    [
        "ᴿ", "Ｒ", "Ｒ\N{FULLWIDTH LATIN CAPITAL LETTER D}", "\N{LATIN SMALL LETTER DOTLESS I}",
        "R\N{LATIN SMALL LETTER DOTLESS I}GHT", "R\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}GHT",
        "P\N{LATIN SMALL LETTER DOTLESS I}CK", "P\N{CYRILLIC CAPITAL LETTER I}CK",
        "\N{GREEK CAPITAL LETTER UPSILON}P", "\N{CYRILLIC CAPITAL LETTER ER}ICK",
        "Я", "R٣",
        "DROP\N{ZERO WIDTH SPACE}", "R\N{COMBINING ACUTE ACCENT}", "PIC\N{KELVIN SIGN}", "⇒", "➡",
        "➡️", "⬅️", "▲", "R\N{FULLWIDTH COMMA}D", "R\N{EN DASH}D", "R\N{MINUS SIGN}D",
    ],
)  # fmt: skip
def test_look_alikes_of_letters_and_arrows_are_malformed(answer: str) -> None:
    assert read(answer) is MALFORMED


def test_spaces_of_any_kind_part_actions() -> None:
    assert read("R\N{NO-BREAK SPACE}D\u2003D\r\nD") == plan("R D D D")


@pytest.mark.parametrize("answer", ["", " ", "\n", ",", " , - , "])
def test_a_block_with_nothing_in_it_is_empty(answer: str) -> None:
    assert read(answer) is EMPTY


@pytest.mark.parametrize(
    "reply",
    [
        "", "RRDD", "The plan is RRDD.", "<answer>", "</answer>", "<answer>RRDD", "RRDD</answer>",
        "</answer>RRDD<answer>", "<answer RRDD</answer>", "< answer >RRDD</ answer >",
        "<ANSWER>RRDD", "answer: RRDD", "\\boxed{RRDD}", "<answer/>RRDD", "＜answer＞R＜/answer＞",
        "<\N{CYRILLIC SMALL LETTER A}nswer>R</\N{CYRILLIC SMALL LETTER A}nswer>",
        "<an\N{LATIN SMALL LETTER LONG S}wer>R</an\N{LATIN SMALL LETTER LONG S}wer>",
    ],
)  # fmt: skip
def test_a_reply_without_a_complete_block_is_missing_its_answer(reply: str) -> None:
    assert parse_plan(reply, "maze") == (MISSING, [], "")


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("<answer>RR</answer><answer>DD</answer>", "DD"),
        ("<answer>RR</answer> or rather <answer>DD</answer>.", "DD"),
        ("<answer>RR</answer> and <answer>DD", "RR"),
        ("<answer>RR<answer>DD</answer>", "DD"),
        ("<answer>RR<answer>DD</answer></answer>", "DD"),
        ("<answer>RR</answer></answer>", "RR"),
        ("<answer>RR</answer> That is all in the </answer> tag.", "RR"),
        ("</answer><answer>RR</answer>", "RR"),
        ("<Answer>RR</ANSWER>", "RR"),
        ("<answer>RR</answer>\nThe route is DD.", "RR"),
        ("route (0,0) (0,1)\n<answer>\nRR\n</answer>\n", "\nRR\n"),
        ("<think>I will end with <answer>.</think><answer>RR</answer>", "RR"),
        ("<answer>RR</answer><answer></answer>", ""),
        ("<answer>RR</answer><answer>?</answer>", "?"),
    ],
)
def test_the_last_complete_block_counts(reply: str, answer: str) -> None:
    parsed = parse_plan(reply, "maze")
    assert parsed.answer == answer
    expected = {"RR": plan("R R"), "DD": plan("D D"), "\nRR\n": plan("R R")}
    assert parsed.plan == expected.get(answer, [])
    assert parsed.status is {"": EMPTY, "?": MALFORMED}.get(answer, OK)


def test_letters_outside_ascii_before_a_block_do_not_shift_it() -> None:
    assert parse_plan("İİİ ß ﬀ <ANSWER>R</ANSWER>", "maze").answer == "R"


def test_actions_of_another_task_are_malformed() -> None:
    for task in ("frozenlake", "maze"):
        assert read("R,PICK,DROP", task) is MALFORMED
        assert read("RRDD", task) == plan("R R D D")


def test_untagged_replies_are_read_only_when_asked_for() -> None:
    assert parse_plan("R, R, D", "maze").status is MISSING
    assert parse_plan("R, R, D", "maze", untagged=True).plan == plan("R R D")
    assert parse_plan("The plan: R, R, D", "maze", untagged=True).status is MALFORMED
    assert parse_plan("", "maze", untagged=True).status is EMPTY
    # A block still counts before the text around it.
    assert parse_plan("R <answer>D</answer>", "maze", untagged=True).plan == plan("D")
    assert parse_plan("R <answer>?</answer>", "maze", untagged=True).status is MALFORMED


def test_the_answer_is_kept_as_written_and_shortened() -> None:
    assert parse_plan("<answer> r→X </answer>", "maze").answer == " r→X "
    assert parse_plan(f"<answer>{'R' * 500}</answer>", "maze").answer == "R" * 200
    assert len(parse_plan(f"<answer>{'R' * 500}</answer>", "maze").plan) == 500


def test_an_unknown_task_is_an_error_and_not_a_status() -> None:
    with pytest.raises(ValueError, match="unknown task 'mase'"):
        parse_plan("<answer>R</answer>", "mase")


# Any text


PIECES = [
    "<answer>", "</answer>", "<ANSWER>", "<", ">", "/", "L", "D", "R", "U", "l", "PICK", "UP",
    "DOWN", "PUT", "DROP", "pick up", "PICK_UP", "put-down", "←", "→", " ", ",", "-", "_", "\n",
    "\0", "İ", "ı", "➡", "\ud800", "x", "(0,1)", "é", "𝐑",
]  # fmt: skip


def test_ten_thousand_random_strings_are_read_without_an_exception_and_always_alike() -> None:
    draw = random.Random(0)
    seen = set()
    for _ in range(10_000):
        reply = "".join(draw.choices(PIECES, k=draw.randrange(12)))
        if draw.random() < 0.5:
            reply = f"<answer>{reply}</answer>"
        for task in TASKS:
            first, second = (parse_plan(reply, task, untagged=len(reply) % 2 == 0) for _ in "ab")
            assert first == second
            assert isinstance(first.status, ParseStatus)
            assert (first.status is OK) == bool(first.plan)
            assert set(first.plan) <= set(get_task(task).actions)
            seen.add(first.status)
    assert seen == set(ParseStatus)


@pytest.mark.parametrize(
    "piece",
    ["R", "<answer>", "</answer>", "<answer>R", "<answer></answer>", " ", "PICK ", "PICK UP ", "<",
     "PUT-", "\n", "ı", "PICK" + " " * 1000],
)  # fmt: skip
@pytest.mark.parametrize("tagged", [True, False])
def test_a_long_reply_is_read_in_linear_time(piece: str, tagged: bool) -> None:
    def read(length: int) -> None:
        text = piece * (length // len(piece))
        parse_plan(f"<answer>{text}</answer>" if tagged else text, "minibehaviour", untagged=True)

    assert growth(read, 20_000) < 40


# There and back


@pytest.mark.parametrize("task", TASKS)
def test_a_written_plan_is_read_back(task: str) -> None:
    draw = random.Random(1)
    for _ in range(300):
        actions = draw.choices(get_task(task).actions, k=draw.randrange(1, 30))
        assert parse_plan(format_answer(actions, task), task)[:2] == (OK, actions)
    assert parse_plan(format_answer([], task), task).status is EMPTY


def test_answers_are_written_with_commas_where_actions_are_words() -> None:
    assert format_answer(plan("R R D D"), "frozenlake") == "<answer>RRDD</answer>"
    assert format_answer(plan("L PICK D DROP"), "minibehaviour") == "<answer>L,PICK,D,DROP</answer>"


@pytest.mark.parametrize("task", TASKS)
def test_the_instruction_names_the_tag_and_every_action_and_is_itself_no_answer(task: str) -> None:
    text = format_instruction(task)
    assert "<answer>" in text and "</answer>" in text
    assert all(action_name(action) in text for action in get_task(task).actions)
    assert parse_plan(text, task).status is MALFORMED  # a model that copies it has not answered
