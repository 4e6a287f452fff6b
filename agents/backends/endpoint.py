"""The settings of the `openai` backend, without its SDK, so that --help is there at once."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from agents.backends.connection import read_url


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
    """Seconds to bear a rate limit or a server that can no longer be reached. A request that waits
    longer has failed; if no other is answered meanwhile, the run ends."""
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
