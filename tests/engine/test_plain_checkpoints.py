"""transformers' own processor, pipeline and server load what we write, and answer as `hf` does."""

import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("torchvision", reason="no torchvision here; `make test-vllm` has it")

from PIL import Image
from transformers import AutoProcessor, pipeline

from agents.backends.hf import HFAgent
from agents.backends.openai import Endpoint, OpenAIAgent
from agents.rollout import Case, play, prompt_of
from agents.sampling import Sampling
from agents.vlm.checkpoint import load_checkpoint
from training.base import BaseConfig, train_base
from training.sft import SFTConfig, train_sft
from vsp_envs import LayoutSpec, draw_distinct

GREEDY = Sampling(max_new_tokens=64)
CASES = [Case(each) for each in draw_distinct(LayoutSpec("frozenlake", 3, "test"), 20, seed=0)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run's folder as the demo leaves one: trained for so long that it answers with words."""
    folder = tmp_path_factory.mktemp("finished")
    base = BaseConfig(out=folder / "base", size="S", steps=30, batch_size=16, eval_every=0)
    model = str(train_base(base))
    return train_sft(
        SFTConfig(out=folder / "sft", model=model, steps=20, batch_size=16, eval_every=0)
    )


@pytest.fixture(scope="module")
def replies(finished):
    """What the `hf` agent answers."""
    agent = HFAgent(load_checkpoint(finished), GREEDY)
    said = [episode.reply for episode in play(agent, CASES)]
    assert len(set(said)) > 1  # the pictures are looked at
    return said


def test_the_processor_is_transformers_own(finished):
    processor = AutoProcessor.from_pretrained(finished)
    assert type(processor).__module__ == "transformers.models.qwen3_vl.processing_qwen3_vl"
    assert processor.image_processor and processor.video_processor and processor.chat_template


def test_the_pipeline_answers_as_hf_does(finished, replies):
    view, pipe = load_checkpoint(finished).view, pipeline("image-text-to-text", model=str(finished))
    for case, reply in zip(CASES, replies, strict=True):
        prompt = prompt_of(case, view)
        [message], [image] = prompt.messages, prompt.images
        content = [
            {"type": "image", "image": Image.fromarray(image)} if item["type"] == "image" else item
            for item in message["content"]
        ]
        [said] = pipe(
            text=[{"role": "user", "content": content}],
            max_new_tokens=GREEDY.max_new_tokens,
            return_full_text=False,
        )
        assert said["generated_text"] == reply


def test_transformers_serve_answers_as_hf_does(finished, replies, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        str(Path(sys.executable).with_name("transformers")), "serve", "--host", "127.0.0.1",
        "--port", str(port), "--device", "cpu",
    ]  # fmt: skip
    log = tmp_path / "log"
    with log.open("wb") as file:
        server = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        wait_for(f"http://127.0.0.1:{port}/health", server, log)
        endpoint = Endpoint(base_urls=(f"http://127.0.0.1:{port}/v1",), concurrency=2)
        agent = OpenAIAgent(str(finished), endpoint, GREEDY, load_checkpoint(finished).view)
        episodes = list(play(agent, CASES))
    finally:
        server.terminate()
        server.wait(30)
    assert [episode.error for episode in episodes] == [""] * len(CASES), log.read_text()[-3000:]
    assert [episode.reply for episode in episodes] == replies


def wait_for(url, server, log, seconds=300):
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"the server did not start:\n{log.read_text()[-3000:]}")
