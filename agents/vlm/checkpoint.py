"""A checkpoint folder → model, processor and the view it was trained with."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    AutoProcessor,
    GenerationConfig,
)
from transformers.utils import is_torchvision_available, logging

from agents.agent import View
from agents.vlm.patch_embedding import embed_by_product
from agents.vlm.processor import ImageTextProcessor
from vsp_envs.utils.choices import pick_name
from vsp_envs.utils.files import read_json

ADAPTER, CONFIG = "adapter_config.json", "config.json"
DTYPES = ("auto", "float32", "bfloat16")

# A progress bar for every weight file would hide that of the run.
logging.disable_progress_bar()


class CheckpointError(ValueError):
    """A checkpoint is missing or broken; the message names the folder and what to do."""


class Loaded(NamedTuple):
    """A model ready to use."""

    model: Any
    processor: Any
    view: View


def load_checkpoint(
    path: str | Path, dtype: str = "auto", device: str = "cpu", adapter: str = ""
) -> Loaded:
    """Load a checkpoint of an image-text family, safetensors only and without remote code.

    A name that is no folder is looked up on the model hub. A folder with a LoRA adapter means the
    model that the adapter was trained on, with the adapter; that model may be such a folder too.

    `dtype` is `auto` (as stored), `float32` or `bfloat16`. `device` is a torch device, `auto` for
    a GPU if there is one, or `map` to spread the layers over all GPUs. `adapter` is the folder of
    a LoRA adapter, which is merged into the weights. Raises CheckpointError if a checkpoint is
    missing or broken.
    """
    pick_name("dtype", dtype, DTYPES)
    path = find_checkpoint(path)
    folders = [*layers(path), *([adapter] if adapter else [])]
    try:
        model = AutoModelForImageTextToText.from_pretrained(
            folders[0],
            dtype=dtype,
            device_map="auto" if device == "map" else None,
            use_safetensors=True,
            trust_remote_code=False,
        )
        for each in folders[1:]:
            model = merge_adapter(model, each)
        model.name_or_path = path  # an adapter trained on it stores this name
        model.generation_config = savable(model.generation_config)
        config = AutoConfig.from_pretrained(_last_with(CONFIG, folders), trust_remote_code=False)
        if kept := getattr(config, "vsp_view", None):
            model.config.vsp_view = kept  # models trained or merged from this one keep it
        processor = load_processor(_last_with("processor_config.json", folders), config)
        view = view_of(config)
    except CheckpointError:
        raise
    except Exception as error:  # each library has its own exceptions for a broken file
        said = " ".join(str(error).split())[:1000] or type(error).__name__
        hub = "" if Path(path).is_dir() else " (no folder here, so asked for on the model hub)"
        raise CheckpointError(
            f"cannot load a checkpoint from {' with '.join(folders)}{hub}: "
            f"{_needs(said) or type(error).__name__ + ': ' + said}"
        ) from error
    if device == "auto":
        gpu = f"cuda:{os.environ.get('LOCAL_RANK', 0)}"  # of several processes each has its own
        device = gpu if torch.cuda.is_available() else "cpu"
    placed = model if device == "map" else model.to(device)
    return Loaded(embed_by_product(placed).eval(), processor, view)


def savable(stored: GenerationConfig) -> GenerationConfig:
    """The stored settings of generation, or what ends a reply alone if they contradict themselves.

    transformers loads such settings, and then refuses to save the model that has them.
    """
    try:
        stored.validate(strict=True)
    except ValueError:
        return GenerationConfig(
            eos_token_id=stored.eos_token_id, pad_token_id=stored.pad_token_id,
        )  # fmt: skip
    return stored


def _needs(said: str) -> str:
    """What to install, if an error is about a missing package of other families' processors."""
    video = "video processor" in said and not is_torchvision_available()
    if "torchvision" not in said.lower() and not video:
        return ""
    return "its processor needs torchvision: pip install 'vsp-envs[torchvision]'"


def merge_adapter(model: Any, adapter: str) -> Any:
    """The model with a LoRA adapter added into its weights. Raises what peft raises."""
    from peft import PeftModel  # takes a second to import, and most runs have no adapter

    if not Path(adapter, ADAPTER).is_file():
        raise CheckpointError(f"no adapter at {adapter!r}: there is no {ADAPTER} in it")
    if not Path(adapter, "adapter_model.safetensors").is_file():
        raise CheckpointError(
            f"no adapter_model.safetensors in {adapter!r}; weights that are pickles run code"
        )
    merged = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    for parameter in merged.parameters():  # peft has frozen them
        parameter.requires_grad_(parameter.is_floating_point())
    return merged


def layers(path: str) -> list[str]:
    """A plain checkpoint and the adapters on it, in order; `path` is the last, or alone.

    Raises CheckpointError.
    """
    found = [path]
    while Path(found[0], ADAPTER).is_file():
        beneath = adapted_model(found[0])
        if beneath in found:
            raise CheckpointError(f"{found[0]} holds an adapter of {beneath}, which is one of it")
        found.insert(0, beneath)
    return found


def _last_with(name: str, folders: list[str]) -> str:
    # Our runs store view and processor beside an adapter; adapters from elsewhere may not.
    return next((each for each in reversed(folders) if Path(each, name).is_file()), folders[0])


def adapted_model(adapter: str) -> str:
    """The model that an adapter was trained on. Raises CheckpointError if it cannot be found."""
    try:
        name = read_json(Path(adapter, ADAPTER))["base_model_name_or_path"]
    except (ValueError, KeyError) as error:
        raise CheckpointError(f"{adapter}/{ADAPTER} is broken: {error!r}") from None
    if not name or not (Path(name).is_dir() or is_hub_name(name)):
        raise CheckpointError(
            f"{adapter} holds an adapter of {name!r}, which is not there; name the model by its "
            "present place, and the adapter beside it with --adapter"
        )
    return str(name)


def find_checkpoint(path: str | Path, setting: str = "--model") -> str:
    """The path, if it can be a checkpoint. Raises CheckpointError that names the setting."""
    if not str(path):
        raise CheckpointError(f"{setting} is missing: name a checkpoint folder or a hub model")
    if not Path(path).is_dir() and not is_hub_name(str(path)):
        raise CheckpointError(f"no checkpoint at '{path}'; train one first, or check {setting}")
    return str(path)


def is_hub_name(name: str) -> bool:
    """Whether a name can be a hub repository: `owner/name`, and no folder `owner` here."""
    owner, slash, rest = name.partition("/")
    return bool(slash and rest) and "/" not in rest and owner != "." and not Path(owner).exists()


def load_processor(path: str, config: Any) -> Any:
    """The processor that belongs to the model."""
    if config.model_type == "qwen3_vl":
        return ImageTextProcessor.load(path)
    return AutoProcessor.from_pretrained(path, trust_remote_code=False)


def view_of(config: Any) -> View:
    """The view stored in a model's config by `store_view`, or the default one."""
    return View(**getattr(config, "vsp_view", {}))


def store_view(config: Any, view: View) -> None:
    """Store the view in the config, so that it is saved with the model."""
    config.vsp_view = json.loads(json.dumps(asdict(view)))


def vision_token_ids(config: Any) -> list[int]:
    """Tokens that stand for images and videos; they must never be sampled."""
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    return [getattr(config, name) for name in names if getattr(config, name, None) is not None]


def end_token_ids(model: Any) -> list[int]:
    """Tokens that end a completion."""
    end = model.generation_config.eos_token_id
    return list(end) if isinstance(end, (list, tuple)) else [end]
