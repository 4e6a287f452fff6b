"""Models whose chat template opens a thought: the answer comes after it, and it alone is read."""

import pytest
import real_shapes
import torch

from agents.agent import View
from agents.vlm.encoding import answer_opening
from agents.vlm.processor import ImageTextProcessor
from training.data.layout_stream import LiveBoards
from training.model.tiny import build_tiny
from training.sft import ANSWERS, Collate
from vsp_envs import LayoutSpec, draw_distinct, score_reply
from vsp_envs.core.task_level import select_task_levels
from vsp_envs.scoring.perception import facts_of_reply
from vsp_envs.tasks import TASKS


@pytest.fixture(scope="module", params=["instruct", "thinking"])
def processor(request: pytest.FixtureRequest) -> ImageTextProcessor:
    template = real_shapes.TEMPLATES[request.param]
    images = build_tiny("S").processor.image_processor
    return ImageTextProcessor(images, real_shapes.tokenizer(), template)


@pytest.mark.parametrize("goal", ANSWERS)
def test_sft_puts_the_answer_after_the_thought(processor: ImageTextProcessor, goal: str) -> None:
    boards = LiveBoards(select_task_levels(["maze:3"]), View(), "train", 0, 2, 2, goals=(goal,))
    chosen = boards.__getitems__(range(2))
    [made] = Collate(processor, View(), "image")(chosen)
    thinks = "<think>" in processor.chat_template
    for board, ids, mask, whole in zip(
        chosen, made["ids"], made["mask"], made["inputs"]["input_ids"], strict=True
    ):
        answer = processor.tokenizer.decode(ids[mask])
        opening = "\n</think>\n\n" if thinks else ""
        assert answer == f"{opening}{ANSWERS[goal](board.layout)}<|im_end|>"
        text = processor.tokenizer.decode(whole)
        begins = "<|im_start|>assistant\n" + ("<think>\n" if thinks else "")
        assert begins + answer in text
        # As ids too: the answer is tokenised as the model would write it after the prefix.
        assert torch.equal(whole[-len(ids) :], ids)
    assert bool(answer_opening(processor)) == thinks


@pytest.mark.parametrize("task", TASKS)
def test_only_what_follows_the_thought_is_read(task: str) -> None:
    [layout] = draw_distinct(LayoutSpec(task, 5), 1, seed=0)
    wrong = "size 9\nplayer (8,8)\nagent (8,8)\n<answer>LLLL</answer>"
    reply = f"Perhaps {wrong}\n</think>\n\n{ANSWERS['plan'](layout)}"
    assert score_reply(layout, reply).optimal
    stated = [fact for fact in facts_of_reply(reply, layout) if fact.states]
    assert stated and all(fact.right for fact in stated)
