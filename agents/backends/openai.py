"""The `openai` backend: any endpoint that speaks OpenAI's chat completions, vLLM's server included.

Many requests are under way at once, over several base URLs if there are several. What fails in
passing is asked again, later and later, and never before the endpoint's `Retry-After`; what fails
for good is a reply with an `error`, which counts as a failure. The key comes from the environment,
goes into the request's header and nowhere else.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent import futures
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from agents.agent import Reply, Request, View
from agents.backends.answer import Response
from agents.backends.chat import chat_json, read_completion
from agents.backends.http import Server, asked_wait, backoff, read_url
from agents.backends.key import Key
from agents.sampling import Sampling

AGAIN = (408, 409, 425, 429)
"""Statuses that may pass, beside all from 500 on."""
REFUSALS = (401, 403, 404)
"""Statuses that every request will get: a wrong key, model or path. But see `_ask`."""
MOST_REFUSALS = 2
"""How often a request is refused before all are given up, while no other is answered."""


class EndpointError(ValueError):
    """The endpoint refuses this key, model or path; the message says what it said."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where a model is served, and how it is asked. For the `openai` agent alone."""

    base_urls: tuple[str, ...] = ("https://api.openai.com/v1",)
    """One or several servers of the same model; requests go to the one with the fewest."""
    key_variable: str = "OPENAI_API_KEY"
    """Environment variable that holds the key; unset, requests carry none."""
    concurrency: int = 32
    """Requests under way at once, over all servers."""
    timeout: float = 300.0
    """Seconds from a request to the end of its answer before it counts as failed."""
    retries: int = 6
    """How often a request that failed in passing is sent again."""
    patience: float = 900.0
    """Seconds after which a request that is held off by a rate limit has failed."""
    prices: tuple[float, float] = (0.0, 0.0)
    """Dollars per million tokens of prompt and of reply, to count the cost."""
    answers_as: str = ""
    """Name under which the endpoint answers, where it is another than the model's (an alias).
    Versions of the name need none: `gpt-x` may answer as `gpt-x-2026-01-01`."""
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
        if not 0 < self.timeout <= threading.TIMEOUT_MAX:
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
        self._lanes = [_Lane(url, endpoint.timeout) for url in endpoint.base_urls]
        self._choosing = threading.Lock()
        # One at a time: threads that deflate beside each other pass the interpreter's lock to and
        # fro, which took 0.3 ms of CPU a request more on two cores.
        self._making = threading.Lock()
        self._answered = 0.0  # when the last good answer came
        self._key = Key(endpoint.key_variable)
        self._key.read()

    def settings(self) -> dict[str, Any]:
        """What its replies depend on: the model, the request and the draw; never the key."""
        return {"request": self.endpoint.request, "sampling": asdict(self.sampling)}

    def close(self) -> None:
        """Close the connections that are kept alive. The agent can be asked again."""
        for lane in self._lanes:
            lane.server.close()

    def reply(self, requests: Sequence[Request]) -> list[Reply]:
        """One reply per request. Raises EndpointError where no request can succeed."""
        if len(requests) == 1:
            return [self._ask(requests[0])]
        left, replies = deque(enumerate(requests)), dict[int, Reply]()

        def ask_on() -> None:
            while True:
                try:
                    number, request = left.popleft()
                except IndexError:
                    return
                replies[number] = self._ask(request)

        with futures.ThreadPoolExecutor(self.concurrency) as pool:
            asking = [pool.submit(ask_on) for _ in range(min(self.concurrency, len(requests)))]
            try:
                futures.wait(asking, return_when=futures.FIRST_EXCEPTION)
            finally:
                left.clear()  # after an error the others end too
            for each in asking:
                each.result()
        return [replies[number] for number in range(len(requests))]

    def _ask(self, request: Request) -> Reply:
        with self._making:
            body = self.body(request)
        began = time.monotonic()
        give_up = began + self.endpoint.patience
        failures = refusals = attempt = 0
        while True:
            lane = self._enter()
            try:
                outcome = self._send(lane, body)
            finally:
                self._leave(lane)
            if isinstance(outcome, Reply):
                self._answered = time.monotonic()
                return outcome
            failures += not outcome.limited
            refusals += outcome.refused
            wait = backoff(attempt) if outcome.wait is None else outcome.wait
            late = time.monotonic() + wait > give_up
            over = outcome.final or failures > self.endpoint.retries or late
            # A gateway that is out of order refuses in passing: while others are answered, go on.
            alone = refusals > MOST_REFUSALS and self._answered < began
            if outcome.refused and (alone or (over and not self._answered)):
                raise EndpointError(f"{lane.url}: {outcome.text}")
            if over:
                return Reply(error=outcome.text)
            if outcome.closed:
                lane.open_at = max(lane.open_at, time.monotonic() + wait)
            else:
                time.sleep(wait)
            attempt += 1

    def _send(self, lane: _Lane, body: bytes) -> Reply | _Failure:
        try:
            response = lane.server.post("/chat/completions", body, self._headers())
        except (OSError, http.client.HTTPException) as error:
            return _Failure(self._key.line(f"{type(error).__name__}: {error}"), closed=True)
        if response.status == 200:
            return self._read(response)
        said = f"HTTP {response.status}: {self._excerpt(response)}"
        limited, refused = response.status == 429, response.status in REFUSALS
        passing = refused or response.status in AGAIN or response.status >= 500
        return _Failure(
            said,
            wait=asked_wait(response),
            final=not passing or "insufficient_quota" in said,
            limited=limited,
            closed=limited or response.status == 503,
            refused=refused,
        )

    def body(self, request: Request) -> bytes:
        """The request as JSON. The seed is the board's own, whenever it is asked."""
        fields = {
            "model": self.model,
            "temperature": self.sampling.temperature,
            "max_tokens": self.sampling.max_new_tokens,
            "seed": request.seed(self.sampling.seed),
            **json.loads(self.endpoint.request),
        }
        given = {name: value for name, value in fields.items() if value is not None}
        return chat_json(request.prompt, request.layout.level, given)

    def _headers(self) -> dict[str, str]:
        return {"Content-Type": "application/json", **self._key.header()}

    def _enter(self) -> _Lane:
        """The lane with the fewest requests among those that are open, or that open first."""
        with self._choosing:
            now = time.monotonic()
            lane = min(self._lanes, key=lambda each: (max(each.open_at, now), each.under_way))
            lane.under_way += 1
        while (wait := lane.open_at - time.monotonic()) > 0:
            time.sleep(wait)
        return lane

    def _leave(self, lane: _Lane) -> None:
        with self._choosing:
            lane.under_way -= 1

    def _read(self, response: Response) -> Reply | _Failure:
        try:
            text, prompt, new, model = read_completion(response.body)
        except ValueError:
            return _Failure(f"no chat completion: {self._excerpt(response)}")
        if not self._is_asked(model):
            named = self._key.line(model)
            text = f"the answer is of another model, {named}; if that is it, --answers-as names it"
            return _Failure(text, refused=True)
        per_prompt, per_new = self.endpoint.prices
        cost = (prompt * per_prompt + new * per_new) / 1e6
        return Reply(self._key.hide(text), new, prompt_tokens=prompt, cost=cost)

    def _is_asked(self, model: str) -> bool:
        """Whether a name is the model's or that of a version of it, owners aside."""
        names = (self.endpoint.answers_as or self.model, model)
        asked, answers = (name.rpartition("/")[2].lower() for name in names)
        return asked in answers or answers in asked

    def _excerpt(self, response: Response) -> str:
        return self._key.line(response.body[: 2**16].decode(errors="replace"))


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


class _Lane:
    """One server of several: how busy it is, and until when it wants no more requests."""

    def __init__(self, url: str, timeout: float) -> None:
        self.url, self.server = url, Server(url, timeout)
        self.under_way, self.open_at = 0, 0.0
