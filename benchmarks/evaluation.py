"""Speed of evaluation: `python -m benchmarks.evaluation [--quick] [--json FILE] [--model PATH]`.

The client is measured against an endpoint that answers at once: on fresh boards and on boards that
were asked before. Models are measured on the tiny Qwen3-VL, with random weights unless `--model`
names a checkpoint. To measure vLLM, run this in the environment that `make test-vllm` makes.
"""

from __future__ import annotations

import argparse
import base64
import importlib.util
import io
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path

from openai import OpenAI
from PIL import Image

from agents.agent import Request, View
from agents.backends.hf import HFAgent
from agents.backends.openai import Endpoint, OpenAIAgent
from agents.rollout import Case, prompt_of
from agents.sampling import Sampling
from benchmarks.endpoint import running
from benchmarks.measure import Race, Row, Work, run, save, speed, table
from evaluation.collect import collect, settings_of
from training.model.tiny import build_tiny
from vsp_envs import Layout, LayoutSpec, draw_distinct, render
from vsp_envs.core.task_level import select_task_levels
from vsp_envs.prompts.question import visual_words

THREADS = 32
PASS = 300
"""Boards of one pass."""
WANTED = 400
"""Requests per CPU second: 2.5 ms each."""


def boards(fresh: bool = True) -> Iterator[Layout]:
    """Boards of all three tasks in turn.

    `fresh` boards come once each before any comes again. The others repeat one pass, as several
    samples, several models or a closed loop do.
    """
    task_levels = select_task_levels(["frozenlake:4-8", "maze:4-6", "minibehaviour:5-6"])
    streams = [draw_distinct(LayoutSpec(*each), 1000, seed=0) for each in task_levels]
    mixed = (layout for together in zip(*streams, strict=True) for layout in together)
    return cycle(mixed if fresh else list(islice(mixed, PASS)))


def our_client(url: str, fresh: bool) -> Work:
    """Render, encode, ask, read."""
    layouts, agent, view = boards(fresh), OpenAIAgent("instant", Endpoint(base_urls=(url,))), View()

    def work() -> int:
        asked = (Case(layout) for layout in islice(layouts, PASS))
        requests = [Request(prompt_of(case, view), case.layout) for case in asked]
        return sum(not reply.error for reply in agent.reply(requests))

    return work


def plain_client(url: str, fresh: bool) -> Work:
    """The usual first version: a pool of threads, Pillow, and the openai SDK."""
    layouts, view = boards(fresh), View()
    client = OpenAI(base_url=url, api_key="none")

    def ask(layout: Layout) -> str:
        file = io.BytesIO()
        Image.fromarray(render(layout)).save(file, "PNG")
        image = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
        words = visual_words(layout.task, "plan", view.style, view.theme)
        answer = client.chat.completions.create(
            model="instant",
            temperature=0,
            max_tokens=256,
            messages=[
                {
                    "role": "user",
                    "content": [
                        {"type": "image_url", "image_url": {"url": image}},
                        {"type": "text", "text": words},
                    ],
                }
            ],
        )
        return answer.choices[0].message.content or ""

    def work() -> int:
        with ThreadPoolExecutor(THREADS) as pool:
            return len(list(pool.map(ask, list(islice(layouts, PASS)))))

    return work


def client_cpu(url: str, seconds: float) -> Row:
    """Requests per CPU second of this process, all threads: prompts, pictures, JSON and HTTP."""
    work = our_client(url, fresh=True)
    work()  # fill caches
    reached = speed(work, time.process_time, seconds / 2)
    name, peer = "requests per CPU second", "2.5 ms a request"
    return Row(name, peer, reached, WANTED, "request", reached / WANTED, 1)


def harness_cpu(url: str, seconds: float) -> Row:
    """Cases per CPU second of this process, all threads, in a run that is kept in a folder.

    Beside the requests it solves the boards, scores the replies and writes each episode.
    """
    layouts, agent = boards(), OpenAIAgent("instant", Endpoint(base_urls=(url,)))
    cases, spent, began = 0, 0.0, time.perf_counter()
    while not cases or time.perf_counter() - began < seconds:
        asked = [Case(layout) for layout in islice(layouts, PASS)]
        with tempfile.TemporaryDirectory() as folder:
            before = time.process_time()
            collect(agent, asked, "env", settings_of(agent, asked), Path(folder))
        spent, cases = spent + time.process_time() - before, cases + PASS
    reached = cases / spent
    name, peer = "cases of a run per CPU second", "2.5 ms a case"
    return Row(name, peer, reached, WANTED, "case", reached / WANTED, None)


def replies(agent: object, count: int) -> Work:
    """Whole replies of a model to pictures of small lakes."""
    layouts = draw_distinct(LayoutSpec("frozenlake", 4), count, seed=0)
    prompts = [prompt_of(Case(layout), agent.view) for layout in layouts]  # type: ignore[attr-defined]
    size = agent.batch_size  # type: ignore[attr-defined]

    def work() -> int:
        for first in range(0, count, size):
            agent.answer(prompts[first : first + size])  # type: ignore[attr-defined]
        return count

    return work


def model_races(path: str) -> Iterator[Race]:
    """Batches against single requests; vLLM against transformers, where vLLM is installed."""
    sampling = Sampling(max_new_tokens=48)

    def hf(batch_size: int) -> HFAgent:
        return HFAgent.load(path, dtype="float32", sampling=sampling, batch_size=batch_size)

    batched = replies(hf(64), 64)
    yield Race("hf in batches of 64", "one by one", "reply", batched, replies(hf(1), 8), 4)
    if importlib.util.find_spec("vllm") is None:
        print("vLLM is not installed here: not measured", file=sys.stderr)
        return
    from agents.backends.vllm import VLLMAgent  # leaves vLLM out where it is missing

    engine = VLLMAgent.load(
        path, sampling, 64, "float32", enforce_eager=True, max_model_len=1024, max_num_seqs=64
    )
    yield Race("vllm, 64 at once", "hf in batches of 64", "reply", replies(engine, 64), batched)


def checkpoint(path: str, folder: str) -> str:
    """`path`, or a tiny checkpoint with random weights in `folder`."""
    if path:
        return path
    model, processor, _ = build_tiny("M")
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def main() -> None:
    """Run all races, print the table, and write the files that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few rounds, within a minute")
    parser.add_argument("--json", type=Path, help="file for the rows")
    parser.add_argument("--model", default="", help="checkpoint folder; default a tiny random one")
    options = parser.parse_args()
    seconds, rows = 2.0 if options.quick else 15.0, []
    with running() as server:
        url = f"{server}/v1"
        for work, fresh in (("fresh boards", True), ("boards asked before", False)):
            clients = our_client(url, fresh), plain_client(url, fresh)
            for clock, on in ((time.perf_counter, ""), (time.process_time, ", by its own CPU")):
                floor = 1.8 if fresh and not on else None
                peer = "thread pool, Pillow, openai SDK"
                race = Race(f"client, {work}{on}", peer, "request", *clients, floor, clock)
                rows.append(run(race, seconds))
        rows += [client_cpu(url, seconds), harness_cpu(url, seconds)]
    with tempfile.TemporaryDirectory() as folder:
        rows += [run(race, seconds) for race in model_races(checkpoint(options.model, folder))]
    print(table(rows))
    if options.json:
        save(rows, options.json)


if __name__ == "__main__":
    main()
