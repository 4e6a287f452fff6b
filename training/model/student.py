"""The model that a run trains: loaded, with its view of boards set and its parts frozen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from transformers import AutoConfig

from agents.agent import View
from agents.vlm.checkpoint import (
    Loaded,
    load_checkpoint,
    load_processor,
    store_view,
    view_of,
)
from training.config import TrainingConfig
from training.model.sharding import reading
from training.model.trainable import trainable
from vsp_envs.envs.config import RANDOM_THEME
from vsp_envs.prompts.texts import style_of
from vsp_envs.rendering.renderer import first_theme


def load_student(config: TrainingConfig, model: str, loaded: Loaded | None = None) -> Loaded:
    """The checkpoint `model`, or what is `loaded` already, ready for training.

    Raises CheckpointError, or ValueError for settings that the model cannot have.
    """
    if loaded is None:
        with reading(first_alone=True):
            loaded = load_checkpoint(model, dtype=config.dtype)
    view = student_view(config, loaded.view)
    if view != loaded.view:
        store_view(loaded.model.config, view)
    bound_pixels(loaded.processor, config)
    return Loaded(trainable(loaded.model, config), loaded.processor, view)


def load_reader(
    config: TrainingConfig, model: str, loaded: Loaded | None = None
) -> tuple[Any, View]:
    """The processor and view of the student, as `load_student` would have them; without weights."""
    if loaded is None:
        settings = AutoConfig.from_pretrained(model, trust_remote_code=False)
        processor, view = load_processor(model, settings), view_of(settings)
    else:
        processor, view = loaded.processor, loaded.view
    bound_pixels(processor, config)
    return processor, student_view(config, view)


def student_view(config: TrainingConfig, view: View) -> View:
    """A checkpoint's view of boards, with what the settings change of it."""
    if config.theme != RANDOM_THEME:
        view = view.with_theme(first_theme(config.theme))
    if config.prompts:
        view = replace(view, style=style_of(config.prompts))
    return replace(view, ask=config.asked_for() or view.ask)


def bound_pixels(processor: Any, config: TrainingConfig) -> None:
    """Let the processor resize pictures to between `min_pixels` and `max_pixels`.

    The bounds are saved with it, so evaluation resizes as training did.
    """
    if not (config.min_pixels or config.max_pixels):
        return
    size = dict(processor.image_processor.size)
    if "longest_edge" not in size:
        raise ValueError(
            f"{type(processor).__name__} resizes every picture to {size}: leave out --min-pixels "
            "and --max-pixels"
        )
    size["shortest_edge"] = config.min_pixels or size["shortest_edge"]
    size["longest_edge"] = config.max_pixels or size["longest_edge"]
    if size["shortest_edge"] > size["longest_edge"]:
        raise ValueError(
            f"--min-pixels {size['shortest_edge']} is above --max-pixels {size['longest_edge']}; "
            "set both"
        )
    processor.image_processor.size = size
