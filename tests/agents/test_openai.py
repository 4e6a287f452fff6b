"""The `openai` backend against a real endpoint: what it sends, and what it bears."""

import json
import re
import threading
import time

import httpx2
import numpy as np
import pytest
from endpoint import Answer, completion, nobody, serving, shown_images

from agents.agent import Request, View
from agents.backends import openai as backend
from agents.backends.connection import asked_wait
from agents.backends.openai import Endpoint, EndpointError, OpenAIAgent
from agents.multi_turn import TurnPolicy
from agents.rollout import Case, play, prompt_of
from agents.sampling import Sampling
from vsp_envs import LayoutSpec, draw_distinct, format_answer, render, shortest_plan

LAKES = draw_distinct(LayoutSpec("frozenlake", 4), 12, seed=0)
CASES = [Case(layout) for layout in LAKES]
REAL_BACKOFF = backend.backoff
BUSY = Answer({"error": {"message": "slow down"}}, 429, {"Retry-After": "0.05"})


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    """Back-off counts as in life, a hundred times faster."""
    real = backend.backoff
    monkeypatch.setattr(backend, "backoff", lambda attempt: real(attempt) / 100)
    monkeypatch.setattr(backend, "UNREACHABLE_SECONDS", 0.5)


def agent(*urls, sampling=None, **settings):
    view = View(image_size=128)
    return OpenAIAgent("m", Endpoint(base_urls=urls, **settings), sampling, view)


def solved(body):
    """The right answer to a picture of one of LAKES."""
    [image] = shown_images(body)
    [layout] = [each for each in LAKES if np.array_equal(render(each, 128), image)]
    return completion(format_answer(shortest_plan(layout), "frozenlake"))


def test_every_board_gets_its_own_answer_whatever_the_order():
    with serving(solved) as endpoint:
        episodes = list(play(agent(endpoint.url), CASES))
    assert [each.layout_id for each in episodes] == [each.layout_id for each in LAKES]
    assert all(each.optimal for each in episodes)


def test_a_request_holds_the_words_the_image_and_the_sampling():
    with serving(solved) as endpoint:
        [episode] = play(agent(endpoint.url, sampling=Sampling(0.7, 50, seed=3)), CASES[:1])
    [body] = endpoint.bodies
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("m", 0.7, 50)
    image, text = body["messages"][0]["content"]
    assert image["type"] == "image_url" and text == {"type": "text", "text": episode.prompt}
    assert endpoint.headers[0]["Authorization"] == "Bearer sk-very-secret"


def test_without_a_key_requests_carry_none(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    with serving(solved) as endpoint:
        assert all(each.success for each in play(agent(endpoint.url), CASES[:1]))
    assert "Authorization" not in endpoint.headers[0]


def test_a_board_keeps_its_seed_in_any_order_and_seeds_differ():
    def seeds(cases, seed):
        with serving(solved) as endpoint:
            list(play(agent(endpoint.url, sampling=Sampling(seed=seed)), cases))
        return sorted(body["seed"] for body in endpoint.bodies)

    assert seeds(CASES, 1) == seeds(CASES[::-1], 1) != seeds(CASES, 2)
    assert len(set(seeds(CASES, 1))) == len(CASES)


def test_fields_can_be_added_to_a_request_and_taken_out():
    changed = '{"max_tokens": null, "max_completion_tokens": 99}'
    with serving(solved) as endpoint:
        list(play(agent(endpoint.url, request=changed), CASES[:1]))
    assert endpoint.bodies[0]["max_completion_tokens"] == 99
    assert "max_tokens" not in endpoint.bodies[0]


def test_requests_run_side_by_side_and_never_more_than_allowed():
    most, under_way, lock, three = 0, 0, threading.Lock(), threading.Barrier(3)

    def together(body):
        nonlocal most, under_way
        with lock:
            under_way += 1
            most = max(most, under_way)
        three.wait(60)  # for two others: with fewer at once there would be no answer
        time.sleep(0.02)  # room for a fourth, were there one
        with lock:
            under_way -= 1
        return solved(body)

    with serving(together) as endpoint:
        episodes = list(play(agent(endpoint.url, concurrency=3, retries=0), CASES))
    assert most == 3 and all(each.success for each in episodes)


def test_several_servers_share_the_work():
    two = threading.Barrier(2)

    def together(body):
        two.wait(60)  # for another: whoever asks next finds one server busy
        return solved(body)

    with serving(together) as one, serving(together) as other:
        list(play(agent(one.url, other.url, concurrency=2, retries=0), CASES))
    assert len(one.bodies) == len(other.bodies) == 6


def test_a_dead_server_leaves_the_work_to_the_others():
    with nobody() as gone, serving(solved) as alive:
        episodes = list(play(agent(gone, alive.url), CASES))
    assert all(each.success for each in episodes)


@pytest.mark.parametrize("status", [429, 500, 503, 408])
def test_what_fails_in_passing_is_asked_again(status):
    answers = iter([Answer({}, status), Answer({}, status)])
    with serving(lambda body: next(answers, None) or solved(body)) as endpoint:
        [episode] = play(agent(endpoint.url), CASES[:1])
    assert episode.success and len(endpoint.bodies) == 3
    assert endpoint.bodies[0] == endpoint.bodies[2]


def test_an_endpoint_is_left_alone_for_as_long_as_it_asks():
    times, told = [], threading.Event()

    def limited(body):
        times.append(time.monotonic())
        if not told.is_set():
            told.set()
            return Answer({}, 429, {"Retry-After": "0.4"})
        return solved(body)

    with serving(limited) as endpoint:
        one = agent(endpoint.url, concurrency=1)
        assert all(each.success for each in play(one, CASES[:3]))
    assert times[1] - times[0] >= 0.4


def test_rate_limits_use_up_no_retries_but_patience():
    busy = iter([BUSY] * 5)
    with serving(lambda body: next(busy, None) or solved(body)) as endpoint:
        [episode] = play(agent(endpoint.url, retries=0), CASES[:1])
        assert episode.success and len(endpoint.bodies) == 6


def test_a_rate_limit_that_lasts_fails_a_request_while_others_are_answered_and_else_ends_the_run():
    with serving(lambda body: BUSY) as endpoint, pytest.raises(EndpointError, match="HTTP 429"):
        list(play(agent(endpoint.url, patience=0.2), CASES[:1]))
    assert len(endpoint.bodies) < 8
    seeds, turn, answered = [], threading.Semaphore(1), threading.Semaphore(0)

    def all_but_one(body):
        seeds.append(body["seed"])
        if body["seed"] == seeds[0]:
            answered.acquire(timeout=60)  # another, since this one failed last
            time.sleep(0.15)
            turn.release()
            return BUSY
        said = solved(body)
        turn.acquire(timeout=1)
        time.sleep(0.05)
        answered.release()
        return said

    with serving(all_but_one) as endpoint:
        episodes = list(play(agent(endpoint.url, patience=0.4, concurrency=2), CASES[:6]))
    assert [each.error[:8] for each in episodes if each.error] == ["HTTP 429"]


def test_retry_after_may_be_a_date(monkeypatch):
    def header(text):
        return asked_wait(httpx2.Headers({"retry-after": text}))

    monkeypatch.setattr("agents.backends.connection.time", lambda: 1_000_000_000)
    assert header("Sun, 09 Sep 2001 01:47:10 GMT") == 30
    assert header("Sun, 09 Sep 2001 01:46:39 GMT") == 0
    assert (header("7"), header("whenever"), header("9" * 30 + " Jan 2026")) == (7, None, None)


def test_back_off_grows_and_is_scattered():
    waits = [[REAL_BACKOFF(attempt) for _ in range(50)] for attempt in range(4)]
    assert all(0.25 * 2**i <= min(each) < max(each) <= 0.5 * 2**i for i, each in enumerate(waits))


def test_what_fails_for_good_is_a_failure_that_counts():
    answer = Answer({"error": {"message": "image too large"}}, 400)
    with serving(lambda body: answer) as endpoint:
        [episode] = play(agent(endpoint.url), CASES[:1])
    assert not episode.success and len(endpoint.bodies) == 1
    assert re.search("HTTP 400: .*image too large", episode.error)


def failing(status, message, **more):
    return Answer({"error": {"message": message, **more}}, status)


@pytest.mark.parametrize(
    "answer",
    [
        failing(429, "You exceeded your current quota", code="insufficient_quota"),
        failing(402, "This request requires more tokens"),
        failing(400, "Your credit balance is too low to access the API"),
        failing(402, "Insufficient Balance"),
        failing(403, "Key limit exceeded (total limit)"),
        failing(403, "user quota is not enough", code="insufficient_user_quota"),
        failing(400, "Budget has been exceeded! Current cost: 10.2", type="budget_exceeded"),
        failing(400, "You have reached your specified API usage limits."),
        failing(400, "API key not valid. Please pass a valid API key."),
        failing(401, "Your account has been deactivated"),
        failing(200, "Insufficient credits. Add more", code=402),
    ],
)
def test_an_empty_account_or_a_dead_key_ends_the_run_and_keeps_what_was_answered(answer):
    answers = iter([None] * 3)
    with serving(lambda body: next(answers, answer) or solved(body)) as endpoint:
        episodes = []
        with pytest.raises(EndpointError, match=re.escape(answer.body["error"]["message"])):
            episodes.extend(play(agent(endpoint.url, concurrency=1), CASES))
        assert len(endpoint.bodies) == 4 and len(episodes) == 3


@pytest.mark.parametrize(
    "answer",
    [
        failing(429, "Rate limit reached for gpt-x on tokens per min (TPM): Limit 30000"),
        failing(429, "You exceeded your current quota, check your plan and billing details"),
        failing(429, "API key rate limit exceeded"),
        failing(503, "The model is overloaded; out of credit for this minute"),
        failing(403, "upstream forbids this just now"),
    ],
)
def test_a_limit_that_passes_is_no_empty_account(answer):
    answers = iter([answer, answer])
    with serving(lambda body: next(answers, None) or solved(body)) as endpoint:
        [episode] = play(agent(endpoint.url), CASES[:1])
    assert episode.success and len(endpoint.bodies) == 3


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(b"<html>"), "no chat completion: <html>"),
        (Answer(b'{"choices": [{"mess'), "no chat completion"),
        (Answer(b"[" * 100_000), "no chat completion"),
        (Answer({"choices": []}), "no chat completion"),
        (Answer({"choices": [{"message": {"content": ["LL"]}}]}), "no chat completion"),
    ],
)
def test_a_broken_answer_is_asked_for_again_and_then_counts_as_a_failure(answer, said):
    answers = iter([answer])
    with serving(lambda body: next(answers, None) or solved(body)) as endpoint:
        [episode] = play(agent(endpoint.url, retries=1), CASES[:1])
        assert episode.success and len(endpoint.bodies) == 2
    answers = iter([None, answer])
    with serving(lambda body: next(answers, None) or solved(body)) as endpoint:
        one = agent(endpoint.url, retries=0, concurrency=1)
        [_, failed] = play(one, CASES[:2])
    assert re.search(said, failed.error) and len(failed.error) < 400


def test_a_model_may_answer_under_the_name_of_its_version_or_one_that_was_given():
    def named(body, name):
        said = solved(body)
        return said._replace(body=said.body | {"model": name})

    for name, more in {"m-2026-01-01": {}, "lab/M": {}, "other": {"answers_as": "other"}}.items():
        with serving(lambda body, name=name: named(body, name)) as endpoint:
            [episode] = play(agent(endpoint.url, retries=0, **more), CASES[:1])
        assert episode.success
    with (
        serving(lambda body: named(body, "other")) as endpoint,
        pytest.raises(EndpointError, match=r"another model, other; .*--answers-as"),
    ):
        list(play(agent(endpoint.url), CASES[:1]))


def test_another_models_answer_is_asked_for_again_and_ends_the_run_if_no_other_comes():
    other = Answer(completion("L").body | {"model": "n-large"})
    answers = iter([None, other, other])
    with serving(lambda body: next(answers, None) or solved(body)) as endpoint:
        one = agent(endpoint.url, retries=0, concurrency=1)
        assert all(each.success for each in play(one, CASES[:2])) and len(endpoint.bodies) == 4
    answers = iter([None])
    with serving(lambda body: solved(body) if next(answers, 1) is None else other) as endpoint:
        one, episodes = agent(endpoint.url, retries=0, concurrency=1), []
        with pytest.raises(EndpointError, match="another model, n-large"):
            episodes.extend(play(one, CASES[:2]))


def test_one_that_refuses_in_passing_is_asked_again_while_it_answers_others():
    def flaky(body):
        flaky.asked += 1
        return Answer({"error": "no such model"}, 404) if flaky.asked % 3 == 0 else solved(body)

    flaky.asked = 0
    with serving(flaky) as endpoint:
        assert all(each.success for each in play(agent(endpoint.url, concurrency=2), CASES))


@pytest.mark.parametrize("count", ["9" * 9, None, 10**400, -1, [1], float("nan")])
def test_a_count_of_tokens_that_is_none_is_not_counted(count):
    usage = {"usage": {"prompt_tokens": count, "completion_tokens": count}}
    with serving(lambda body: Answer(solved(body).body | usage)) as endpoint:
        [episode] = play(agent(endpoint.url, prices=(1.0, 1.0), retries=0), CASES[:1])
    assert episode.cost == 0.0 and type(episode.tokens) is int


def test_a_server_that_never_answers_is_given_up():
    silent = threading.Event()
    with serving(lambda body: silent.wait(60) or completion("late")) as endpoint:
        [episode] = play(agent(endpoint.url, timeout=0.5, retries=1), CASES[:1])
        deadline = time.monotonic() + 60
        while len(endpoint.bodies) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)  # a busy machine reads them after they were given up
        silent.set()
    assert episode.error.startswith("TimeoutError") and len(endpoint.bodies) == 2


def test_a_connection_that_the_server_closed_is_opened_anew():
    closing = {"Connection": "close"}
    with serving(lambda body: solved(body)._replace(headers=closing)) as endpoint:
        one = agent(endpoint.url, concurrency=1, retries=0)
        assert all(each.success for each in play(one, CASES))


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_wrong_key_or_model_stops_the_run_with_what_the_endpoint_said(status):
    refusal = Answer({"error": {"message": "bad key sk-very-secret"}}, status)
    with (
        serving(lambda body: refusal) as endpoint,
        pytest.raises(EndpointError, match=rf"HTTP {status}: .*bad key \[key\]"),
    ):
        list(play(agent(endpoint.url, concurrency=1), CASES))


def test_many_requests_in_one_call_are_answered_in_their_order_or_end_with_a_refusal():
    requests = [Request(prompt_of(case, View(image_size=128)), case.layout) for case in CASES]
    with serving(solved) as endpoint:
        replies = agent(endpoint.url, concurrency=5).reply(requests)
    plans = [format_answer(shortest_plan(each), "frozenlake") for each in LAKES]
    assert [each.text for each in replies] == plans
    with (
        serving(lambda body: Answer({}, 401)) as endpoint,
        pytest.raises(EndpointError, match="HTTP 401"),
    ):
        agent(endpoint.url, concurrency=1).reply(requests)
    assert len(endpoint.bodies) == 3  # those of the first request


def test_a_request_that_cannot_be_made_ends_the_others_of_the_call():
    prompt = prompt_of(CASES[0], View(image_size=128))
    requests = [Request(prompt, LAKES[0])] * 12
    requests[1] = Request(prompt._replace(pictures=(None,)), LAKES[0])

    def slowly(body):
        time.sleep(0.05)  # the other request is made meanwhile
        return solved(body)

    with serving(slowly) as endpoint, pytest.raises(AttributeError):
        agent(endpoint.url, concurrency=2).reply(requests)
    assert len(endpoint.bodies) < 10


def test_tokens_and_cost_are_counted():
    with serving(solved) as endpoint:
        [episode] = play(agent(endpoint.url, prices=(2.0, 10.0)), CASES[:1])
    assert (episode.prompt_tokens, episode.tokens) == (100, 7)
    assert episode.cost == pytest.approx((100 * 2 + 7 * 10) / 1e6)


def test_the_key_is_in_no_settings_and_may_not_be_in_the_url():
    assert "secret" not in json.dumps(agent("http://127.0.0.1/v1").settings())
    with pytest.raises(ValueError, match="keys come from the environment alone") as told:
        agent("http://user:sk-very-secret@host/v1")
    assert "secret" not in str(told.value)
    for url in ("localhost:8000", "http://", "http://h:99999/v1", "http://a..b/v1", "http://[::1"):
        with pytest.raises(ValueError, match="is no base URL") as told:
            agent(url)
    for url in ("http://h/a b", "http://h/ü", "http://h /v1", "http://h/v1\n"):
        with pytest.raises(ValueError, match="is no base URL"):
            agent(url)
    for timeout in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="the timeout is a number of seconds"):
            agent("http://127.0.0.1/v1", timeout=timeout)
    for request in ("7", "[]", '[["top_p", 1]]', "{"):
        with pytest.raises(ValueError, match=f"are a JSON object, got {re.escape(request)}"):
            agent("http://127.0.0.1/v1", request=request)


def test_it_acts_in_closed_loop_with_a_fresh_image_after_every_action():
    def first_step(body):
        *_, now = shown_images(body)
        for layout in LAKES:
            plan, state = shortest_plan(layout), layout.cells[0]
            for action in plan:
                if np.array_equal(render(layout, 128, state=state), now):
                    return completion(format_answer([action], "frozenlake"))
                state += {0: -1, 1: layout.level, 2: 1, 3: -layout.level}[action]
        raise AssertionError("a picture of no board on its shortest way")

    with serving(first_step) as endpoint:
        episodes = list(
            play(agent(endpoint.url), CASES, turn_policy=TurnPolicy(act="step", history=2))
        )
    assert all(each.optimal and len(each.turns) == each.steps for each in episodes)
    assert max(len(shown_images(body)) for body in endpoint.bodies) == 3
