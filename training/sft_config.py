"""The settings of supervised fine-tuning and of the tiny base model; no torch is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

from tyro.conf import Fixed, Suppress

from agents.rollout import turn_roles
from training.config import Schedule, SizeName, TrainingConfig
from vsp_envs.prompts.question import ROLES_OF

Input = Literal["image", "text"]
Target = Literal["perception", "plan", "search", "both", "answer"]
TARGETS: dict[str, tuple[str, ...]] = {
    "perception": ("perceive",),
    "plan": ("plan",),
    "search": ("search",),
    "both": ("perceive", "plan"),
    "answer": ("answer",),
}
"""Target → what the prompts ask for."""


@dataclass(frozen=True)
class SFTConfig(TrainingConfig):
    """Perception SFT: image in, state of the board out."""

    model: str = ""
    """Checkpoint to start from."""
    input: Input = "image"
    """What the model sees: `image`, or `text` (the symbolic state)."""
    target: Target = "perception"
    """What the model learns to answer: `perception`, `plan` (state, route and answer), `search` (a
    search on paper before the route), `both` perception and plan, half of the boards each, or
    `answer`: the actions alone, as in direct-plan SFT elsewhere. The checkpoint keeps it, so that
    evaluation asks for the same."""
    plan_share: float = 0.0
    """Share of text prompts that include a reference plan, as a teacher's prompt may."""
    written_share: float = 0.0
    """Share of the boards that are neither seen nor described by the prompt: the description is the
    head of the answer, given and not learned, and the plan after it is learned. So a model that
    learns by text plans from what it writes itself, as it has to when it sees pictures, and in
    perception SFT it does not forget how."""
    detours: float = 0.0
    """With `--act step` or `chunk:k`: the chance of each action before the taught turn to be a
    random legal one instead of an optimal one, so that the model sees how to come back, and what
    the board looks like there."""

    def roles(self) -> tuple[str, ...]:
        """The roles of the prompts."""
        policy, goals = self.turn_policy, TARGETS[self.target]
        if policy.chunk and self.input == "text":
            given = ["next_action_teacher"] if self.plan_share else []
            return ("text", "next_action_text", *given)
        if policy.chunk:
            acted = () if goals == ("perceive",) else turn_roles("image", "plan", policy)
            return (*acted, *(goal for goal in goals if goal == "perceive"))
        of_goals = [ROLES_OF[goal] for goal in goals]
        if self.input == "image":
            written = [ROLES_OF["plan"][0]] if self.written_share else []
            return (*(image for image, _, _ in of_goals), *written)
        given = [teacher for _, _, teacher in of_goals] if self.plan_share else []
        given += [image for image, _, _ in of_goals] if self.written_share else []
        return (*(text for _, text, _ in of_goals), *given)

    def asked_for(self) -> str:
        """As of every stage; turns ask in words of their own."""
        goals = () if self.turn_policy.chunk else TARGETS[self.target]
        return next((goal for goal in goals if goal != "perceive"), "")

    def measured_by(self) -> tuple[str, list[str]]:
        """By the goal of the answers; a text model by text, which is by whole plans."""
        if self.target == "perception":
            return "perception", [] if self.input == "image" else ["--input", self.input]
        return ("planning", ["--input", "text"]) if self.input == "text" else super().measured_by()

    def parts(self) -> int:
        """Least micro-batches in a step: one for each kind and goal."""
        return super().parts() * (1 if self.mix_kinds else len(TARGETS[self.target]))


Value = TypeVar("Value")
Hidden = Annotated[Value, Fixed, Suppress]
"""A field that is no flag of the command line."""


@dataclass(frozen=True)
class BaseConfig(SFTConfig):
    """The tiny model's symbolic planning."""

    size: SizeName = "M"
    """`S` (0.5 M parameters) or `M` (1.6 M) for pictures that grow with the board; `nano-1m`,
    `nano-4m` or `nano-10m` for pictures of 256 px."""
    preset: str = ""
    """Settings to start from: `tiny`. Other flags override it."""
    input: Hidden[Input] = "text"
    """Always the symbolic state."""
    target: Literal["plan", "search"] = "plan"
    """What a plan is written after: `plan`, the state and a route, or `search`, a search on paper
    between them. The later stages ask for the same."""
    steps: int = 1000
    """Optimizer steps."""
    learning_rate: float = 2e-3
    """Peak learning rate."""
    schedule: Schedule = "half-linear"
    """`half-linear`: constant, then linear over the second half; or `cosine`."""
