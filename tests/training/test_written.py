"""Text prompts whose board is written at the head of the answer: what is read, what is learned."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from agents.multi_turn import TurnPolicy
from training.data.layout_stream import Board, live_boards
from training.data.walks import Taught
from training.model.tiny import TINY_VIEW, build_tiny
from training.sft import Collate, train_sft
from training.sft_config import TARGETS, SFTConfig
from vsp_envs import Layout
from vsp_envs.prompts.question import text_prompt
from vsp_envs.prompts.targets import perception_target, planning_target, search_target
from vsp_envs.scoring.describe import describe

CONFIG = SFTConfig(
    out=Path("never"), input="text", target="plan", batch_size=12, steps=1, mix_kinds=True,
    tasks=("frozenlake:3-4", "maze:4", "minibehaviour:5"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("target", "answer"), [("plan", planning_target), ("search", search_target)]
)
@pytest.mark.parametrize("budget", [None, 400])
def test_the_share_reads_the_board_in_its_own_answer_and_learns_what_follows(
    target: str, answer: Callable[[Layout], str], budget: int | None
) -> None:
    _, processor, _ = build_tiny("S")
    tokenizer = processor.tokenizer
    config = replace(CONFIG, target=target)
    boards = live_boards(config, TINY_VIEW, TARGETS[target]).__getitems__(range(12))
    collate = Collate(processor, TINY_VIEW, "text", budget=budget, written_share=0.75)
    found = []  # what is read before the learned tokens, and these
    for batch in collate(boards):
        shown = batch["inputs"]
        rows = zip(
            batch["ids"], batch["mask"], shown["input_ids"], shown["attention_mask"], strict=True
        )
        for ids, mask, row, seen in rows:
            read, learned = row[seen.bool()].tolist(), ids[mask].tolist()
            assert read[-len(learned) :] == learned, "what is learned comes last"
            found.append((read[: -len(learned)], learned))
    assert len(found) == len(boards)
    written = 0
    for row, board in enumerate(boards):
        texts = (answer(board.layout), describe(board.layout) + "\n", map_of(board.layout))
        whole, head, drawn = (tokenizer(text).input_ids for text in texts)
        assert whole[: len(head)] == head
        shown = [*whole, tokenizer.eos_token_id]
        read = [each for each, end in found if end == shown]
        given = [
            each for each, end in found if end == shown[len(head) :] and each[-len(head) :] == head
        ]
        assert bool(read) != bool(given), f"board {row} is read, or given"
        assert all(places(drawn, each) for each in read)
        assert not any(places(drawn, each) for each in given)
        written += bool(given)
    assert 0 < written < len(boards)


def map_of(layout: Layout) -> str:
    """The board as a text prompt shows it."""
    return text_prompt(layout, "plan", TINY_VIEW.style).text.rpartition("\n")[0]


def places(part: list[int], whole: list[int]) -> list[int]:
    """Where one list stands in another."""
    size = len(part)
    return [at for at in range(len(whole) - size + 1) if whole[at : at + size] == part]


def test_perception_sft_shows_pictures_and_keeps_a_share_for_plans_without_any() -> None:
    _, processor, _ = build_tiny("S")
    tokenizer = processor.tokenizer
    config = replace(CONFIG, input="image", target="perception", written_share=0.25)
    boards = live_boards(config, TINY_VIEW, TARGETS["perception"]).__getitems__(range(12))
    [batch] = Collate(processor, TINY_VIEW, "image", written_share=0.25)(boards)
    pictures = (batch["inputs"]["input_ids"] == processor.image_token_id).any(1).tolist()
    assert 0 < sum(pictures) < len(boards)
    learned = [ids[mask].tolist() for ids, mask in zip(batch["ids"], batch["mask"], strict=True)]
    for row, board in enumerate(boards):
        whole, head = perception_target(board.layout), ""
        if not pictures[row]:
            whole, head = planning_target(board.layout), describe(board.layout) + "\n"
        ids = [*tokenizer(whole).input_ids, tokenizer.eos_token_id]
        assert learned[row] == ids[len(tokenizer(head).input_ids) if head else 0 :]
    assert config.roles() == ("perceive", "student")


def test_it_is_of_whole_plans(tiny_folder: Path, tmp_path: Path) -> None:
    asked = replace(CONFIG, out=tmp_path / "run", model=str(tiny_folder), written_share=0.5)
    for wrong in (
        replace(asked, input="image"),
        replace(asked, target="perception"),
        replace(asked, turn_policy=TurnPolicy(act="step", history=0)),
    ):
        with pytest.raises(ValueError, match=r"written-share 0\.5 is of whole plans"):
            train_sft(wrong)
    with pytest.raises(ValueError, match="written-share"):
        train_sft(replace(asked, written_share=1.5))


@pytest.mark.parametrize("share", ["plan_share", "written_share"])
@pytest.mark.parametrize("at_once", [1, 12])
def test_a_share_is_of_every_kind_of_board_in_micro_batches_of_any_size(
    share: str, at_once: int
) -> None:
    _, processor, _ = build_tiny("S")
    stream = live_boards(replace(CONFIG, steps=40), TINY_VIEW)
    collate, chosen = Collate(processor, TINY_VIEW, "text", **{share: 0.3}), Counter[str]()

    def taught(board: Board, with_plan: bool, written: bool = False) -> Taught:
        chosen[f"{board.layout.task}:{board.layout.level}"] += with_plan or written
        return Taught(board.prompt("text", "plan", TINY_VIEW), "x")

    collate.taught = taught  # type: ignore[method-assign]
    for first in range(0, len(stream), at_once):
        collate(stream.__getitems__(range(first, first + at_once)))
    assert len(chosen) == 4 and all(0.15 < count / 120 < 0.45 for count in chosen.values())
