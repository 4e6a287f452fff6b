"""Folders as published are read, and what is written is a plain Hugging Face checkpoint."""

import json
from pathlib import Path

import pytest
import real_shapes
import torch
from transformers import AutoProcessor, AutoTokenizer
from transformers.utils import is_torchvision_available

from agents.agent import View
from agents.backends.hf import HFAgent
from agents.rollout import Case, prompt_of
from agents.sampling import Sampling
from agents.vlm.checkpoint import load_checkpoint
from agents.vlm.encoding import chat_text, encode_prompts
from vsp_envs import TASKS, LayoutSpec, draw_distinct, get_task

OPENINGS = {
    "instruct": "<|im_start|>assistant\n",
    "thinking": "<|im_start|>assistant\n<think>\n",
}
FOLDERS = [
    ("instruct", True, "chat_template.json"),
    ("instruct", False, "chat_template.jinja"),
    ("thinking", True, "chat_template.jinja"),
]


@pytest.fixture(scope="module", params=FOLDERS, ids=lambda folder: "-".join(map(str, folder)))
def published(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str, bool]:
    """A folder at real shapes, the kind of its template, and whether its head is tied."""
    kind, tied, template = request.param
    folder = tmp_path_factory.mktemp("published")
    return real_shapes.write_checkpoint(folder, kind, tied, template), kind, tied


@pytest.mark.slow
def test_the_tokenizer_is_qwens() -> None:
    tokenizer = real_shapes.tokenizer()
    # As the published tokenizer reads it.
    assert tokenizer.encode("Hello!<|im_end|>") == [9707, 0, 151_645]
    assert tokenizer.encode("<|image_pad|></think>") == [151_655, 151_668]
    text = "Size 4×4; player (0,3).\n<answer>RRDD</answer> PICK_UP 毕"
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.slow
def test_a_published_folder_is_read_and_answers(published: tuple[Path, str, bool]) -> None:
    folder, kind, tied = published
    loaded = load_checkpoint(folder)
    assert loaded.model.dtype == torch.bfloat16 and loaded.view == View()
    head, embeddings = loaded.model.lm_head.weight, loaded.model.get_input_embeddings().weight
    assert head.shape == (151_936, 64) and (head is embeddings) == tied
    cases = [
        Case(layout, input)
        for task in TASKS
        for layout in draw_distinct(LayoutSpec(task, get_task(task).paper_levels[-1]), 1, seed=0)
        for input in ("image", "text")
    ]
    prompts = [prompt_of(case, loaded.view) for case in cases]
    assert all(chat_text(loaded.processor, each).endswith(OPENINGS[kind]) for each in prompts)
    lengths = encode_prompts(loaded.processor, prompts)["attention_mask"].sum(1).tolist()
    assert min(lengths) > 200 and max(lengths) < 360
    replies = HFAgent(loaded, Sampling(max_new_tokens=3)).answer(prompts)
    assert [len(reply.ids) for reply in replies] == [2] * len(replies)  # a word and the end


@pytest.mark.slow
def test_a_saved_folder_is_plain_and_reads_the_same(
    published: tuple[Path, str, bool], tmp_path: Path
) -> None:
    loaded = load_checkpoint(published[0])
    loaded.model.save_pretrained(tmp_path)
    loaded.processor.save_pretrained(tmp_path)
    again = load_checkpoint(tmp_path)
    assert again.processor.chat_template == loaded.processor.chat_template
    assert again.processor.image_processor.size == loaded.processor.image_processor.size
    check_plain(tmp_path)


def test_the_tiny_models_folder_is_plain(tiny_folder: Path) -> None:
    check_plain(tiny_folder)


def check_plain(folder: Path) -> None:
    """The folder names transformers' classes alone, and whoever loads it gets its processor."""
    for name in ("processor_config.json", "tokenizer_config.json"):
        assert json.loads((folder / name).read_text())["processor_class"] == "Qwen3VLProcessor"
    if is_torchvision_available():
        assert type(AutoProcessor.from_pretrained(folder)).__module__.startswith("transformers.")
    else:  # its video half needs it, and it says so
        with pytest.raises(ImportError, match="Torchvision"):
            AutoProcessor.from_pretrained(folder)


@pytest.mark.parametrize("model", ["tiny", *OPENINGS])
def test_messages_whose_content_is_a_string_render(model: str, tiny_folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    template = real_shapes.TEMPLATES.get(model, tokenizer.chat_template)

    def render(content: object) -> str:
        messages = [{"role": "user", "content": content}]
        return tokenizer.apply_chat_template(messages, chat_template=template, tokenize=False)

    assert render("Plan.") == render([{"type": "text", "text": "Plan."}])
    assert render("Plan.") == "<|im_start|>user\nPlan.<|im_end|>\n"


def test_earlier_thoughts_are_not_shown_again() -> None:
    turns = [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": "<think>\nleft?\n</think>\n\n<answer>L</answer>"},
    ]
    template = real_shapes.TEMPLATES["thinking"]
    text = real_shapes.tokenizer().apply_chat_template(
        turns, chat_template=template, tokenize=False
    )
    assert text.endswith("assistant\n<answer>L</answer><|im_end|>\n")
