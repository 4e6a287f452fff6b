"""The readers by name: what each reads, that none invents, raises or slows down."""

from __future__ import annotations

import re

import pytest
from drawn import plan
from growth import growth
from hypothesis import given
from hypothesis import strategies as st

from vsp_envs import (
    TASKS,
    Action,
    ParseStatus,
    format_answer,
    get_task,
    load_layout,
    parse_plan,
    score_reply,
)
from vsp_envs.scoring.answer_format import action_name
from vsp_envs.scoring.answer_readers import READERS

OK, MISSING = ParseStatus.OK, ParseStatus.MISSING
EMPTY, MALFORMED = ParseStatus.EMPTY, ParseStatus.MALFORMED


def read(answer: str, reader: str, task: str = "minibehaviour") -> list[Action] | ParseStatus:
    parsed = parse_plan(f"<answer>{answer}</answer>", task, reader=reader)
    assert (parsed.status is OK) == bool(parsed.plan)
    return parsed.plan or parsed.status


@pytest.mark.parametrize(
    ("answer", "actions"),
    [
        # punctuation and markdown
        ("R, R, D.", "R R D"), ("R. R. D.", "R R D"), ("R; R; D", "R R D"), ("R|R|D", "R R D"),
        ("R/R/D", "R R D"), ("[R, R, D]", "R R D"), ("(R, R, D)", "R R D"), ("{R, D}", "R D"),
        ('["Right", "Right", "Down"]', "R R D"), ("['R', 'D']", "R D"), ('"RRD"', "R R D"),
        ('{"actions": ["R", "D"]}', "R D"), ("`RRD`", "R R D"), ("**R, D**", "R D"),
        ("```\nR, D\n```", "R D"), ("```json\n[\"R\", \"D\"]\n```", "R D"), ("- R\n- D", "R D"),
        ("* R\n* D", "R D"), ("• Right\n• Down", "R D"), ("R_D", "R D"), ("R, D!", "R D"),
        ("“R”, “D”", "R D"), ("R – D", "R D"), ("R − D", "R D"), ("_R, D_", "R D"),
        # words between
        ("Right, then Down", "R D"), ("Right then down and left", "R D L"), ("go right", "R"),
        ("First right, next down, finally up.", "R D U"), ("Move right, then move down.", "R D"),
        ("Downward, Rightwards", "D R"), ("UPWARDS LEFTWARD", "U L"),
        # arrows
        ("R -> D", "R D"), ("R => D", "R D"), ("R > D > D", "R D D"), ("R --> D", "R D"),
        ("R → D → D", "R D D"), ("➡️⬇️", "R D"), ("⇒ ⇓", "R D"), ("→ → ↓", "R R D"),
        ("→ PICK ↓ DROP", "R PICK D DROP"), (r"R \rightarrow D", "R D"), (r"$R \to D$", "R D"),
        ("⮕ ⬇", "R D"), ("R ➔ D ➜ D", "R D D"), ("R › D", "R D"),
        (r"\longrightarrow \downarrow", "R D"),
        # numbering
        ("1. Right\n2. Down", "R D"), ("1) R 2) D", "R D"), ("(1) R (2) D", "R D"),
        ("1: Right\n2: Down", "R D"), ("0. R\n1. D", "R D"), ("Step 1: Right\nStep 2: Down", "R D"),
        ("1. R, R\n2. D", "R R D"), ("1. **Right**\n2. **Down**", "R D"),
        ("Action 1: Right\nAction 2: Down", "R D"), ("Turn 1: R. Turn 2: D.", "R D"),
        # the actions' numbers
        ("2,2,1", "R R D"), ("221", "R R D"), ("2 2 1", "R R D"), ("[2, 1, 4, 5]", "R D PICK DROP"),
        ("2, 1.", "R D"), ("2-1", "R D"), ("2 → 2 → 1", "R R D"), ("(2, 2, 1)", "R R D"),
        ("{2, 1}", "R D"), ('{"path": [2, 2, 1]}', "R R D"), (r"\boxed{2,1}", "R D"),
        ("Action: 2", "R"),
        # LaTeX, full width, labels
        (r"\boxed{RRD}", "R R D"), (r"$\boxed{\text{R, D}}$", "R D"), ("ＲＲＤ", "R R D"),
        ("Ｒ，Ｄ。", "R D"), ("R、D", "R D"), ("Plan: R, D", "R D"), ("**Answer:** RD", "R D"),
        ("Action plan: L,L,R", "L L R"), ("The shortest path is R, D", "R D"), ("Move: R, D",
        "R D"),
        ("Solution:\n1. R\n2. D", "R D"), ("### Plan\nR, D", "R D"), (r"\text{R} \to \text{D}",
        "R D"),
        (r"\mathtt{RD}", "R D"), (r"\(R, D\)", "R D"), (r"\{R \, D\}", "R D"),
        # other signs
        ("「R、D」", "R D"), ("【R】", "R"), ("R・D", "R D"), ("R؛ D", "R D"), ("<R, D>", "R D"),
        ("R + D", "R D"), ("R & D", "R D"), ("R -&gt; D", "R D"), ("R&nbsp;D", "R D"),
        ("&rarr; &darr;", "R D"), ("&quot;R&quot;", "R"), ("```right\ndown\n```", "R D"),
        ("```RRD\n```", "R R D"),
        # the printer
        ("Pick up; put down", "PICK DROP"), ("R\nPick up\nD\nPut down", "R PICK D DROP"),
        ("1. Pick up\n2. Drop", "PICK DROP"), ("pick up, then drop", "PICK DROP"),
        ('["pick up", "drop"]', "PICK DROP"), ("PICK UP UP DROP", "PICK U U DROP"),
        ("R\N{ZERO WIDTH SPACE}D", "R D"), ("PICK_UP|PUT_DOWN", "PICK DROP"),
        ("PICK&nbsp;UP, DROP", "PICK DROP"), ("|RRD|", "R R D"), ("/RD/", "R D"),
        ("actions = ['R', 'D']", "R D"), ("final_answer: RD", "R D"),
    ],
)  # fmt: skip
def test_the_tolerant_reader_reads_whatever_has_one_meaning(answer: str, actions: str) -> None:
    assert read(answer, "tolerant") == plan(actions)


@pytest.mark.parametrize(
    "answer",
    [
        "R or D", "not R", "don't go left", "R, maybe D", "R?", "R, R, ..., D", "R, …, D", "R etc.",
        "Right (R), Down (D)", "R (right)", "RRD (right, right, down)", "R [right]", "R = right",
        "Right 2, Down 1", "2R", "R2", "R x2", "R1D2", "2 right, 1 down", "1 R 2 D", "3. R\n4. D",
        "1. R\n3. D", "R 1. D", "1. R\n2.", "1.\n2. R", "2. R\n1. D", "1. 2\n2. 1", "1. R 1. D",
        "(0,1)", "(0,0) (0,1)", "From (0,1) go right", "12, 3", "6", "9,9",
        "PICK → DROP", "R ← D", "R ↑ D", "→ R → D", "pick up put down", "NORTH", "Я", "ᴿ", "R\0D",
        "```or D", "D```not ", "D```Rthen U", "-> R", "R ->", "R -> -> D", "-> -> ↓",
        "R -> → D", "→ PICK -> DROP", "<- R", "U <- R",
        "R → (right) D → (down)", "R, D / D, R", "R, D | D, R", "RD|DR", "R/U, D", "RR/DD",
        "```R\nD\n```", "```r\nRRD\n```",
        "Moves: 3", "Path: 12", '{"moves": 3}', "(2, 1)", "R &or; D", "R&DD;U", "&not;R", r"\neg R",
        "<b>R</b>",
        "PLACE", "I go right", "right to finish", "none", "?", "...", "[]", "\"\"", ">", "1.",
    ],
)  # fmt: skip
def test_the_tolerant_reader_refuses_what_has_two_meanings_or_none(answer: str) -> None:
    expected = plan("D") if answer == "1." else MALFORMED  # the action's number with a full stop
    assert read(answer, "tolerant") == expected


@pytest.mark.parametrize(
    "between",
    [", ", ",", "; ", ". ", " | ", "\n", " / ", " & ", " + ", " -> ", " => ", " > ", ", then ",
     " then ", " and ", " go ", "! ", "\t", " - ", " – ", "-", "_, _",
     "`, `", "\", \"", "**, **", "), (", "$, $", "] ["],
)  # fmt: skip
@pytest.mark.parametrize("pick", ["pick up", "Pick  Up", "pick\N{NO-BREAK SPACE}up"])
def test_pick_up_is_one_action_before_whatever_parts_actions(between: str, pick: str) -> None:
    assert read(between.join(["left", pick, "down", "drop"]), "tolerant") == plan("L PICK D DROP")
    assert read(between.join(["left", pick]), "tolerant") == plan("L PICK")
    assert read(pick, "tolerant") == plan("PICK")


@pytest.mark.parametrize("between", [", ", "\t", " - ", "\n", " ", "; ", " -> ", " | "])
def test_pick_and_up_that_are_parted_are_two_actions(between: str) -> None:
    assert read(between.join(["L", "PICK", "UP", "DROP"]), "tolerant") == plan("L PICK U DROP")


def test_space_around_an_answer_does_not_change_what_it_says() -> None:
    for answer in ("L PICK UP", "L PICK UP DROP", "pick up", "L, pick up", "R D"):
        assert read(f"\n\t{answer} \n", "tolerant") == read(answer, "tolerant")


@pytest.mark.parametrize("number", ["{}. ", "{}) ", "({}) ", "{}: ", "Step {}: ", "action {} "])
@pytest.mark.parametrize("between", [" ", "\n", ", "])
def test_pick_up_is_one_action_before_the_next_number(number: str, between: str) -> None:
    items = [f"{number.format(at)}{word}" for at, word in enumerate(("pick up", "drop"), start=1)]
    assert read(between.join(items), "tolerant") == plan("PICK DROP")


def test_an_action_that_the_task_lacks_is_malformed_whatever_its_writing() -> None:
    for answer in ("R, PICK.", "4", "2,5", "1. Right\n2. Drop"):
        assert read(answer, "tolerant", "maze") is MALFORMED
        assert read(answer, "tolerant") is not MALFORMED


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        (r"So it is \boxed{RD}.", "R D"), (r"\boxed{R} no, \boxed{\text{R, D}} it is", "R D"),
        ("R, R, D", "R R D"), ("Right.", "R"), ("The plan is: Left, Down", "L D"),
        ("I look.\nAnswer: RRD", "R R D"), ("**Final answer:** R, D.", "R D"),
        ("So the answer is D", "D"), ("Action plan: L,L,R", "L L R"),
        ("<think>Plan: L</think>R, D", "R D"), ("<think>R, D</think>", None),
        ("<answer>RR", None), ("I cannot see the board.", None), ("", None),
        ("First I go left, then down.", None), ("The plan is to go left", None),
        ("Plan: R, D. Wait, I mean L", None), (r"\boxed{7}", None), (r"\boxed{2,1}", "R D"),
        # titles, and what is before a label
        ("### Answer\nRRD", "R R D"), ("## Final Answer\n\nR, R, D", "R R D"),
        ("**Answer**\nRD", "R D"),
        ("Looking at it, the shortest path is R, D", "R D"), ("Steps:\n1. R\n2. D", "R D"),
        ("Legal moves: R, D", None), ("Bad moves: U", None), ("This is not the answer: L", None),
        ("The wrong path is L", None), ("Plan: L\nRejected plan: D", None),
        ("Dead-end path: L", None),
        ("I doubt that the answer is R", None), ("Plan A: R\nPlan B: D", None),
        # numbers that count
        ("Answer: R, D\nMoves: 2", None), ("Number of moves: 3", None), ("Actions: 12", None),
        ("Moves: 2, 1", "R D"), ("Moves: 2\nAnswer: R, D", "R D"), ("moves = 2", None),
        ("The correct sequence of moves is: R, D", "R D"), ("Sequence of legal moves: R", None),
        ("FINAL ANSWER = RD", "R D"), ('{"final_answer": "RD"}', "R D"), ("non_answer: R", None),
        # thoughts
        ("<think><answer>U</answer> is a wall</think>R, D", "R D"),
        ("<think><answer>U</answer> is a wall</think>I cannot solve it.", None),
        ("<think>a</think><answer>R</answer></think>", "R"),
        ("<think><answer>U</answer></think>", "U"),
    ],
)  # fmt: skip
def test_the_tolerant_reader_reads_untagged_replies_that_are_plainly_a_plan(
    reply: str, found: str | None
) -> None:
    parsed = parse_plan(reply, "maze", reader="tolerant")
    assert parsed[:2] == ((MISSING, []) if found is None else (OK, plan(found)))
    if "<answer>U" not in reply and "</answer>" not in reply:
        assert parse_plan(reply, "maze").status is MISSING  # strict reads no untagged replies


@pytest.mark.parametrize(
    ("answer", "task", "found"),
    [
        ("RRD", "maze", "R R D"), ("RRD", "minibehaviour", MALFORMED), ("R;R/D", "maze", "R R D"),
        ("PICK-UP, GRAB, PLACE, DROP", "minibehaviour", "PICK PICK DROP DROP"),
        ("PICK_UP", "minibehaviour", MALFORMED), ("pick, left", "maze", "L"), ("4, 2", "maze", "R"),
        ("I think left or maybe d", "maze", "L D"), ("", "maze", EMPTY), ("hm", "maze", MALFORMED),
    ],
)  # fmt: skip
def test_the_mgsd_reader_takes_every_word_that_names_an_action_and_passes_over_the_rest(
    answer: str, task: str, found: str | ParseStatus
) -> None:
    expected = found if isinstance(found, ParseStatus) else plan(found)
    assert read(answer, "mgsd", task) == expected


def test_right_plans_are_scored_as_right_by_the_reader_that_is_named() -> None:
    lake = load_layout("frozenlake", {"map": ["SFF", "FFF", "FFG"]})
    marked = "1. Down\n2. Down\n3. Right\n4. Right"
    found = {
        reader: score_reply(lake, f"<answer>{marked}</answer>", reader=reader).success
        for reader in READERS
    }
    assert found == {"strict": False, "tolerant": True, "mgsd": False}
    assert score_reply(lake, "<answer>D → D → R → R</answer>").optimal


def test_an_unknown_reader_is_an_error_that_names_the_readers() -> None:
    with pytest.raises(ValueError, match=r"unknown reader 'tolerent'.*Did you mean 'tolerant'"):
        parse_plan("<answer>R</answer>", "maze", reader="tolerent")


# Any text

PIECES = st.sampled_from(
    ["<answer>", "</answer>", "<think>", "</think>", "L", "D", "R", "U", "left", "Down", "PICK",
     "UP", "pick up", "PUT DOWN", "PICK_UP", "drop", "←", "→", "➡️", "->", " ", ",", ".", ";", "|",
     "/", "-", "_", "\n", "(", ")", "[", "]", "{", "}", '"', "`", "**", "1.", "2)", "0", "1", "23",
     "then", "and", "go", "Step 1:", "\\boxed{", "\\to", "answer:", "Downward", "Ｒ", "İ", "ı", "ſ",
     "\ud800", "\0", "x", "(0,1)", "not", "&rarr;", "\\text{", "```", "moves", "+", "&", "<"]
)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=40), st.lists(PIECES, max_size=14).map("".join))
SPELLINGS = {
    Action.LEFT: "L←⇐⬅⟵Ｌ０0", Action.DOWN: "D↓⇓⬇Ｄ１1", Action.RIGHT: "R→⇒➡⟶⟹⮕➔➜➝➞Ｒ２2",
    Action.UP: "U↑⇑⬆Ｕ３3",
}  # fmt: skip
WORDS = {
    Action.PICK: r"PICK|GRAB|[4４]|ＰＩＣＫ", Action.DROP: r"DROP|PUT|PLACE|[5５]|ＤＲＯＰ|ＰＵＴ",
}  # fmt: skip


@given(TEXTS, st.booleans(), st.sampled_from(sorted(TASKS)), st.sampled_from(sorted(READERS)))
@pytest.mark.slow
def test_no_reader_raises_and_every_action_of_a_plan_is_in_the_text_in_its_order(
    text: str, tagged: bool, task: str, reader: str
) -> None:
    reply = f"<answer>{text}</answer>" if tagged else text
    parsed = parse_plan(reply, task, reader=reader)
    assert parsed == parse_plan(reply, task, reader=reader)
    assert (parsed.status is OK) == bool(parsed.plan)
    assert set(parsed.plan) <= set(get_task(task).actions)
    at, rest = 0, reply.upper().replace("\\TO", "→").replace("&RARR;", "→")
    for action in parsed.plan:
        written = WORDS.get(action) or f"[{SPELLINGS.get(action, '')}]"
        found = re.compile(written).search(rest, at)
        assert found, f"{action.name} is not in {rest[at:]!r}"
        at = found.end()


@given(TEXTS, st.sampled_from(sorted(TASKS)))
@pytest.mark.slow
def test_the_tolerant_reader_reads_no_other_plan_than_the_strict_one(text: str, task: str) -> None:
    strict = read(text, "strict", task)
    if isinstance(strict, list) and not re.search(r"(?i)pick[\s_-]*up", text):
        assert read(text, "tolerant", task) == strict


@given(st.sampled_from(sorted(TASKS)), st.data())
def test_every_reader_reads_a_written_plan_back(task: str, data: st.DataObject) -> None:
    actions = data.draw(st.lists(st.sampled_from(get_task(task).actions), min_size=1))
    for reader in READERS:
        assert parse_plan(format_answer(actions, task), task, reader=reader)[:2] == (OK, actions)


@given(st.sampled_from(sorted(TASKS)), st.data())
def test_the_tolerant_reader_reads_a_plan_in_any_list(task: str, data: st.DataObject) -> None:
    actions = data.draw(st.lists(st.sampled_from(get_task(task).actions), min_size=1, max_size=30))
    word = data.draw(st.sampled_from([action_name, lambda action: action.name.title()]))
    between = data.draw(st.sampled_from([", ", "; ", " | ", "\n", " -> ", " → ", ", then ", ". "]))
    before, after = data.draw(
        st.sampled_from(
            [("", ""), ("[", "]"), ("**", "**"), ("`", "`"), ("Plan: ", "."), ("(", ")")]
        )
    )
    if between == " → " and set(actions) <= {Action.PICK, Action.DROP} and len(actions) > 1:
        return  # could be a move to the right
    written = f"{before}{between.join(map(word, actions))}{after}"
    assert read(written, "tolerant", task) == actions
    listed = "\n".join(f"{number}. {word(each)}" for number, each in enumerate(actions, start=1))
    assert read(listed, "tolerant", task) == actions


@pytest.mark.parametrize("reader", ["tolerant", "mgsd"])
@pytest.mark.parametrize(
    "piece",
    ["R", "<answer>", "</answer>", "<answer>R", "<answer></answer>", " ", "PICK UP ", "<", "PUT-",
     "\n", "1. R ", "1", "answer: ", "the ", "\\boxed{", "}", "→", "R → ", "PICK" + " " * 1000,
     "1" + " " * 1000, "plan" + " " * 1000, "</think>", "(", "-", '"', "step 1", "```a ",
     "&a", "\\text{", "not answer: ", "the answer\n", "R/", "R -> ", "<"],
)  # fmt: skip
@pytest.mark.parametrize("tagged", [True, False])
def test_a_long_reply_is_read_in_linear_time(piece: str, tagged: bool, reader: str) -> None:
    def read(length: int) -> None:
        text = piece * (length // len(piece)) + "x"
        parse_plan(f"<answer>{text}</answer>" if tagged else text, "minibehaviour", reader=reader)

    assert growth(read, 10_000) < 40
