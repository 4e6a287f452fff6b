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
import math
import random
import re
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import httpx2
from openai import APIConnectionError, APIStatusError, AsyncOpenAI, Omit

from agents.agent import Reply, Request, View
from agents.backends.chat import NoCompletion, chat_json, joined, read_completion
from agents.backends.connection import (
    Secrets,
    asked_wait,
    bound_body,
    client_options,
    open_client,
    read_url,
)
from agents.sampling import Sampling

AGAIN = (408, 409, 425, 429)
"""Statuses that may pass, beside all from 500 on."""
REFUSALS = (300, 301, 302, 303, 307, 308, 401, 403, 404, 405, 407)
"""Statuses that every request will get: a wrong key, model or path. But see `_ask`."""
MOST_REFUSALS = 2
"""How often a request is refused before all are given up, while no other is answered."""
UNREACHABLE_SECONDS = 10.0
"""How long no server can be reached before the run ends; `patience` once one has answered."""
_EMPTY = re.compile(
    r"(?i)insufficient[_ ](quota|balance|credits|funds)|credit balance is too low|"
    r"billing_(hard_limit_reached|not_active)|account_deactivated"
)
_REASONING = re.compile(r"(?i)(^|/)(o\d|gpt-[5-9](?!.*chat))")
_VERSION = re.compile(
    r"[-@:_](\d{4}-\d\d-\d\d|\d\d-\d\d(?:\d\d)?|\d{3,8}|latest|preview|exp|beta|free)$"
)
_NO_CONNECTION = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError)


class EndpointError(ValueError):
    """The endpoint will answer no request, as things are; the message says what it said."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where a model is served, and how it is asked. For the `openai` agent alone."""

    base_urls: tuple[str, ...] = ("https://api.openai.com/v1",)
    """One or several servers of the same model; requests go to the one with the fewest."""
    key_variable: str = "OPENAI_API_KEY"
    """Environment variable that holds the key; unset, requests carry none."""
    header: tuple[str, ...] = ()
    """More headers of each request: `'X-Title: maze' 'api-key: $AZURE_OPENAI_API_KEY'`. A value
    that opens with `$` is read from the environment; keys must be."""
    query: tuple[str, ...] = ()
    """More of the query of each request: `api-version=2024-10-21`."""
    ca_file: str = ""
    """File of certificates to trust beside the system's."""
    concurrency: int = 32
    """Requests under way at once, over all servers."""
    timeout: float = 300.0
    """Seconds from a request to the end of its answer before it counts as failed."""
    retries: int = 6
    """How often a request that failed in passing is sent again."""
    patience: float = 900.0
    """Seconds after which a request that is held off by a rate limit has failed, and after which a
    run ends whose servers can no longer be reached."""
    prices: tuple[float, float] = (0.0, 0.0)
    """Dollars per million tokens of prompt and of reply, to count the cost."""
    answers_as: str = ""
    """Name under which the endpoint answers, where it is another than the model's (an alias).
    Versions of the name need none: `gpt-x` may answer as `gpt-x-2026-01-01`."""
    stream: bool = False
    """Ask for the answer in pieces, for gateways that insist on it."""
    detail: str = ""
    """How closely the pictures are to be looked at: `low`, `high` or `auto`; empty says nothing."""
    system: str = ""
    """A system prompt, which opens every chat."""
    request: str = "{}"
    """More fields of the request, as JSON; null takes one out, for models that want another:
    `{"max_tokens": null, "max_completion_tokens": 512}`."""

    def check(self) -> Endpoint:
        """Itself; a ValueError for what cannot be. See `agents.multi_turn.TurnPolicy.check`."""
        for url in self.base_urls:
            read_url(url)
        try:
            fields = json.loads(self.request)
        except (ValueError, TypeError):
            fields = None
        if not isinstance(fields, dict):
            raise ValueError(f"the request fields are a JSON object, got {self.request}")
        if not 0 < self.timeout < math.inf:
            raise ValueError(f"the timeout is a number of seconds above 0, got {self.timeout}")
        if not self.base_urls or self.concurrency < 1 or self.retries < 0:
            raise ValueError(
                "an endpoint needs a base URL, concurrency ≥ 1 and retries ≥ 0, got "
                f"{self.base_urls}, {self.concurrency} and {self.retries}"
            )
        return self


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
        no_key = {} if key else {"Authorization": Omit()}
        self._call: Any = {"headers": {"Content-Type": "application/json", **no_key}}
        self._client: dict[str, Any] = {
            "api_key": key or "none",
            "default_headers": secrets.fields("header", endpoint.header, ":"),
            "default_query": secrets.fields("query", endpoint.query, "="),
            "max_retries": 0,
        }
        # The timeout is for a whole answer, see `_send`.
        options = client_options(None, endpoint.ca_file) | {
            "event_hooks": {"response": [bound_body]}
        }
        self._client["timeout"], self._options = options["timeout"], options
        self._lanes = [_Lane(url) for url in endpoint.base_urls]
        self._open()  # what cannot be is refused before anything is asked
        self._answered = 0.0  # when the last good answer came
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def settings(self) -> dict[str, Any]:
        """What its replies depend on: the model, the request and the draw; never the key."""
        more = {name: getattr(self.endpoint, name) for name in ("query", "detail", "system")}
        asked = {name: value for name, value in more.items() if value}
        return {"request": self.endpoint.request, **asked, "sampling": asdict(self.sampling)}

    def submit(self, request: Request) -> Future[Reply]:
        """Ask; the reply comes later, or EndpointError where no request can succeed."""
        return asyncio.run_coroutine_threadsafe(self._ask(request), self._running())

    def reply(self, requests: Sequence[Request]) -> list[Reply]:
        """One reply per request. Raises EndpointError where no request can succeed."""
        asking = asyncio.run_coroutine_threadsafe(self._ask_all(requests), self._running())
        try:
            return asking.result()
        finally:
            asking.cancel()

    def close(self) -> None:
        """End what is under way and close the connections. The agent can be asked again."""
        if self._loop and self._thread:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(1.0)  # it may wait for the name of a host to be looked up
            self._loop = self._thread = None

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = loop = asyncio.new_event_loop()
            self._open()
            self._room, self._over = asyncio.Semaphore(self.concurrency), ""
            self._thread = threading.Thread(target=self._run, args=(loop,), daemon=True)
            self._thread.start()
        return self._loop

    def _open(self) -> None:
        for lane in self._lanes:
            http = open_client(httpx2.AsyncClient, **self._options)
            lane.client = AsyncOpenAI(base_url=lane.url, http_client=http, **self._client)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        loop.run_forever()
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        closing = [lane.client.close() for lane in self._lanes]
        loop.run_until_complete(asyncio.gather(*left, *closing, return_exceptions=True))
        loop.close()

    async def _ask_all(self, requests: Sequence[Request]) -> list[Reply]:
        left, replies = iter(enumerate(requests)), dict[int, Reply]()

        async def ask_on() -> None:
            for number, request in left:
                replies[number] = await self._ask(request)

        count = min(self.concurrency, len(requests))
        asking = [asyncio.ensure_future(ask_on()) for _ in range(count)]
        try:
            await asyncio.gather(*asking)
        finally:  # an error in one ends the others
            for each in asking:
                each.cancel()
        return [replies[number] for number in range(len(requests))]

    async def _ask(self, request: Request) -> Reply:
        async with self._room:
            if self._over:  # nobody asks on
                raise EndpointError(self._over)
            return await self._ask_until(self.body(request), time.monotonic())

    async def _ask_until(self, body: bytes, began: float) -> Reply:
        give_up = began + self.endpoint.patience
        failures = refusals = attempt = 0
        while True:
            lane = await self._enter()
            sent = time.monotonic()
            try:
                outcome = await self._send(lane, body)
            finally:
                lane.under_way -= 1
            now = time.monotonic()
            if isinstance(outcome, Reply):
                self._answered = now
                return replace(outcome, latency=round(now - sent, 3))
            wait = backoff(attempt) if outcome.wait is None else outcome.wait
            failures += not (outcome.limited or outcome.unreachable)
            refusals += outcome.refused
            over = outcome.final or failures > self.endpoint.retries
            over = over or (now + wait > give_up and not outcome.unreachable)
            # A gateway that is out of order refuses in passing: while others are answered, go on.
            alone = refusals > MOST_REFUSALS and self._answered < began
            refused = outcome.refused and (alone or (over and not self._answered))
            if outcome.empty or refused or (outcome.unreachable and self._is_gone(now + wait)):
                self._over = f"{lane.url}: {outcome.text}"
                raise EndpointError(self._over)
            if over:
                return Reply(error=outcome.text)
            if outcome.closed:
                lane.open_at = max(lane.open_at, now + wait)
            else:
                await asyncio.sleep(wait)
            attempt += 1

    async def _send(self, lane: _Lane, body: bytes) -> Reply | _Failure:
        try:
            async with asyncio.timeout(self.endpoint.timeout):
                response = await lane.client.post(
                    "/chat/completions", cast_to=httpx2.Response, content=body, options=self._call
                )
        except APIStatusError as error:
            lane.gone_since = 0.0
            return self._refusal(error.response, body)
        except TimeoutError:
            return _Failure(f"TimeoutError: no answer in {self.endpoint.timeout:g} seconds")
        except APIConnectionError as error:
            cause = error.__cause__ or error
            gone = isinstance(cause, _NO_CONNECTION)
            lane.gone_since = (lane.gone_since or time.monotonic()) if gone else 0.0
            said = self._secrets.line(f"{type(cause).__name__}: {cause}")
            return _Failure(said, closed=gone, unreachable=gone)
        lane.gone_since = 0.0
        return self._read(response)

    def _is_gone(self, then: float) -> bool:
        """Whether no server will have been reachable for too long by then."""
        most = self.endpoint.patience
        if not self._answered:
            most = min(most, UNREACHABLE_SECONDS)
        return all(lane.gone_since and then - lane.gone_since > most for lane in self._lanes)

    def _refusal(self, response: httpx2.Response, body: bytes) -> _Failure:
        status = response.status_code
        said = f"HTTP {status}: {self._excerpt(response)}"
        if to := response.headers.get("location"):
            said += f" (it redirects to {self._secrets.line(to)}: name that with --base-urls)"
        refused, limited = status in REFUSALS, status == 429
        passing = refused or status in AGAIN or status >= 500
        return _Failure(
            said if passing else said + self._way_out(response),
            wait=asked_wait(response.headers),
            final=not passing,
            limited=limited,
            closed=limited or status == 503,
            refused=refused,
            empty=status == 402 or (status < 500 and bool(_EMPTY.search(response.text))),
        )

    def _way_out(self, response: httpx2.Response) -> str:
        """How to leave out a field that the endpoint does not take, if it names one."""
        found = [name for name in self._fields(0) if name not in ("model", "stream")]
        named = re.search(rf"\b({'|'.join(map(re.escape, found))})\b", response.text)
        if not named:
            return ""
        without = json.loads(self.endpoint.request) | {named[1]: None}
        if named[1] == "max_tokens":
            without["max_completion_tokens"] = self.sampling.max_new_tokens
        return f" (to leave {named[1]} out: --request '{json.dumps(without)}')"

    def _read(self, response: httpx2.Response) -> Reply | _Failure:
        try:
            if "text/event-stream" in response.headers.get("content-type", ""):
                answer: Any = joined(event.data for event in httpx2.EventSource(response))
            else:
                answer = _json(response)
            reply, model = read_completion(answer)
        except NoCompletion as error:
            said = str(error) if "error" in str(error) else f"{error}: {self._excerpt(response)}"
            return _Failure(self._secrets.line(said))
        if not is_version(self.endpoint.answers_as or self.model, model):
            named = self._secrets.line(model)
            text = f"the answer is of another model, {named}; if that is it, --answers-as names it"
            return _Failure(text, refused=True)
        per_prompt, per_new = self.endpoint.prices
        hide = self._secrets.hide
        return replace(
            reply,
            text=hide(reply.text),
            refusal=hide(reply.refusal),
            reasoning=hide(reply.reasoning),
            finish_reason=hide(reply.finish_reason)[:50],
            request_id=hide(response.headers.get("x-request-id") or reply.request_id)[:100],
            cost=(reply.prompt_tokens * per_prompt + reply.tokens * per_new) / 1e6,
        )

    def body(self, request: Request) -> bytes:
        """The request as JSON. The seed is the board's own, whenever it is asked."""
        fields = self._fields(request.seed(self.sampling.seed))
        how = (self.endpoint.system, self.endpoint.detail)
        return chat_json(request.prompt, request.layout.level, fields, *how)

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

    async def _enter(self) -> _Lane:
        """The lane with the fewest requests among those that are open, or that open first."""
        now = time.monotonic()
        lane = min(self._lanes, key=lambda each: (max(each.open_at, now), each.under_way))
        lane.under_way += 1
        try:
            while (wait := lane.open_at - time.monotonic()) > 0:
                await asyncio.sleep(wait)
        except BaseException:
            lane.under_way -= 1
            raise
        return lane

    def _excerpt(self, response: httpx2.Response) -> str:
        return self._secrets.line(response.text[: 2**16])


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


def _json(response: httpx2.Response) -> Any:
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError):
        raise NoCompletion("no chat completion") from None


class _Failure(NamedTuple):
    """Why an attempt brought no reply, and what to make of it."""

    text: str
    wait: float | None = None
    """Seconds the server asks to wait; None if it says nothing."""
    final: bool = False
    """Asking again would bring the same."""
    limited: bool = False
    """A rate limit: no fault, and none of the retries."""
    closed: bool = False
    """Nobody should ask this server meanwhile."""
    refused: bool = False
    """Nobody will get an answer here, unless it passes."""
    empty: bool = False
    """The account has nothing left: nobody will get an answer until it is filled."""
    unreachable: bool = False
    """No connection came about."""


class _Lane:
    """One server of several: how busy it is, and until when it wants no more requests."""

    client: AsyncOpenAI

    def __init__(self, url: str) -> None:
        self.url = url
        self.under_way, self.open_at = 0, 0.0
        self.gone_since = 0.0
        """When it could not be reached for the first time since it last could; 0 if it can."""
