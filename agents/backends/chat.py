"""OpenAI's chat completions as JSON data: a prompt on its way out, an answer on its way in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from agents.agent import Prompt, Reply
from vsp_envs.rendering.png import data_url


def chat_messages(prompt: Prompt, level: int = 8) -> list[dict[str, Any]]:
    """The chat as OpenAI's API takes it, pictures as PNG data URLs."""
    return _messages(prompt, [data_url(picture, level) for picture in prompt.pictures])


def chat_json(
    prompt: Prompt, level: int, fields: Mapping[str, Any], system: str = "", detail: str = ""
) -> bytes:
    """A request of that chat and more fields, as JSON.

    `system` opens the chat; `detail` is how closely the pictures are to be looked at. The pictures
    are put in last: they are most of it, and nothing in them needs an escape.
    """
    messages = _messages(prompt, [""] * len(prompt.pictures), detail)
    if system:
        messages.insert(0, {"role": "system", "content": system})
    blank = json.dumps({"messages": messages, **fields})
    first, *rest = blank.split(_NO_URL, len(prompt.pictures))
    urls = (f'"url": "{data_url(picture, level)}"' for picture in prompt.pictures)
    return "".join([first, *chain(*zip(urls, rest, strict=False))]).encode()


_NO_URL = '"url": ""'  # in no text: there its quotes have an escape


def _messages(prompt: Prompt, urls: Iterable[str], detail: str = "") -> list[dict[str, Any]]:
    left = iter(urls)
    return [
        {
            "role": message["role"],
            "content": [_part(item, left, detail) for item in message["content"]],
        }
        for message in prompt.messages
    ]


def _part(item: Mapping[str, Any], urls: Iterator[str], detail: str) -> dict[str, Any]:
    if item["type"] == "image":
        shown = {"url": next(urls)} | ({"detail": detail} if detail else {})
        return {"type": "image_url", "image_url": shown}
    return {"type": "text", "text": item["text"]}


class NoCompletion(ValueError):
    """An answer with status 200 that holds no completion; the message is what it says instead."""


def read_completion(answer: Any) -> tuple[Reply, str]:
    """An answer as a reply, and the model that gave it by its own account; empty if it has none.

    Raises NoCompletion, whatever was sent.
    """
    try:
        if error := answer.get("error"):
            raise NoCompletion(f"error: {json.dumps(error)}")
        [choice, *_] = answer["choices"]
        if choice.get("finish_reason") == "error" or choice.get("error"):
            raise NoCompletion(f"finish_reason error: {json.dumps(choice.get('error'))}")
        message, usage = choice["message"], answer.get("usage") or {}
        text, thought = _texts(message.get("content"))
        said = message.get("reasoning_content") or message.get("reasoning") or thought
        prompt, new = (_count(usage.get(f"{each}_tokens")) for each in ("prompt", "completion"))
        reply = Reply(
            text,
            new,
            prompt_tokens=prompt,
            finish_reason=str(choice.get("finish_reason") or ""),
            refusal=str(message.get("refusal") or ""),
            reasoning=str(said),
            request_id=str(answer.get("id") or ""),
        )
        return reply, str(answer.get("model") or "")
    except NoCompletion:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise NoCompletion("no chat completion") from None


def _texts(content: Any) -> tuple[str, str]:
    """What a message says, and what it thinks where its parts tell the two apart."""
    if content is None or isinstance(content, str):
        return content or "", ""
    said: list[str] = []
    thought: list[str] = []
    for part in content:
        if isinstance(part.get("text"), str):
            (said if part.get("type", "text") in ("text", "output_text") else thought).append(
                part["text"]
            )
        elif part["type"] in ("thinking", "reasoning"):
            thought.append(_thought(part.get(part["type"])))
    return "".join(said), "".join(thought)


def _thought(held: Any) -> str:
    return held if isinstance(held, str) else "".join(_texts(held)) if held else ""


def _count(tokens: Any) -> int:
    return tokens if type(tokens) is int and 0 <= tokens < 2**40 else 0


def joined(events: Iterable[str]) -> dict[str, Any]:
    """The events of a streamed answer, put together to what it would be without streaming.

    Raises NoCompletion for one that was cut off.
    """
    answer: dict[str, Any] = {}
    message: dict[str, Any] = {"content": ""}
    end: dict[str, Any] = {}
    try:
        for event in events:
            if event.strip() == "[DONE]":
                break
            piece = json.loads(event)
            answer |= {name: value for name, value in piece.items() if value is not None}
            for choice in piece.get("choices") or []:
                delta = choice.get("delta") or choice.get("message") or {}
                for name in ("content", "refusal", "reasoning_content", "reasoning"):
                    if said := delta.get(name):
                        said = said if isinstance(said, str) else _texts(said)[0]
                        message[name] = message.get(name, "") + said
                kept = ("finish_reason", "error")
                end |= {name: choice[name] for name in kept if choice.get(name)}
    except (ValueError, TypeError, AttributeError, LookupError):
        raise NoCompletion("no chat completion") from None
    if not end and "error" not in answer:
        raise NoCompletion("the stream ended before the reply did")
    return {**answer, "choices": [{"message": message, **end}]}
