"""Supervised fine-tuning on live boards: `python -m training.sft`.

Stage 1 of MGSD (arXiv 2606.06076): the model learns to read the board before it plans on it. Each
example is a new reset. Its target is written from the symbolic state, which the model never sees.
`--target plan` and `--target answer` are baselines without a teacher: a plan after the state and a
route, and the plan alone.
"""

from __future__ import annotations

if __name__ == "__main__":  # before torch is imported, so that --help is there at once
    from training.presets import main
    from training.sft_config import SFTConfig

    main("training.sft:train_sft", SFTConfig, "sft")
    raise SystemExit

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from agents.agent import View
from agents.backends.hf import HFAgent
from agents.multi_turn import ONE_REPLY
from agents.sampling import Sampling
from agents.vlm.checkpoint import Loaded
from agents.vlm.encoding import (
    Completed,
    answer_opening,
    complete,
    encode_prompts,
    select_rows,
)
from training.data.layout_stream import Board, live_boards
from training.data.length_groups import length_groups
from training.data.walks import Taught, TaughtTurns
from training.loop.chunked_loss import completion_nll
from training.loop.run import run
from training.loop.trainer import CompletionTrainer, ValidationCallback
from training.loop.validation import batch_size, validate, validation_layouts
from training.model.sharding import at_own_pace
from training.model.student import load_reader, load_student
from training.sft_config import TARGETS, Input, SFTConfig, Target
from training.validate import SHARE, check_config
from vsp_envs import Layout
from vsp_envs.core.layout import Action
from vsp_envs.core.solver import solve_layouts
from vsp_envs.prompts.question import blind_prompt
from vsp_envs.prompts.targets import (
    answer_target,
    perception_target,
    planning_target,
    search_target,
)
from vsp_envs.scoring.describe import describe
from vsp_envs.utils.choices import pick_name

ANSWERS = {
    "perceive": perception_target,
    "plan": planning_target,
    "search": search_target,
    "answer": answer_target,
}
"""What a prompt asks for → the reference answer."""


class SFTTrainer(CompletionTrainer):
    """Cross-entropy of the reference answer."""

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Mean over the step's answer tokens."""
        return self.over_ranks(completion_nll(model, Completed(**inputs), num_items_in_batch))


class Collate:
    """Boards → prompts with their reference answers appended, ended by the end token.

    It runs in the worker processes, if there are any: the process that trains is then spared
    rendering, image preprocessing and tokenizing.
    """

    def __init__(
        self, processor: Any, view: View, input: str, plan_share: float = 0.0,
        budget: int | None = None, most: int | None = None, turns: TaughtTurns | None = None,
        written_share: float = 0.0,
    ) -> None:  # fmt: skip
        """See `SFTConfig` for `input` and the shares, and for `budget` its `micro_batch_tokens`
        and for `most` its `micro_batch_size`. `turns` makes turns of boards; None: the boards are
        asked about at the start."""
        self.processor, self.view, self.input, self.turns = processor, view, input, turns
        self.plan_share, self.budget, self.most = plan_share, budget, most
        self.written_share = written_share

    def taught(self, board: Board, with_plan: bool, written: bool = False) -> Taught:
        """A prompt about a board, and its answer."""
        if written:
            goal = "plan" if board.goal == "perceive" else board.goal
            prompt = blind_prompt(board.layout.task, goal, self.view)
            return Taught(prompt, ANSWERS[goal](board.layout), describe(board.layout) + "\n")
        if self.turns and board.goal != "perceive":
            return self.turns.turn(board, with_plan)
        if self.turns:
            board = self.turns.reached(board)
        prompt = board.prompt(self.input, board.goal, self.view, with_plan=with_plan)
        return Taught(prompt, ANSWERS[board.goal](board.layout))

    def __call__(self, boards: Sequence[Board]) -> list[dict[str, Any]]:
        """Micro-batches, the fields of `Completed`: one, or several under a budget of tokens."""
        tokenizer = self.processor.tokenizer
        solve_layouts([board.layout for board in boards])  # many at a time take a fraction
        # By chance, and not by place: boards of a mixed step come in the order of their kinds.
        chances = [np.random.default_rng(board.stream_index).random() for board in boards]
        taught = [
            self.taught(board, chance < self.plan_share, chance >= 1 - self.written_share)
            for board, chance in zip(boards, chances, strict=True)
        ]
        opening = answer_opening(self.processor)
        answers = tokenizer([opening + each.answer for each in taught]).input_ids
        answers = [[*ids, tokenizer.eos_token_id] for ids in answers]
        given = [
            len(tokenizer(opening + each.given).input_ids) if each.given else 0 for each in taught
        ]
        inputs = encode_prompts(self.processor, [each.prompt for each in taught], packed=True)
        groups = [list(range(len(boards)))]
        if self.budget:
            prompt_lengths = inputs["attention_mask"].sum(1).tolist()
            lengths = [len(answer) for answer in answers]
            groups = length_groups(prompt_lengths, lengths, self.budget, self.most)
        return [
            complete(
                select_rows(inputs, rows),
                [answers[row] for row in rows],
                tokenizer.pad_token_id,
                [given[row] for row in rows],
            )._asdict()
            for rows in groups
        ]


def train_sft(config: SFTConfig, build: Callable[[], Loaded] | None = None) -> Path:
    """Run the stage; returns the folder of the final checkpoint.

    Training starts from the checkpoint `config.model`, or from what `build` returns.
    """
    pick_name("target", config.target, get_args(Target))
    pick_name("input", config.input, get_args(Input))
    shares = {SHARE: ("plan_share", "written_share", "detours")}
    check_config(config, {} if build else {"--model": config.model}, shares)
    check_turns(config)
    if config.micro_batch_tokens and (build or Path(config.model).is_dir()):
        check_budget(config, config.micro_batch_tokens, build() if build else None)
    return run(config, SFTTrainer.__name__, lambda: make_sft_trainer(config, build))


def check_turns(config: SFTConfig) -> None:
    """Raise ValueError for turns that cannot be taught so."""
    policy = config.turn_policy
    chunk = policy.chunk
    targets = {"text": ("plan", "search"), "image": ("perception",)}[config.input]
    if config.written_share and (chunk or config.target not in targets):
        raise ValueError(
            f"--written-share {config.written_share} is of whole plans: take --act plan, with "
            "--target perception, or with --input text and --target plan or search"
        )
    if config.detours and not chunk:
        raise ValueError(
            f"--detours {config.detours} is of the turns before a turn; give --act step or chunk:k"
        )
    if chunk and config.target == "search":
        raise ValueError(
            f"--act {policy.act} asks for the next actions, and --target search for a "
            "whole plan; take --act plan or another target"
        )
    beside = policy.history or policy.feedback or policy.push
    if chunk and config.target == "perception" and beside:
        raise ValueError(
            "--target perception asks about the picture of a turn alone; leave out --history, "
            "--feedback and --push"
        )
    if chunk and config.input == "text" and config.target != "plan":
        raise ValueError(
            f"--act {policy.act} by text trains a teacher, which is measured by whole "
            "plans; take --target plan"
        )
    if chunk and config.input == "text" and beside:
        raise ValueError(
            f"--act {policy.act} by text shows each turn alone, as a teacher reads it; leave out "
            "--history, --feedback and --push"
        )
    is_played = config.input == "image" and config.target in ("plan", "both")
    if not policy.one_reply and not chunk and not is_played:
        by = "--input text" if config.input == "text" else f"--target {config.target}"
        raise ValueError(f"{by} is not played in turns; take {ONE_REPLY}")


def check_budget(config: SFTConfig, budget: int, built: Loaded | None) -> None:
    """Raise ValueError if a board of the first step is above the budget of a micro-batch."""
    processor, view = load_reader(config, config.model, built)
    # Without a curriculum, whose first step has no large boards.
    boards = live_boards(replace(config, curriculum=0.0), view, TARGETS[config.target])
    turns = taught_turns(config, view)
    collate = Collate(
        processor, view, config.input, config.plan_share, turns=turns,
        written_share=config.written_share,
    )  # fmt: skip
    [batch] = collate(boards.__getitems__(range(config.batch_size)))
    longest = int(batch["inputs"]["attention_mask"].sum(1).max())
    if budget < longest:
        raise ValueError(
            f"--micro-batch-tokens {budget} has no room for one board: the longest prompt and "
            f"reference answer of the first step have {longest} tokens; give at least {longest}"
        )


def make_sft_trainer(config: SFTConfig, build: Callable[[], Loaded] | None) -> SFTTrainer:
    """Model and boards, ready to train."""
    goals = TARGETS[config.target]
    student = load_student(config, config.model, build() if build else None)
    boards = live_boards(config, student.view, goals)
    collate = Collate(
        student.processor, student.view, config.input, config.plan_share,
        config.micro_batch_tokens, config.micro_batch_size, taught_turns(config, student.view),
        config.written_share,
    )  # fmt: skip
    trainer = SFTTrainer(config, student, boards, data_collator=collate)

    def validate_goals() -> dict[str, float]:
        longest = longest_answer(config, student.processor.tokenizer, goals)
        agent = HFAgent(student, Sampling(max_new_tokens=longest), batch_size(config))
        with at_own_pace(trainer.model), trainer.accelerator.autocast():
            # A turn is asked for its plan, of which as much is played as the turn policy says.
            asked = ["plan" if collate.turns and goal != "perceive" else goal for goal in goals]
            measured = [validate(agent, config, config.input, goal) for goal in asked]
        return {name: rate for rates in measured for name, rate in rates.items()}

    trainer.add_callback(ValidationCallback(trainer, config.eval_every, validate_goals))
    return trainer


def taught_turns(config: SFTConfig, view: View) -> TaughtTurns | None:
    """The turns that a run teaches; None where one reply is a whole plan."""
    policy = config.turn_policy
    if not policy.chunk:
        return None

    def next_actions(layout: Layout, state: int, plan: Sequence[Action]) -> str:
        return answer_target(layout, state, plan[: policy.chunk])

    target = next_actions if config.target == "answer" else planning_target
    return TaughtTurns(view, policy, config.input, target, config.detours)


def longest_answer(config: SFTConfig, tokenizer: Any, goals: Sequence[str]) -> int:
    """Twice the tokens of the longest reference answer to a validation board of these kinds."""
    answers = [
        ANSWERS[goal](layout)
        for goal in goals
        for kind in config.kinds()
        for layout in validation_layouts(kind, config.eval_episodes)
    ]
    return 2 * (1 + max(map(len, tokenizer(answers).input_ids)))
