"""Replies that never came are no answers: exit codes, rates, and what the same command asks."""

import json

import pytest
from endpoint import Answer, completion, serving

from agents.backends import openai as backend
from evaluation import perception, planning
from evaluation.options import end_by_failures
from vsp_envs.utils.cli import main
from vsp_envs.utils.files import read_json_lines

RIGHT = "<answer>RRDD</answer>"
UNWANTED = Answer({"error": {"message": "content policy"}}, 400)


@pytest.fixture(autouse=True)
def surroundings(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    real = backend.backoff
    monkeypatch.setattr(backend, "backoff", lambda attempt: real(attempt) / 100)


def evaluate(out, answer, *options, module=planning, config_class=planning.PlanningConfig):
    """Run the command against an endpoint: its exit code, and how many requests it sent."""
    code = 0
    with serving(answer) as endpoint:
        arguments = ("--agent", "openai", "--model", "m", "--base-urls", endpoint.url, "--tasks",
                     "frozenlake:3", "--episodes", "20", "--concurrency", "4", "--quiet",
                     "--out", str(out), *options)  # fmt: skip
        try:
            main(module.run, config_class, arguments)
        except SystemExit as end:
            code = end.code
        return code, len(endpoint.bodies)


def failing(times, failure=UNWANTED):
    """An endpoint that fails the first times that it is asked, but for the very first."""
    asked = iter(range(10**6))
    return lambda body: failure if 1 <= next(asked) <= times else completion(RIGHT)


def results(out):
    return json.loads((out / "results.json").read_text())


def keys(out):
    return [record["layout_id"] for record in read_json_lines(out / "replies.jsonl")]


def test_failures_are_counted_in_the_last_line_and_decide_the_exit_code(tmp_path, capsys):
    code, _ = evaluate(tmp_path, failing(15))
    said = capsys.readouterr().out.strip().splitlines()
    assert code == 1 and said[-1].startswith("15 of 20 replies never came: HTTP 400: ")
    assert "content policy" in said[-1] and said[-1].endswith("--ask-errors asks again")
    found = results(tmp_path)
    [reason] = found["unanswered"]["reasons"]
    assert found["unanswered"] == {"count": 15, "of": 20, "reasons": {reason: 15}}
    end_by_failures([found], 0.75)
    for most in (0.74, 0.05, 0):
        with pytest.raises(SystemExit, match="1"):
            end_by_failures([found], most)
    # The rates over all boards, and beside them those over the boards that were answered.
    assert found["macro"]["success"]["n"] == 20 and found["answered"]["macro"]["success"]["n"] == 5
    every, came = found["macro"]["success"]["value"], found["answered"]["macro"]["success"]["value"]
    assert every == pytest.approx(came / 4)
    assert any("answered boards alone" in line for line in said)
    assert "answered boards alone" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    "failure",
    [
        UNWANTED,
        Answer({"error": "wrong key"}, 401),
        Answer(b"<html>oops</html>", 500),
        Answer({"error": {"message": "upstream is gone"}}),
        Answer({"error": {"code": "insufficient_quota"}}, 429),
        Answer(b"", 307, {"Location": "http://127.0.0.1:9/"}),
    ],
    ids=lambda failure: str(failure.status),
)
def test_where_nothing_is_answered_nothing_is_recorded(tmp_path, capsys, failure):
    perceive = {"module": perception, "config_class": perception.PerceptionConfig}
    code, _ = evaluate(tmp_path, lambda body: failure, **perceive if failure.status > 400 else {})
    said = capsys.readouterr().err
    assert code == 2 and (f"HTTP {failure.status}" in said or "upstream is gone" in said)
    assert said.count("\n") == 1 and "Traceback" not in said
    assert not (tmp_path / "replies.jsonl").exists() and not (tmp_path / "results.json").exists()


@pytest.mark.parametrize(
    ("failure", "answered", "retries"),
    [
        (Answer({"error": {"message": "Insufficient Balance"}}, 402), 1, "0"),
        (Answer({"error": {"message": "Insufficient Balance"}}, 402), 19, "0"),
        (Answer({"error": {"code": "insufficient_quota"}}, 429), 7, "6"),
        (Answer({"error": {"message": "this key was revoked"}}, 401), 7, "6"),
        (Answer({"error": {"message": "forbidden"}}, 403), 7, "6"),
    ],
    ids=lambda given: str(getattr(given, "status", given)),
)
def test_an_empty_account_or_a_revoked_key_ends_a_run_and_keeps_all_that_was_answered(
    tmp_path, capsys, failure, answered, retries
):
    asked = iter(range(10**6))
    code, _ = evaluate(
        tmp_path, lambda body: completion(RIGHT) if next(asked) < answered else failure,
        "--retries", retries,
    )  # fmt: skip
    assert code == 2 and f"HTTP {failure.status}" in capsys.readouterr().err
    kept = read_json_lines(tmp_path / "replies.jsonl")
    assert [record["reply"] for record in kept] == [RIGHT] * answered
    assert len(set(keys(tmp_path))) == answered and not (tmp_path / "results.json").exists()


def test_the_same_command_asks_the_rest_though_the_last_line_lacks_its_line_break(tmp_path, capsys):
    asked, empty = iter(range(10**6)), Answer({"error": "pay first"}, 402)
    evaluate(tmp_path, lambda body: completion(RIGHT) if next(asked) < 7 else empty)
    file = tmp_path / "replies.jsonl"
    file.write_bytes(file.read_bytes().rstrip(b"\n"))
    assert evaluate(tmp_path, failing(0)) == (0, 13) and len(set(keys(tmp_path))) == 20
    assert "never came" not in capsys.readouterr().out
    assert not {"unanswered", "answered"} & set(results(tmp_path))


def test_replies_that_never_came_are_asked_for_again_when_wished_and_no_others(tmp_path):
    assert evaluate(tmp_path, failing(6)) == (1, 20)
    before = keys(tmp_path)
    assert evaluate(tmp_path, failing(1), "--ask-errors") == (0, 6)
    assert results(tmp_path)["unanswered"]["count"] == 1
    assert sorted(keys(tmp_path)) == sorted(before)


def ended(text, end="stop", **message):
    said = completion(text).body
    said["choices"][0] |= {"finish_reason": end}
    said["choices"][0]["message"] |= message
    return Answer(said)


def test_cut_refused_and_empty_replies_are_three_things_in_results_and_report(tmp_path, capsys):
    said = {
        "cut off": [ended("size 3", "length"), ended("", "max_tokens"), ended("s", "MAX_TOKENS")],
        "refusal": [ended("", "content_filter"), ended("", refusal="no"), ended(None, "SAFETY"),
                    ended([{"type": "refusal", "refusal": "I cannot"}])],
        "no text": [ended(""), ended(" \n"), ended(None), ended([]), ended("", "")],
    }  # fmt: skip
    answers = [each for some in said.values() for each in some]
    left = iter(answers)
    assert evaluate(tmp_path, lambda body: next(left, None) or ended(RIGHT))[0] == 0
    counts = {name: len(some) for name, some in said.items()}
    found = results(tmp_path)
    assert {name: found["tasks"]["frozenlake"]["replies"][name] for name in counts} == counts
    rates = found["replies"]["tasks"]["frozenlake"]["levels"]["3"]
    assert {name: rates[name]["value"] * 20 for name in counts} == pytest.approx(counts)
    page = (tmp_path / "report.html").read_text()
    assert all(name in page for name in counts) and "unanswered" not in found
