"""HTTP answers off a socket: as the standard library reads them, and nothing that is none."""

import http.client
import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.backends import answer
from agents.backends.answer import read_answer

HEAD = b"HTTP/1.1 200 OK\r\nX-More: a: b\r\n"


class Wire:
    """A socket on which these pieces arrive, one at a time; then it is closed, or stays silent."""

    def __init__(self, sent, lengths=(), ends=True):
        self.pieces = []
        for length in lengths:
            self.pieces, sent = [*self.pieces, sent[:length]], sent[length:]
        self.pieces, self.ends = [each for each in (*self.pieces, sent) if each], ends

    def gettimeout(self):
        return None

    def settimeout(self, seconds):
        assert seconds > 0

    def recv(self, most):
        if self.pieces:
            assert len(self.pieces[0]) <= most
            return self.pieces.pop(0)
        assert self.ends, "more was asked for than was sent"
        return b""


def read(sent, **how):
    return read_answer(Wire(sent, **how), seconds=10.0)


def library(sent):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(sent)
        theirs.shutdown(socket.SHUT_WR)
        found = http.client.HTTPResponse(ours, method="POST")
        found.begin()
        return found.status, dict(found.headers), found.read()


def chunked(parts):
    body = b"".join(b"%x;name=1\r\n%s\r\n" % (len(part), part) for part in parts if part)
    return HEAD + b"Transfer-Encoding: Chunked\r\n\r\n" + body + b"0\r\nTrailer: 1\r\n\r\n"


def whole(parts):
    body = b"".join(parts)
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


def until_closed(parts):
    return HEAD + b"\r\n" + b"".join(parts)


def coded_until_closed(parts):
    return HEAD + b"Transfer-Encoding: identity\r\n\r\n" + b"".join(parts)


@given(
    st.sampled_from([whole, chunked, until_closed, coded_until_closed]),
    st.lists(st.binary(max_size=40), max_size=5),
    st.lists(st.integers(1, 60), max_size=6),
    st.sampled_from([b"", b"HTTP/1.1 103 Early Hints\r\nLink: <style>\r\n\r\n"]),
)
def test_an_answer_is_read_as_the_standard_library_reads_it(form, parts, lengths, before):
    found, (status, headers, body) = (
        read(before + form(parts), lengths=lengths),
        library(form(parts)),
    )
    assert (found.status, found.body) == (status, body)
    assert found.headers == {name.lower(): value for name, value in headers.items()}
    assert found.stays_open == (form in (whole, chunked))


def test_an_answer_is_over_when_it_says_so_though_the_connection_stays_open():
    assert read(whole([b"{}"]), ends=False).body == b"{}"
    assert read(chunked([b"{}"]), ends=False).body == b"{}"
    assert read(b"HTTP/1.1 204 None\r\n\r\n", ends=False).body == b""


@pytest.mark.parametrize(
    "sent",
    [
        whole([b"{}"]) + b"HTTP/1.1 500 No\r\n\r\n",
        whole([b"{}"]) + b"{}",
        whole([b"{}"]).replace(b"X-More", b"Connection").replace(b"a: b", b"Close"),
        whole([b"{}"]).replace(b"HTTP/1.1", b"HTTP/1.0"),
    ],
    ids=["another answer", "more than it says", "the server closes", "an old server"],
)
def test_a_connection_is_not_used_again_where_the_next_answer_may_not_be_its_own(sent):
    found = read(sent)
    assert (found.status, found.body, found.stays_open) == (200, b"{}", False)


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (b"", http.client.RemoteDisconnected),
        (b"HTTP/1.1 200 O", http.client.IncompleteRead),
        (b"HTTP/1.1 100 Continue\r\n\r\n", http.client.IncompleteRead),
        (whole([b"12345"])[:-1], http.client.IncompleteRead),
        (chunked([b"12345"])[:-30], http.client.IncompleteRead),
        (HEAD.replace(b"200 OK", b"101 On") + b"Upgrade: h2\r\n\r\n", http.client.HTTPException),
        (
            HEAD.replace(b"200 OK", b"101 On") + b"Connection: Upgrade\r\nUpgrade: h2\r\n\r\n",
            http.client.HTTPException,
        ),
        (b"SSH-2.0-OpenSSH\r\n\r\n", http.client.HTTPException),
        (b"HTTP/1.1 two OK\r\n\r\n", http.client.HTTPException),
        (HEAD + b"Content-Length: -5\r\n\r\n", http.client.HTTPException),
        (HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", http.client.HTTPException),
        (chunked([b"12345"]).replace(b"5;name", b"-5;name"), http.client.HTTPException),
        (chunked([b"12345"]).replace(b"5;name", b"4;name"), http.client.HTTPException),
    ],
)  # fmt: skip
def test_what_is_no_answer_raises_what_the_client_asks_again_after(sent, error):
    with pytest.raises(error):
        read(sent)


@pytest.mark.parametrize("endless", [HEAD, HEAD + b"\r\n", HEAD + b"Content-Length: 9\r\n\r\n"])
def test_an_answer_is_no_longer_than_the_time_and_the_most(endless, monkeypatch):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(endless)
        began = time.monotonic()
        with pytest.raises(TimeoutError, match="timed out"):
            read_answer(ours, seconds=0.05)
        assert time.monotonic() - began >= 0.05
    monkeypatch.setattr(answer, "MOST_BYTES", len(endless) + 5)
    with pytest.raises(OSError, match="longer than"):
        read(endless + b"123456")
