"""Ten boards through every harness: the same pictures, prompts and scores as `evaluation.planning`.

Each test needs its harness and skips with a word without it; `make test-clients` installs them.
"""

from __future__ import annotations

import asyncio
import base64
import csv
import importlib
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vsp_envs import (
    Action,
    Layout,
    LayoutSpec,
    draw_distinct,
    format_answer,
    render,
    shortest_plan,
)
from vsp_envs.prompts.question import question
from vsp_envs.rendering.png import png_bytes

ROOT = Path(__file__).parents[2]
TASKS, COUNT = ["frozenlake:4", "maze:4"], 5
Results = dict[str, float]


def boards() -> list[Layout]:
    specs = [LayoutSpec("frozenlake", 4, "test"), LayoutSpec("maze", 4, "test")]
    return [layout for spec in specs for layout in draw_distinct(spec, COUNT, 0)]


def reply(layout: Layout) -> str:
    """The shortest plan, a plan with a detour, no plan, or none that can be read, in turn."""
    plan = shortest_plan(layout) or []
    turn = boards().index(layout) % 4
    back = Action((plan[0] + 2) % 4)
    replies = [plan, [plan[0], back, *plan], plan[:-1]]
    return "I cannot tell." if turn == 3 else format_answer(replies[turn], layout.task)


def pixels(picture: bytes | str) -> bytes:
    """The pixels of a PNG file or of a data URL."""
    from PIL import Image

    if isinstance(picture, str):
        picture = base64.b64decode(picture.partition("base64,")[2] or picture)
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).tobytes()


class Player:
    """Answers a picture and its prompt with the reply to the board that they show."""

    def __init__(self) -> None:
        self.layouts = {render(layout, 256).tobytes(): layout for layout in boards()}
        self.seen: list[Layout] = []

    def __call__(self, picture: bytes | str, words: str) -> str:
        layout = self.layouts[pixels(picture)]
        assert words == question(layout).text
        self.seen.append(layout)
        return reply(layout)


@pytest.fixture
def player() -> Any:
    player = Player()
    yield player
    assert len(player.seen) == len(set(player.seen)) == (2 * COUNT if player.seen else 0)


@pytest.fixture(scope="module")
def ours() -> Results:
    """What `evaluation.planning` says of these replies."""
    planning = wanted("evaluation.planning", "vsp_envs")
    from agents.agent import Reply

    class Scripted:
        name, view = "scripted", importlib.import_module("agents.agent").View()

        def reply(self, requests: Sequence[Any]) -> list[Any]:
            return [Reply(reply(request.layout)) for request in requests]

    found = planning.evaluate(Scripted(), tasks=TASKS, episodes=COUNT)
    rates = {name: found["macro"][name]["value"] for name in ("success", "optimal")}
    assert rates["success"] > rates["optimal"] > 0
    return rates


def wanted(module: str, name: str) -> Any:
    """A module; the test skips where the harness is missing."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if str(error.name).split(".")[0] in ("vsp_envs", "examples"):
            raise
        pytest.skip(f"needs {error.name}: make test-clients installs {name}")


def test_inspect(
    ours: Results, player: Player, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inspect_ai = wanted("inspect_ai", "inspect-ai")
    from inspect_ai.model import ModelAPI, ModelOutput, get_model

    task = wanted("examples.harnesses.inspect_task", "inspect-ai")

    def answer(messages: Any, *_: Any) -> Any:
        picture, words = messages[-1].content
        return ModelOutput.from_content("mockllm/model", player(picture.image, words.text))

    model = get_model("mockllm/model", custom_outputs=answer)

    async def count(_: Any, text: str) -> int:  # Inspect would download a tokenizer for it
        return len(text)

    monkeypatch.setattr(ModelAPI, "count_text_tokens", count)
    made = task.vsp(tasks=" ".join(TASKS), count=COUNT)
    [log] = inspect_ai.eval(made, model, display="none", log_dir=str(tmp_path))
    assert log.status == "success", log.error
    assert {each.name: each.metrics["accuracy"].value for each in log.results.scores} == ours


def test_verifiers(ours: Results, player: Player, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted("verifiers.v1", "verifiers")
    monkeypatch.syspath_prepend(str(ROOT / "examples/harnesses/verifiers_vsp"))
    import verifiers.v1 as vf
    from verifiers.v1.utils.loaders import load_taskset, taskset_class

    assert taskset_class("vsp").__name__ == "BoardTaskset"  # found by its name
    taskset = load_taskset(sys.modules["vsp"].BoardConfig(id="vsp", tasks=TASKS, count=COUNT))
    found: dict[str, list[float]] = {"success": [], "optimal": []}
    for task in taskset:
        [message] = task.data.prompt
        picture, words = message.content
        said = vf.AssistantMessage(content=player(picture.image_url.url, words.text))
        nodes = [
            vf.MessageNode(message=message),
            vf.MessageNode(message=said, parent=0, sampled=True),
        ]
        trace = vf.Trace.model_construct(nodes=nodes)
        asyncio.run(task.score(trace))
        found["success"].append(trace.reward)
        found["optimal"].append(trace.metrics["optimal"])
    assert {name: float(np.mean(values)) for name, values in found.items()} == ours


def test_lmms_eval(
    ours: Results, player: Player, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluator = wanted("lmms_eval.evaluator", "lmms-eval")
    from lmms_eval.api.model import lmms
    from lmms_eval.tasks import TaskManager

    written = wanted("examples.harnesses.lmms_eval.boards", "lmms-eval")
    monkeypatch.chdir(tmp_path)
    written.main(["--tasks", *TASKS, "--count", str(COUNT), "--out", "runs/lmms_eval/vsp.parquet"])

    class Scripted(lmms):
        def generate_until(self, requests: Any) -> list[str]:
            replies = []
            for words, _, visual, doc_id, task, split in (each.args for each in requests):
                [picture] = visual(self.task_dict[task][split][doc_id])
                replies.append(player(png_bytes(np.asarray(picture)), words))
            return replies

        def loglikelihood(self, requests: Any) -> Any: ...

        def generate_until_multi_round(self, requests: Any) -> Any: ...

    manager = TaskManager(include_path=str(ROOT / "examples/harnesses/lmms_eval"))
    results = evaluator.simple_evaluate(Scripted(), tasks=["vsp"], task_manager=manager)
    found = results["results"]["vsp"]
    assert {name: found[f"{name},none"] for name in ours} == pytest.approx(ours)


def test_vlmevalkits_table(ours: Results, player: Player, tmp_path: Path) -> None:
    written = wanted("examples.harnesses.lmms_eval.boards", "datasets")
    kit = importlib.import_module("examples.harnesses.vlmevalkit")
    file = tmp_path / "VSP.tsv"
    written.main(["--tasks", *TASKS, "--count", str(COUNT), "--out", str(file)])
    csv.field_size_limit(1 << 30)
    with file.open(newline="") as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    assert (
        kit.scores([row | {"prediction": player(row["image"], row["question"])} for row in rows])
        == ours
    )
    assert json.loads(rows[0]["answer"])["task"] == "frozenlake"
