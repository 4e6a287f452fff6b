"""The `openai` backend between proxies, gateways and models that want other requests."""

import gzip
import json
import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from endpoint import Answer, completion, nobody, serving
from proxy import proxying

from agents.agent import View
from agents.backends import openai as backend
from agents.backends.chat import NoCompletion, joined, read_completion
from agents.backends.openai import Endpoint, EndpointError, OpenAIAgent, is_version
from agents.rollout import Case, play
from vsp_envs import LayoutSpec, draw_distinct

CASES = [Case(each) for each in draw_distinct(LayoutSpec("frozenlake", 3), 4, seed=0)]
SAID = "<answer>RRDD</answer>"
KEY = "sk-proj-very-secret-0123"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def surroundings(monkeypatch):
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    real = backend.backoff
    monkeypatch.setattr(backend, "backoff", lambda attempt: real(attempt) / 100)
    monkeypatch.setattr(backend, "UNREACHABLE_SECONDS", 0.5)


def ask(*urls, model="m", count=1, **settings):
    """What comes of some boards."""
    endpoint = Endpoint(base_urls=urls, **settings)
    return list(play(OpenAIAgent(model, endpoint, view=View(image_size=64)), CASES[:count]))


def test_plain_http_goes_through_a_proxy_with_user_and_password_in_absolute_form(monkeypatch):
    with serving(lambda body: completion(SAID)) as endpoint, proxying("me", "p:w") as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:p%3Aw@127.0.0.1:{proxy.port}")
        [episode] = ask(endpoint.url)
    assert episode.reply == SAID
    assert proxy.asked == [f"POST {endpoint.url}/chat/completions HTTP/1.1"]


def test_a_proxy_that_wants_another_password_ends_the_run_in_its_words(monkeypatch):
    with serving(lambda body: completion(SAID)) as endpoint, proxying("me", "right") as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:very-wrong@127.0.0.1:{proxy.port}")
        with pytest.raises(EndpointError, match="HTTP 407") as told:
            ask(endpoint.url)
    assert "very-wrong" not in str(told.value)


def test_all_proxy_is_used_and_no_proxy_goes_past_it(monkeypatch):
    with serving(lambda body: completion(SAID)) as endpoint, proxying() as proxy:
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
        ask(endpoint.url)
        assert len(proxy.asked) == 1
        port = endpoint.url.split(":")[2].removesuffix("/v1")
        for past in (f"127.0.0.1:{port}", "127.0.0.0/8", "127.0.0.1", "10.0.0.0/8,*"):
            monkeypatch.setenv("NO_PROXY", past)
            ask(endpoint.url)
        assert len(proxy.asked) == 1
        for other in ("127.0.0.1:1", "10.0.0.0/8", "example.com"):
            monkeypatch.setenv("NO_PROXY", other)
            ask(endpoint.url)
        assert len(proxy.asked) == 4


@pytest.mark.parametrize("name", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize("kind", ["socks5", "socks5h", "socks4"])
def test_a_socks_proxy_is_refused_by_name_and_its_password_not_shown(monkeypatch, name, kind):
    monkeypatch.setenv(name, f"{kind}://me:very-secret@127.0.0.1:1080")
    with pytest.raises(ValueError, match=f"{name}={kind}://…: SOCKS proxies cannot be") as told:
        ask("http://127.0.0.1:1/v1")
    assert "very-secret" not in str(told.value)


def test_requests_say_who_asks():
    with serving(lambda body: completion(SAID)) as endpoint:
        ask(endpoint.url)
    assert "OpenAI/Python" in endpoint.headers[0]["User-Agent"]


def test_packed_answers_are_read():
    def packed(body):
        data = gzip.compress(json.dumps(completion(SAID).body).encode())
        return Answer(data, 200, {"Content-Encoding": "gzip"})

    with serving(packed) as endpoint:
        [episode] = ask(endpoint.url)
    assert episode.reply == SAID


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_shown_and_not_followed(status):
    with serving(lambda body: completion(SAID)) as other:
        to = {"Location": f"{other.url}/chat/completions"}
        with (
            serving(lambda body: Answer({}, status, to)) as endpoint,
            pytest.raises(EndpointError, match=rf"HTTP {status}.*redirects to {other.url}"),
        ):
            ask(endpoint.url)
    assert other.bodies == []


def test_an_ipv6_address_is_a_base_url_with_a_proxy_and_past_it(monkeypatch):
    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6

    with other_server(Server(("::1", 0), Plain)) as server, proxying("me", "p@w:") as proxy:
        url = f"http://[::1]:{server.server_port}/v1"
        assert ask(url)[0].reply == SAID
        monkeypatch.setenv("all_proxy", f"http://me:p%40w%3A@127.0.0.1:{proxy.port}")
        assert ask(url)[0].reply == SAID and len(proxy.asked) == 1
        for past in ("::1", "[::1]", f"[::1]:{server.server_port}", "example.com, ::/64"):
            monkeypatch.setenv("no_proxy", past)
            assert ask(url)[0].reply == SAID
        assert len(proxy.asked) == 1


class Plain(BaseHTTPRequestHandler):
    """Answers with SAID."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        data = json.dumps(completion(SAID).body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


class other_server:
    """A server in a thread."""

    def __init__(self, server):
        self.server = server

    def __enter__(self):
        self.server.daemon_threads = True
        self.server.handle_error = lambda *args: None
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self.server

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def test_a_server_whose_certificate_nobody_knows_is_asked_with_its_ca_file(tmp_path):
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Plain)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with other_server(server):
        url = f"https://127.0.0.1:{server.server_port}/v1"
        with proxying() as proxy, pytest.MonkeyPatch.context() as patch:
            patch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
            [episode] = ask(url, ca_file=str(file))
            assert episode.reply == SAID
            assert proxy.asked == [f"CONNECT 127.0.0.1:{server.server_port} HTTP/1.1"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SSL_CERT_FILE", str(file))
            assert ask(url)[0].reply == SAID
        with pytest.raises(EndpointError, match="CERTIFICATE_VERIFY_FAILED"):
            ask(url)
    with pytest.raises(ValueError, match="holds no certificates"):
        ask(url, ca_file=str(tmp_path / "none.pem"))


@pytest.mark.parametrize(
    ("message", "reply", "thought"),
    [
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "ab", ""),
        (
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                    {"type": "text", "text": "b"},
                ]
            },
            "b",
            "hm",
        ),
        ({"content": [{"type": "thinking", "thinking": "hm"}]}, "", "hm"),
        ({"content": "b", "reasoning_content": "hm"}, "b", "hm"),
        ({"content": "b", "reasoning": "hm"}, "b", "hm"),
        ({"content": None, "refusal": "no"}, "", ""),
        ({"content": [{"type": "refusal", "refusal": "no"}]}, "", ""),
        ({"content": [{"type": "output_text", "text": "b"}, {"type": "x"}]}, "b", ""),
        ({"content": [{"text": "b"}, {"type": "reasoning", "text": "hm"}]}, "b", "hm"),
        ({"content": [{"type": "image", "image": {"url": "x"}}, {"text": "b"}]}, "b", ""),
    ],
)
def test_text_is_told_from_thinking(message, reply, thought):
    found, _ = read_completion({"choices": [{"message": message}]})
    assert (found.text, found.reasoning) == (reply, thought)
    assert (found.refusal == "no") is ("no" in str(message))


def test_a_reply_that_is_kept_back_needs_no_message():
    said = {"choices": [{"finish_reason": "content_filter"}]}
    assert read_completion(said)[0].finish_reason == "content_filter"


@pytest.mark.parametrize(
    "wrong",
    [
        {"error": {"message": "upstream overloaded", "code": 502}},
        {"choices": [{"finish_reason": "error", "message": {"content": ""},
                      "error": {"message": "upstream overloaded"}}]},
    ],
)  # fmt: skip
def test_an_error_under_status_200_is_asked_again_and_then_one_of_the_endpoint(wrong):
    answers = iter([Answer(wrong)])
    with serving(lambda body: next(answers, None) or completion(SAID)) as endpoint:
        [episode] = ask(endpoint.url)
        assert episode.reply == SAID and len(endpoint.bodies) == 2
    with serving(lambda body: Answer(wrong)) as endpoint:
        [episode] = ask(endpoint.url, retries=1)
    assert "upstream overloaded" in episode.error and not episode.success


def events(*pieces):
    lines = "".join(f"data: {json.dumps(piece)}\n\n" for piece in pieces) + "data: [DONE]\n\n"
    data = b": keep-alive\n\n" + lines.encode()
    return Answer(data, 200, {"Content-Type": "text/event-stream"})


def piece(text, end=None, **more):
    return {"model": "m", "choices": [{"delta": {"content": text}, "finish_reason": end}], **more}


def test_a_gateway_that_insists_on_streaming_is_asked_for_it():
    usage = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4}}
    said = events(piece("<answer>RR"), piece("DD</answer>"), piece("", "stop"), usage)
    with serving(lambda body: said if body.get("stream") else Answer({}, 400)) as endpoint:
        [episode] = ask(endpoint.url, stream=True)
    assert (episode.reply, episode.finish_reason, episode.tokens) == (SAID, "stop", 4)


@pytest.mark.parametrize("kind", ["text/event-stream", "text/plain", "application/json"])
def test_a_stream_that_nobody_asked_for_is_read_with_its_comments_and_parts(kind):
    parts = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "<answer>RR"}]
    pieces = (piece(parts), piece("DD</answer>"), piece(None, "length"))
    data = events(*pieces).body.replace(b"\n\n", b"\r\n\r\n: OPENROUTER PROCESSING\r\n\r\n", 1)
    with serving(lambda body: Answer(data, 200, {"Content-Type": kind})) as endpoint:
        [episode] = ask(endpoint.url)
    assert (episode.reply, episode.reasoning, episode.finish_reason) == (SAID, "hm", "length")


def test_blank_lines_before_an_answer_are_no_part_of_it():
    data = b"\n\n  \n" + json.dumps(completion(SAID).body).encode()
    with serving(lambda body: Answer(data)) as endpoint:
        assert ask(endpoint.url)[0].reply == SAID


def test_a_second_answer_to_a_request_is_not_taken_for_that_to_the_next():
    """However the bytes fall into packets, if they come at once."""
    answer, stray = (
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        for body in (json.dumps(completion(text).body).encode() for text in (SAID, "stray"))
    )
    asked = []

    class Twice(Plain):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(self.client_address)
            first = len(answer) // 2 if len(asked) % 2 else len(answer + stray)
            self.connection.sendall((answer + stray)[:first])
            time.sleep(0.02)
            self.connection.sendall((answer + stray)[first:])

    server = ThreadingHTTPServer(("127.0.0.1", 0), Twice)
    with other_server(server):
        url = f"http://127.0.0.1:{server.server_port}/v1"
        episodes = ask(url, count=4, concurrency=1)
    assert [each.reply for each in episodes] == [SAID] * 4
    assert len(asked) > 4 or len(set(asked)) == 4


@pytest.mark.parametrize("begin", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n"])
def test_the_last_event_of_a_stream_may_lack_its_end_and_any_be_long(begin, end):
    long = "R" * 2**20
    data = b"\n\n".join(
        b"data: " + json.dumps(each).encode() for each in (piece(long), piece("", "stop"))
    )
    kind = {"Content-Type": "text/event-stream"}
    with serving(lambda body: Answer(begin + data + end, 200, kind)) as endpoint:
        [episode] = ask(endpoint.url, stream=True, retries=0)
    assert (episode.reply, episode.finish_reason) == (long, "stop")


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_nested_too_deep_is_no_reply(stream):
    data = b"data: " * stream + b"[" * 10**5
    with serving(lambda body: Answer(data)) as endpoint:
        assert "no chat completion" in ask(endpoint.url, stream=stream, retries=0)[0].error


def test_a_stream_that_breaks_off_is_no_reply():
    with serving(lambda body: events(piece("<answer>RR"))) as endpoint:
        [episode] = ask(endpoint.url, stream=True, retries=0)
    assert "the stream ended before the reply did" in episode.error
    with pytest.raises(NoCompletion, match="busy"):
        read_completion(joined(['{"error": {"message": "busy"}}']))


def test_headers_query_detail_and_a_system_prompt_are_sent(monkeypatch):
    monkeypatch.setenv("AZURE_KEY", "azure-very-secret")
    with serving(lambda body: completion("azure-very-secret"), any_path=True) as endpoint:
        [episode] = ask(
            endpoint.url,
            header=("X-Title: maze", "api-key: $AZURE_KEY"),
            query=("api-version=2024-10-21",),
            detail="high",
            system="Be brief.",
        )
    [headers], [body] = endpoint.headers, endpoint.bodies
    assert (headers["X-Title"], headers["Api-Key"]) == ("maze", "azure-very-secret")
    assert endpoint.paths == ["/v1/chat/completions?api-version=2024-10-21"]
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert body["messages"][1]["content"][0]["image_url"]["detail"] == "high"
    assert episode.reply == "[key]"


@pytest.mark.parametrize("charset", ["hex", "idna", "undefined", "utf-16", "nonsense"])
@pytest.mark.parametrize("status", [200, 400, 500])
def test_a_charset_that_cannot_be_read_spoils_no_run(charset, status):
    kind = {"Content-Type": f"text/html; charset={charset}"}
    with serving(lambda body: Answer(b"<html>busy", status, kind)) as endpoint:
        assert "<html>busy" in ask(endpoint.url, retries=0)[0].error
    with serving(lambda body: completion(SAID)._replace(headers=kind)) as endpoint:
        assert ask(endpoint.url)[0].reply == SAID


@pytest.mark.parametrize(
    "header", ["X: é", ": v", "X Y: z", "Content-Length: 5", "transfer-encoding: chunked"]
)
def test_a_header_that_no_request_may_have_is_refused_before_one_is_sent(header):
    with pytest.raises(ValueError, match=f"--header {header.split(':')[0]}: no request"):
        ask("http://127.0.0.1:1/v1", header=(header,))


def test_a_base_url_may_be_given_with_the_path_of_the_requests():
    with serving(lambda body: completion(SAID)) as endpoint:
        assert ask(endpoint.url + "/chat/completions/")[0].reply == SAID


@pytest.mark.parametrize("code", [402, "402", 401, 403])
def test_an_error_under_status_200_is_known_by_the_code_in_it(code):
    error = {"error": {"code": code, "message": "No."}}
    with serving(lambda body: Answer(error)) as endpoint, pytest.raises(EndpointError, match="No"):
        ask(endpoint.url, retries=20)
    assert len(endpoint.bodies) <= 3


@pytest.mark.parametrize("key", ["", KEY])
def test_a_header_takes_the_place_of_that_of_the_same_name(monkeypatch, key):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    monkeypatch.setenv("TOKEN", "Basic abcdefghijkl")
    with serving(lambda body: completion("abcdefghijkl")) as endpoint:
        [episode] = ask(endpoint.url, header=("authorization: $TOKEN", "User-Agent: mine"))
    [headers] = endpoint.headers
    assert (headers["Authorization"], headers["User-Agent"]) == ("Basic abcdefghijkl", "mine")
    assert not any(name.startswith("X-Stainless") for name in headers)
    assert episode.reply == "[key]"


@pytest.mark.parametrize("flag", [{"header": ("api-key: abc",)}, {"query": ("key=abc",)}])
def test_a_key_on_the_command_line_is_refused_and_not_shown(flag):
    with pytest.raises(ValueError, match="keys come from the environment alone") as told:
        ask("http://127.0.0.1:1/v1", **flag)
    assert "abc" not in str(told.value)
    with pytest.raises(ValueError, match="that variable is not set"):
        ask("http://127.0.0.1:1/v1", header=("api-key: $NOWHERE",))


WITHOUT = {
    "max_tokens": '{"max_tokens": null, "max_completion_tokens": 1024}',
    "temperature": '{"temperature": null}',
    "seed": '{"seed": null}',
}
"""The `--request` that leaves a field out."""


@pytest.mark.parametrize("field", WITHOUT)
@pytest.mark.parametrize(
    "said",
    [
        {"error": {"message": "Unsupported parameter: '{}'. Use another.", "param": "{}"}},
        {"error": {"message": "Supported are temperature, max_tokens and seed", "param": "{}"}},
        {"detail": [{"loc": ["body", "{}"], "msg": "Extra inputs are not permitted"}]},
        {"message": "`{}` is deprecated for this model"},
        "unrecognized request argument supplied: {}",
    ],
)
def test_a_field_that_is_refused_is_named_with_the_request_that_leaves_it_out(field, said):
    told = json.dumps(said).replace("{}", field)

    def picky(body):
        return Answer(told.encode(), 400) if field in body else completion(SAID)

    with serving(picky) as endpoint:
        [episode] = ask(endpoint.url)
        assert f"--request '{WITHOUT[field]}'" in episode.error
        assert ask(endpoint.url, request=WITHOUT[field])[0].reply == SAID


@pytest.mark.parametrize("said", ["Temperature is not supported", "maxTokens: unknown", "no Seed"])
def test_a_refused_field_is_known_in_other_spellings(said):
    with serving(lambda body: Answer(said.encode(), 422)) as endpoint:
        assert "--request '{" in ask(endpoint.url)[0].error


def test_a_refusal_that_names_no_field_names_no_request():
    with serving(lambda body: Answer(b"the image is too large", 413)) as endpoint:
        assert "--request" not in ask(endpoint.url)[0].error


@pytest.mark.parametrize("model", ["o3", "o4-mini", "gpt-5-mini", "openai/gpt-5.1", "gpt-4o"])
def test_families_that_refuse_fields_are_not_sent_them(model):
    with serving(lambda body: completion(SAID)) as endpoint:
        ask(endpoint.url, model=model)
    old = model == "gpt-4o"
    assert [name in endpoint.bodies[0] for name in ("temperature", "max_tokens")] == [old, old]


@pytest.mark.parametrize(
    ("asked", "answers", "same"),
    [
        ("gpt-4o", "gpt-4o-2024-08-06", True),
        ("gpt-4o", "gpt-4o-mini", False),
        ("gpt-4", "gpt-4o", False),
        ("gpt-4", "gpt-4-0613", True),
        ("gpt-4o-2024-08-06", "gpt-4o-2024-05-13", False),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022", True),
        ("qwen/qwen3-vl-8b:free", "Qwen3-VL-8B", True),
        ("qwen3-vl-8b", "qwen3-vl-4b", False),
        ("gemini-1.5-pro", "gemini-1.5-pro-002", True),
        ("runs/demo/opcd", "runs/demo/opcd@main", True),
        ("m", "", True),
    ],
)
def test_names_of_models_are_compared_as_names(asked, answers, same):
    assert is_version(asked, answers) is same


def test_what_an_endpoint_tells_is_kept_with_the_reply():
    body = completion("cut").body
    body["choices"][0] |= {"finish_reason": "length"}
    body["choices"][0]["message"] |= {"refusal": "I will not", "reasoning_content": "hm"}
    with serving(lambda asked: Answer(body, 200, {"x-request-id": "req-7"})) as endpoint:
        [episode] = ask(endpoint.url)
    told = (episode.finish_reason, episode.refusal, episode.reasoning, episode.request_id)
    assert told == ("length", "I will not", "hm", "req-7") and 0 < episode.latency < 60


def test_who_cannot_be_reached_ends_the_run_soon(monkeypatch):
    for url in ("http://name.invalid/v1", None):
        with nobody() as gone, pytest.raises(EndpointError, match="ConnectError"):
            ask(url or gone, count=4)
    with serving(lambda body: completion(SAID)) as plain, pytest.raises(EndpointError, match="SSL"):
        ask(plain.url.replace("http:", "https:"))
    with nobody() as gone, pytest.raises(EndpointError, match="ConnectError"):
        monkeypatch.setenv("HTTP_PROXY", gone.removesuffix("/v1"))
        ask("http://name.invalid/v1")


def test_a_proxy_that_is_no_url_is_named_without_its_password(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "me:very-secret@proxy:port")
    with pytest.raises(ValueError, match="HTTPS_PROXY=") as told:
        ask("http://127.0.0.1:1/v1")
    assert "secret" not in str(told.value) and "proxy:port" not in str(told.value)


def test_a_server_that_goes_away_in_the_middle_is_waited_for_and_then_ends_the_run():
    asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Plain)
    url = f"http://127.0.0.1:{server.server_port}/v1"
    agent = OpenAIAgent(
        "m",
        Endpoint(base_urls=(url,), patience=1.0, concurrency=1),
        view=View(image_size=64),
    )
    with other_server(server):
        episodes = play(agent, CASES)
        asked.append(next(episodes))
    with pytest.raises(EndpointError, match="Error"):
        asked.extend(episodes)
    assert asked[0].reply == SAID
