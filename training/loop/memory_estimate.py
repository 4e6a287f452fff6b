"""Estimates how much memory a run takes on each GPU, from shapes alone.

Weights, gradients, Adam's moments, the teacher and what rollouts by `hf` hold are exact;
activations and logits are estimated. Fragmentation, the CUDA context (about 1 GiB) and a vLLM
engine's share come on top.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from training.config import BYTES, TrainingConfig
from training.loop.chunked_loss import CHUNK
from training.model.shapes import meta_model
from training.model.trainable import in_part, trainable

GIB = 2**30


@dataclass(frozen=True)
class Sizes:
    """The size of one forward pass of a process."""

    boards: float
    """Boards of a micro-batch, each as often as it has answers; a fraction where a budget of tokens
    divides them."""
    prompt: int
    """Tokens of a prompt, image included."""
    completion: int
    """Tokens of an answer."""
    patches: int = 256
    """Patches of a picture: 256 of 16 px in 256 × 256 px."""
    rollouts: int = 0
    """Answers that transformers samples at once; 0: none, or vLLM samples."""


@dataclass(frozen=True)
class Memory:
    """Bytes on one GPU, and in the host's memory."""

    weights: float
    gradients: float
    optimizer: float
    activations: float
    logits: float
    teacher: float
    rollouts: float
    """Keys and values of the answers, and the whole weights that generation needs in bfloat16."""
    host: float
    """At the start: the student once, dealt out from the first process, and a teacher in each."""

    @property
    def total(self) -> float:
        """The most that one GPU holds at once: rollouts and update take turns."""
        update = self.gradients + self.activations + self.logits
        return self.weights + self.optimizer + self.teacher + max(self.rollouts, update)

    def parts(self) -> dict[str, float]:
        """Name → bytes."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def estimate(
    shape: Any, config: TrainingConfig, sizes: Sizes, gpus: int = 1, teacher: bool = False
) -> Memory:
    """Memory of a run with the model configuration `shape`, on each of `gpus`.

    Several GPUs share weights, gradients and moments (FSDP2, ZeRO-3), and a teacher that is
    `sharded`. The teacher and the activations are in bf16.
    """
    model = trainable(meta_model(shape), config)
    width = BYTES[config.dtype]
    trained = sum(each.numel() for each in model.parameters() if each.requires_grad)
    adapters = trained if config.lora_rank else 0
    base = sum(each.numel() for each in model.parameters()) - adapters
    tower = any(
        each.requires_grad for name, each in model.named_parameters() if in_part(name, "vision")
    )
    text = shape.get_text_config()
    # With sharded weights, the running layer and its gradient are gathered, in bf16.
    gathered = 0 if gpus == 1 else 4 * largest_layer(text)
    trained_bytes = 4 if config.lora_rank else width
    sharded = getattr(config, "teacher_placement", "replicated") == "sharded"
    judge = 2 * base if teacher else 0
    # Sharded or float32 weights are held whole in bf16 while transformers generates.
    whole = 2 * base if gpus > 1 or width == 4 else 0
    cache = sizes.rollouts * (sizes.prompt + sizes.completion) * cache_per_token(text)
    return Memory(
        weights=(width * base + 4 * adapters) / gpus + gathered,
        gradients=trained_bytes * trained / gpus,
        optimizer=2 * trained_bytes * trained / gpus,
        activations=activations(shape, sizes, config.gradient_checkpointing, tower),
        # A chunk's logits, their fp32 copy, its log-softmax and the gradient.
        logits=min(CHUNK, sizes.boards * sizes.completion * text.vocab_size) * (2 + 4 + 4 + 4),
        teacher=judge / gpus if sharded else judge,
        rollouts=cache + whole if sizes.rollouts else 0,
        host=width * base + gpus * judge,
    )


def answers_at_once(config: Any, gpus: int) -> int:
    """Answers that transformers samples at once on each GPU: 0 in SFT and where vLLM samples."""
    if getattr(config, "rollout", "") != "hf":
        return 0
    return min(-(-config.batch_size * config.rollouts // gpus), config.rollout_batch_size)


def largest_layer(text: Any) -> int:
    """Parameters of a decoder layer, or of the embeddings if these are more."""
    heads = text.num_attention_heads + text.num_key_value_heads
    attention = 2 * text.hidden_size * heads * head_dim(text)
    layer = attention + 3 * text.hidden_size * text.intermediate_size
    return max(layer, text.vocab_size * text.hidden_size)


def cache_per_token(text: Any) -> int:
    """Bytes of keys and values in bf16."""
    return 2 * text.num_hidden_layers * text.num_key_value_heads * head_dim(text) * 2


def head_dim(text: Any) -> int:
    """Width of an attention head."""
    return getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads


def activations(
    shape: Any, sizes: Sizes, checkpointing: bool, tower: bool, width: int = 2
) -> float:
    """Bytes that the backward pass needs, with values of `width` bytes.

    With checkpointing each layer keeps its input, and one layer at a time all its activations.
    `tower` says whether anything in the vision tower is trained.
    """
    text, vision = shape.get_text_config(), shape.vision_config
    tokens = sizes.boards * (sizes.prompt + sizes.completion)
    patches = sizes.boards * sizes.patches if tower else 0
    layer = tokens * text_layer(text, width)
    block = patches * vision_block(vision, width)
    depth = getattr(vision, "depth", None) or vision.num_hidden_layers
    if not checkpointing:
        return text.num_hidden_layers * layer + depth * block
    inputs = tokens * text.hidden_size * text.num_hidden_layers
    inputs += patches * vision.hidden_size * depth
    return 4 * inputs + max(layer, block)  # the residual stream is fp32


def text_layer(text: Any, width: int) -> int:
    """Bytes per token that a decoder layer keeps for its norms, attention and MLP."""
    queries = text.num_attention_heads * head_dim(text)
    keys = text.num_key_value_heads * head_dim(text)
    norms = 2 * text.hidden_size * (8 + width) + (queries + keys) * (8 + width)
    attention = (queries + keys) * 2 * width + 4 * queries * width
    return norms + attention + 4 * text.intermediate_size * width


def vision_block(vision: Any, width: int) -> int:
    """Bytes per patch that a block of the vision tower keeps."""
    return (10 * vision.hidden_size + 3 * vision.intermediate_size) * width
