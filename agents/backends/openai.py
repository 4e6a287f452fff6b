"""The `openai` backend: any endpoint that speaks OpenAI's chat completions, vLLM's server included.

The openai SDK's client asks, in an event loop on a thread of its own: many requests at once, over
several base URLs if there are several. What fails in passing is asked again, later and later, and
never before the endpoint's `Retry-After`. What fails for good is a reply with an `error`; what will
fail for every request, such as a revoked key or an empty account, ends the run. The keys come from
the environment, go into the request's headers and nowhere else.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import asdict, replace
from itertools import count
from typing import Any, Literal, NamedTuple

import httpx2
from openai import APIConnectionError, APIStatusError, AsyncOpenAI, Omit

from agents.agent import Reply, Request, View
from agents.backends.chat import NoCompletion, chat_messages, joined, read_completion
from agents.backends.connection import (
    HOOKS,
    Secrets,
    asked_wait,
    open_client,
    read_url,
    trusted_certificates,
)
from agents.backends.endpoint import Endpoint
from agents.sampling import Sampling

REFUSALS = (300, 301, 302, 303, 307, 308, 401, 403, 404, 405, 407)
"""Statuses that every request will get: a wrong key, model or path. But see `_ask_until`."""
MOST_REFUSALS = 2
"""How often a request is refused before all are given up, while no other is answered."""
POOL = 4
"""Requests to a client: for each request, httpx looks at all connections of its client."""
UNREACHABLE_SECONDS = 10.0
"""How long no server can be reached before the run ends; `patience` once one has answered."""
_EMPTY = re.compile(
    r"(?i)insufficient[_ ](\w+[_ ])?(quota|balance|credits?|funds)|(no|not enough|out of) credits?|"
    r"(credit|balance)[\w ]{0,30} too low|billing[_ ](hard|not[_ ]active)|api usage limits|"
    r"(account|api[_ ]key)[\w ,]{0,30}[_ ](deactivated|suspended|revoked|expired|not valid)|"
    r"(spend(ing)?|key limit|budget)[\w ]{0,30}[_ ](exceeded|reached)|余额不足|欠费"
)
_REASONING = re.compile(r"(?i)(^|[/:])(o\d|gpt-([5-9]|1\d)(?!.*chat))")
_VERSION = re.compile(
    r"[-@:_](\d{4}-\d\d-\d\d|\d\d-\d\d(?:\d\d)?|\d{3,8}|latest|preview|exp|beta|free)$"
)
_OF_THE_SDK = (
    "Lang", "Package-Version", "OS", "Arch", "Runtime", "Runtime-Version", "Async", "Retry-Count",
)  # fmt: skip
"""What the SDK tells of this machine. A header takes a hundredth of the time of a request."""
_STREAM = {"content-type": "text/event-stream"}
_NO_CONNECTION = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError)


class EndpointError(ValueError):
    """The endpoint will answer no request, as things are; the message says what it said."""


class OpenAIAgent:
    """A model behind an endpoint."""

    def __init__(
        self,
        model: str,
        endpoint: Endpoint | None = None,
        sampling: Sampling | None = None,
        view: View | None = None,
    ) -> None:
        """`model` is its name at the endpoint. Nothing is sent yet."""
        self.model, self.name = model, f"openai:{model}"
        self.endpoint = endpoint = (endpoint or Endpoint()).check()
        self.sampling, self.view = sampling or Sampling(), view or View()
        self.concurrency = endpoint.concurrency
        self._secrets = secrets = Secrets()
        key = secrets.read(endpoint.key_variable)
        headers = secrets.fields("header", endpoint.header, ":")
        left_out = [f"X-Stainless-{what}" for what in _OF_THE_SDK]
        if not key and "authorization" not in map(str.lower, headers):
            left_out.append("Authorization")
        self._call: Any = {"headers": dict.fromkeys(left_out, Omit())}
        self._options: dict[str, Any] = {
            "api_key": key or "none",
            "default_headers": {"Content-Type": "application/json", **headers},
            "default_query": secrets.fields("query", endpoint.query, "="),
            "max_retries": 0,
        }
        self._open()  # what cannot be is refused before anything is asked
        self._answered = 0.0  # when the last good answer came
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def settings(self) -> dict[str, Any]:
        """What its replies depend on: the model, the request and the draw; never the key."""
        names = ("query", "detail", "system")
        more = {name: value for name in names if (value := getattr(self.endpoint, name))}
        return {"request": self.endpoint.request, **more, "sampling": asdict(self.sampling)}

    def submit(self, request: Request) -> Future[Reply]:
        """Ask; the reply comes later, or EndpointError where no request can succeed."""
        return asyncio.run_coroutine_threadsafe(self._ask(request), self._running())

    def reply(self, requests: Sequence[Request]) -> list[Reply]:
        """One reply per request. Raises EndpointError where no request can succeed."""
        asking = [self.submit(request) for request in requests]
        try:
            return [each.result() for each in asking]
        finally:  # an error in one ends the others
            for each in asking:
                each.cancel()

    def close(self) -> None:
        """End what is under way and close the connections. The agent can be asked again."""
        if self._loop and self._thread:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(1.0)  # it may wait for the name of a host to be looked up
            self._loop = self._thread = None

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = loop = asyncio.new_event_loop()
            if any(client.is_closed() for client in self._clients):
                self._open()
            self._room, self._over = asyncio.Semaphore(self.concurrency), ""
            self._thread = threading.Thread(target=self._run, args=(loop,), daemon=True)
            self._thread.start()
        return self._loop

    def _open(self) -> None:
        self._clients: dict[AsyncOpenAI, str] = {}
        urls = [read_url(url) for url in self.endpoint.base_urls]
        trusted = trusted_certificates(self.endpoint.ca_file)
        for url in urls * -(-self.concurrency // POOL):
            # The timeout is for a whole answer, see `_send`.
            http = open_client(httpx2.AsyncClient, None, verify=trusted, event_hooks=HOOKS)
            own = {"base_url": url, "http_client": http, "timeout": http.timeout}
            self._clients[AsyncOpenAI(**own, **self._options)] = url
        self._under_way = dict.fromkeys(self._clients, 0)
        self._open_at = dict.fromkeys(urls, 0.0)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        loop.run_forever()
        for task in (left := asyncio.all_tasks(loop)):
            task.cancel()
        closing = [client.close() for client in self._clients]
        loop.run_until_complete(asyncio.gather(*left, *closing, return_exceptions=True))
        loop.close()

    async def _ask(self, request: Request) -> Reply:
        async with self._room:
            if self._over:  # nobody asks on
                raise EndpointError(self._over)
            return await self._ask_until(self.body(request), time.monotonic())

    async def _ask_until(self, body: bytes, began: float) -> Reply:
        failures, refusals, failed_at = 0, 0, began
        for attempt in count():
            client, url = await self._free_client()
            sent = time.monotonic()
            outcome = await self._send(client, body)
            now = time.monotonic()
            if isinstance(outcome, Reply):
                self._answered = now
                return replace(outcome, latency=round(now - sent, 3))
            kind, again = outcome.kind, now + (outcome.wait or backoff(attempt))
            failures += kind == "passing"
            refusals += kind == "refused"
            soon = kind == "gone" and not self._answered
            late = again - began > (UNREACHABLE_SECONDS if soon else self.endpoint.patience)
            hopeless = refusals > MOST_REFUSALS or (late and kind in ("gone", "limited"))
            # While others are answered, go on: a gateway that is out of order refuses in passing.
            if self._over or kind == "empty" or (hopeless and self._answered < failed_at):
                self._over = self._over or f"{url}: {outcome.text}"
                raise EndpointError(self._over)
            most = self.endpoint.retries
            if late or kind == "final" or failures > most or refusals > max(most, MOST_REFUSALS):
                break
            failed_at = now
            if outcome.wait is not None or kind in ("gone", "limited"):  # nobody asks it meanwhile
                self._open_at[url] = max(self._open_at[url], again)
            else:
                await asyncio.sleep(again - now)
        return Reply(error=outcome.text)

    async def _send(self, client: AsyncOpenAI, body: bytes) -> Reply | _Failure:
        self._under_way[client] += 1
        try:
            async with asyncio.timeout(self.endpoint.timeout):
                response = await client.post(
                    f"{self._clients[client]}/chat/completions",  # a path would be parsed thrice
                    cast_to=httpx2.Response, content=body, options=self._call,
                )  # fmt: skip
        except APIStatusError as error:
            return self._refusal(error)
        except TimeoutError:
            return _Failure(f"TimeoutError: no answer in {self.endpoint.timeout:g} s")
        except APIConnectionError as error:
            cause = error.__cause__ or error
            said = self._secrets.line(f"{type(cause).__name__}: {cause}")
            return _Failure(said, "gone" if isinstance(cause, _NO_CONNECTION) else "passing")
        finally:
            self._under_way[client] -= 1
        return self._read(response)

    def _refusal(self, error: APIStatusError) -> _Failure:
        response, status = error.response, error.status_code
        text = response.text[: 2**16]
        said = f"HTTP {status}: {self._secrets.line(text)}"
        if to := response.headers.get("location"):
            said += f" (it redirects to {self._secrets.line(to)}: name that with --base-urls)"
        kind = _kind(status, text)
        if kind == "final":
            said += self._way_out(f"{error.param} {text}")
        return _Failure(said, kind, asked_wait(response.headers))

    def _way_out(self, text: str) -> str:
        """How to leave out a field that the endpoint does not take, if it names one."""
        fields = [name for name in self._fields(0) if name not in ("model", "stream")]
        spelled = "|".join(f"({re.escape(name).replace('_', '[_ -]?')})" for name in fields)
        found = re.search(rf"(?i)\b(?:{spelled})\b", text)
        if not found:
            return ""
        named = fields[(found.lastindex or 1) - 1]
        without = json.loads(self.endpoint.request) | {named: None}
        if named == "max_tokens":
            without["max_completion_tokens"] = self.sampling.max_new_tokens
        return f" (to leave {named} out: --request '{json.dumps(without)}')"

    def _read(self, response: httpx2.Response) -> Reply | _Failure:
        try:
            reply, model = read_completion(_completion(response))
        except NoCompletion as error:
            said = str(error)
            if "error" not in said:
                said += f": {response.text}"
            kind = _kind(error.code, str(error))
            kind = "passing" if kind in ("final", "limited") else kind
            return _Failure(self._secrets.line(said), kind)
        if not is_version(self.endpoint.answers_as or self.model, model):
            named = self._secrets.line(model)
            text = f"the answer is of another model, {named}; if that is it, --answers-as names it"
            return _Failure(text, "refused")
        per_prompt, per_new = self.endpoint.prices
        told = {"text": reply.text, **reply.told()}
        told["request_id"] = response.headers.get("x-request-id") or reply.request_id
        kept: dict[str, Any] = {name: self._secrets.hide(said) for name, said in told.items()}
        cost = (reply.prompt_tokens * per_prompt + reply.tokens * per_new) / 1e6
        return replace(reply, cost=cost, **kept)

    def body(self, request: Request) -> bytes:
        """The request as JSON. The seed is the board's own, whenever it is asked."""
        fields = self._fields(request.seed(self.sampling.seed))
        how = (self.endpoint.system, self.endpoint.detail)
        messages = chat_messages(request.prompt, request.layout.level, *how)
        return json.dumps({"messages": messages, **fields}).encode()

    def _fields(self, seed: int) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "model": self.model,
            "temperature": self.sampling.temperature,
            "max_tokens": self.sampling.max_new_tokens,
            "seed": seed,
        }
        if self.endpoint.stream:
            fields |= {"stream": True, "stream_options": {"include_usage": True}}
        # Families that refuse some of these.
        if _REASONING.search(self.model):
            fields["max_completion_tokens"] = fields.pop("max_tokens")
            del fields["temperature"]
        if any("api.mistral.ai" in url for url in self.endpoint.base_urls):
            fields["random_seed"] = fields.pop("seed")
        fields |= json.loads(self.endpoint.request)
        return {name: value for name, value in fields.items() if value is not None}

    async def _free_client(self) -> tuple[AsyncOpenAI, str]:
        """That with the fewest requests, and its server, once one of them wants any."""
        while True:
            now = time.monotonic()
            open_now = {url for url, open_at in self._open_at.items() if open_at <= now}
            if ready := [each for each in self._clients.items() if each[1] in open_now]:
                return min(ready, key=lambda each: self._under_way[each[0]])
            await asyncio.sleep(min(self._open_at.values()) - now)


def is_version(asked: str, answers: str) -> bool:
    """Whether two names are of one model: owners, dates and tags such as `latest` aside.

    A date in one name alone is of no account; two different ones are two models.
    """
    (stem, version), (other, others) = _versioned(asked), _versioned(answers)
    return not answers or (stem == other and (not version or not others or version == others))


def backoff(attempt: int) -> float:
    """Seconds before asking again: 0.5 doubled each time up to 64, scattered so none go in step."""
    return 0.5 * 2 ** min(attempt, 7) * random.uniform(0.5, 1.0)


def _versioned(name: str) -> tuple[str, str]:
    stem, version = name.rstrip("/").rpartition("/")[2].partition("@")[0].lower(), ""
    while found := _VERSION.search(stem):
        stem = stem[: found.start()]
        version = version or "".join(filter(str.isdigit, found[1]))
    return stem, version


def _completion(response: httpx2.Response) -> Any:
    """The JSON of an answer, streamed or not. Some gateways stream without saying so."""
    kind = response.headers.get("content-type", "")
    said = response.content.lstrip(b"\xef\xbb\xbf \r\n")
    if "text/event-stream" in kind or said.startswith((b"data:", b"event:", b":")):
        whole = said + b"\n\n"  # the last event may lack its end
        stream = httpx2.Response(200, headers=_STREAM, content=whole, request=response.request)
        return joined(event.data for event in httpx2.EventSource(stream, max_event_size=None))
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError):
        raise NoCompletion("no chat completion") from None


def _kind(status: int, text: str) -> Kind:
    """What an error with such a status means, be it that of the answer or written in it."""
    if status == 402 or (status < 500 and _EMPTY.search(text)):
        return "empty"
    if status == 429:
        return "limited"
    if status in REFUSALS:
        return "refused"
    return "final" if status < 500 and status not in (408, 409, 425) else "passing"


Kind = Literal["passing", "final", "limited", "refused", "empty", "gone"]
"""What failed: this attempt; the request, for good; the rate; every request, unless it passes;
every request, the account having nothing left; the connection."""


class _Failure(NamedTuple):
    """Why an attempt brought no reply."""

    text: str
    kind: Kind = "passing"
    wait: float | None = None
    """Seconds the server asks to wait; None if it says nothing."""
