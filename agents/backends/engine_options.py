"""`--engine`: the options of a vLLM engine, as JSON on the command line."""

from __future__ import annotations

import json
from typing import Any

OURS = ("model", "dtype", "load_format", "trust_remote_code", "logprobs_mode", "enable_lora")
"""Options of vLLM that are settings elsewhere, or that must be as they are."""


def engine_options(text: str) -> dict[str, Any]:
    """The options of `--engine`. Raises ValueError unless they are a JSON object of options that
    are not set elsewhere."""
    try:
        options = json.loads(text)
    except ValueError:
        options = None
    if not isinstance(options, dict):
        raise ValueError(
            f"--engine is a JSON object such as '{{\"max_model_len\": 8192}}', got {text!r}"
        )
    for name in OURS:
        if name in options:
            raise ValueError(f"--engine cannot set {name!r}: it is set by other means, or fixed")
    for name in ("max_model_len", "tensor_parallel_size"):
        if name in options and not (type(options[name]) is int and options[name] > 0):
            raise ValueError(
                f"{name!r} of --engine is a number of at least 1, got {options[name]!r}"
            )
    return options
