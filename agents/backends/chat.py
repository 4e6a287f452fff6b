"""OpenAI's chat completions as JSON data: a prompt on its way out, an answer on its way in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from agents.agent import Prompt, Reply
from vsp_envs.rendering.png import data_url


def chat_messages(
    prompt: Prompt, level: int = 8, system: str = "", detail: str = ""
) -> list[dict[str, Any]]:
    """The chat as OpenAI's API takes it, pictures as PNG data URLs.

    `system` opens the chat; `detail` is how closely the pictures are to be looked at.
    """
    pictures = iter(prompt.pictures)

    def part(item: Mapping[str, Any]) -> dict[str, Any]:
        if item["type"] == "text":
            return {"type": "text", "text": item["text"]}
        shown = {"url": data_url(next(pictures), level)} | ({"detail": detail} if detail else {})
        return {"type": "image_url", "image_url": shown}

    opening = [{"role": "system", "content": system}] if system else []
    return opening + [
        {"role": message["role"], "content": [part(item) for item in message["content"]]}
        for message in prompt.messages
    ]


class NoCompletion(Exception):
    """An answer with status 200 that holds no completion; the message is what it says instead."""

    code = 200
    """The status that the error in it names, if it names one."""


def read_completion(answer: Any) -> tuple[Reply, str]:
    """An answer as a reply, and the model that gave it by its own account; empty if it has none.

    Raises NoCompletion, whatever was sent.
    """
    try:
        if error := answer.get("error"):
            raise _failed("error", error)
        [choice, *_] = answer["choices"]
        end = choice.get("finish_reason")
        if end == "error" or choice.get("error"):
            raise _failed("finish_reason error", choice.get("error"))
        message, usage = choice.get("message"), answer.get("usage") or {}
        if message is None and end == "content_filter":  # Azure's for a reply that it keeps back
            message = {}
        parts = _texts(message.get("content"))
        thought = message.get("reasoning_content") or message.get("reasoning") or parts["thinking"]
        used = (usage.get("prompt_tokens"), usage.get("completion_tokens"))
        prompt, new = (each if type(each) is int and 0 <= each < 2**40 else 0 for each in used)
        reply = Reply(
            parts["text"],
            new,
            prompt_tokens=prompt,
            finish_reason=str(end or ""),
            refusal=str(message.get("refusal") or parts["refusal"]),
            reasoning=str(thought),
            request_id=str(answer.get("id") or ""),
        )
        return reply, str(answer.get("model") or "")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise NoCompletion("no chat completion") from None


def _failed(what: str, error: Any) -> NoCompletion:
    failure = NoCompletion(f"{what}: {json.dumps(error)}")
    code = str(error.get("code")) if isinstance(error, dict) else ""
    if re.fullmatch(r"[45]\d\d", code):
        failure.code = int(code)
    return failure


def _texts(content: Any) -> dict[str, str]:
    """What a message says by the types of its parts: `text`, `refusal`, else `thinking`."""
    if isinstance(content, str | None):
        content = [{"text": content or ""}]
    said = {"text": "", "refusal": "", "thinking": ""}
    for part in content:
        kind = part.get("type", "text").removeprefix("output_")
        held = next((part[name] for name in (kind, "text") if part.get(name)), "")
        if isinstance(held, dict):  # a picture, say
            continue
        words = held if isinstance(held, str) else "".join(_texts(held).values())
        said[kind if kind in said else "thinking"] += words
    return said


def joined(events: Iterable[str]) -> dict[str, Any]:
    """The events of a streamed answer, put together to what it would be without streaming.

    Raises NoCompletion for one that was cut off.
    """
    answer: dict[str, Any] = {}
    message: dict[str, Any] = {"content": []}
    end: dict[str, Any] = {}
    try:
        for event in events:
            if event.strip() == "[DONE]":
                break
            piece = json.loads(event)
            answer |= {name: value for name, value in piece.items() if value is not None}
            for choice in piece.get("choices") or []:
                end |= {name: said for name, said in choice.items() if said}
                for name, said in (choice.get("delta") or choice.get("message") or {}).items():
                    if name == "content":
                        message[name] += [{"text": said}] if isinstance(said, str) else said or []
                    elif isinstance(said, str):
                        message[name] = message.get(name, "") + said
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
        raise NoCompletion("no chat completion") from None
    if "finish_reason" not in end and "error" not in {**end, **answer}:
        raise NoCompletion("the stream ended before the reply did")
    return {**answer, "choices": [{**end, "message": message}]}
