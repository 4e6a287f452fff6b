"""OpenAI's chat completions as JSON data: a prompt on its way out, an answer on its way in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple

from agents.agent import Prompt
from vsp_envs.rendering.png import data_url


class Completion(NamedTuple):
    """What an endpoint answered."""

    text: str
    prompt_tokens: int
    tokens: int
    model: str
    """The model that answers by its own account; empty if it does not say."""


def chat_messages(prompt: Prompt, level: int = 8) -> list[dict[str, Any]]:
    """The chat as OpenAI's API takes it, pictures as PNG data URLs."""
    return _messages(prompt, [data_url(picture, level) for picture in prompt.pictures])


def chat_json(prompt: Prompt, level: int, fields: Mapping[str, Any]) -> bytes:
    """A request of that chat and more fields, as JSON.

    Its pictures are put in last: they are most of it, and nothing in them needs an escape.
    """
    blank = json.dumps({"messages": _messages(prompt, [""] * len(prompt.pictures)), **fields})
    first, *rest = blank.split(_NO_URL, len(prompt.pictures))
    urls = (f'"url": "{data_url(picture, level)}"' for picture in prompt.pictures)
    return "".join([first, *chain(*zip(urls, rest, strict=False))]).encode()


_NO_URL = '"url": ""'  # in no text: there its quotes have an escape


def _messages(prompt: Prompt, urls: Iterable[str]) -> list[dict[str, Any]]:
    left = iter(urls)
    return [
        {"role": message["role"], "content": [_part(item, left) for item in message["content"]]}
        for message in prompt.messages
    ]


def read_completion(body: bytes) -> Completion:
    """An answer, whatever was sent. Raises ValueError for what is no chat completion."""
    try:
        answer = json.loads(body)
        text = answer["choices"][0]["message"]["content"] or ""
        usage = answer.get("usage") or {}
        if not isinstance(text, str):
            raise TypeError
        prompt, new = (_count(usage.get(f"{each}_tokens")) for each in ("prompt", "completion"))
        return Completion(text, prompt, new, str(answer.get("model") or ""))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise ValueError("no chat completion") from None


def _count(tokens: Any) -> int:
    return tokens if type(tokens) is int and 0 <= tokens < 2**40 else 0


def _part(item: Mapping[str, Any], urls: Iterator[str]) -> dict[str, Any]:
    if item["type"] == "image":
        return {"type": "image_url", "image_url": {"url": next(urls)}}
    return {"type": "text", "text": item["text"]}
