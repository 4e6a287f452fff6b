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
from dataclasses import replace
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
    get_task,
    parse_plan,
    render,
    shortest_plan,
    simulate,
)
from vsp_envs.prompts.question import question
from vsp_envs.rendering.png import data_url, png_bytes

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


class StepPlayer:
    """Answers the picture of a turn with the next action of the reply to its board."""

    def __init__(self) -> None:
        self.played = 0
        self.layout: Layout | None = None

    def __call__(self, picture: bytes | str, words: str) -> str:
        if self.layout is None:
            self.layout = Player().layouts[pixels(picture)]
            assert words == question(self.layout, goal="act").text
        plan = parse_plan(reply(self.layout), self.layout.task).plan
        state = simulate(self.layout, plan[: self.played]).states[-1]
        assert pixels(picture) == render(self.layout, 256, state=state).tobytes()
        self.played += 1
        rest = plan[self.played - 1 : self.played]
        return format_answer(rest, self.layout.task) if rest else "I cannot tell."


@pytest.fixture
def player() -> Any:
    player = Player()
    yield player
    assert len(player.seen) == len(set(player.seen)) == (2 * COUNT if player.seen else 0)


OURS: Results = {"success": 0.6, "optimal": 0.4}
"""What `evaluation.planning` says of the replies: the first test holds it."""
TURNS: Results = {"success": 0.6, "optimal": 0.4}
"""The same with `--act step`, where the replies are given action by action."""


Asked = tuple[list[bytes], list[str]]
"""The pictures and the words of a prompt, earlier turns and replies among them."""


def evaluated(**policy: Any) -> tuple[Results, list[tuple[Asked, str]]]:
    """What our evaluation says of the replies; and all that it asked, board by board."""
    planning = wanted("evaluation.planning", "vsp_envs")
    from agents.agent import Reply, View
    from agents.multi_turn import TurnPolicy

    asked: dict[tuple[int, int], tuple[Asked, str]] = {}

    class Scripted:
        name, view = "scripted", View()

        def reply(self, requests: Sequence[Any]) -> list[Any]:
            return [Reply(self.said(request)) for request in requests]

        def said(self, request: Any) -> str:
            said = reply(request.layout)
            if policy["act"] == "step":
                plan = parse_plan(said, request.layout.task).plan
                rest = plan[request.played : request.played + 1]
                said = format_answer(rest, request.layout.task) if rest else "I cannot tell."
            items = [item for each in request.prompt.messages for item in each["content"]]
            words = [item["text"] for item in items if item["type"] == "text"]
            pictures = [pixels(data_url(picture)) for picture in request.prompt.images]
            turn = boards().index(request.layout), request.turn
            asked[turn] = (pictures, words), said
            return said

    way = TurnPolicy(**policy)
    found = planning.evaluate(Scripted(), tasks=TASKS, episodes=COUNT, turn_policy=way)
    results = {name: found["macro"][name]["value"] for name in OURS}
    return results, [asked[turn] for turn in sorted(asked)]


@pytest.mark.parametrize(("act", "expected"), [("plan", OURS), ("step", TURNS)])
def test_our_evaluation_scores_the_replies(act: str, expected: Results) -> None:
    found, _ = evaluated(act=act)
    assert found == pytest.approx(expected)


def wanted(module: str, name: str) -> Any:
    """A module; the test skips where the harness is missing."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if str(error.name).split(".")[0] in ("vsp_envs", "examples"):
            raise
        pytest.skip(f"needs {error.name}: make test-clients installs {name}")


def run_inspect(
    task: str, answer: Any, monkeypatch: pytest.MonkeyPatch, **arguments: Any
) -> Results:
    """What Inspect finds of one of our tasks, played by a function of its messages."""
    inspect_ai = wanted("inspect_ai", "inspect-ai")
    from inspect_ai.model import ModelAPI, ModelOutput, get_model

    tasks = wanted("examples.harnesses.inspect_task", "inspect-ai")
    model = get_model(
        "mockllm/model",
        custom_outputs=lambda messages, *_: ModelOutput.from_content(
            "mockllm/model", answer(messages)
        ),
    )

    async def count(_: Any, text: str) -> int:  # Inspect would download a tokenizer for it
        return len(text)

    monkeypatch.setattr(ModelAPI, "count_text_tokens", count)
    made = getattr(tasks, task)(tasks=" ".join(TASKS), count=COUNT, **arguments)
    [log] = inspect_ai.eval(made, model, display="none", log_dir="logs", max_samples=1)
    assert log.status == "success", log.error
    return {each.name: each.metrics["accuracy"].value for each in log.results.scores}


def test_inspect(player: Player, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def answer(messages: Any) -> str:
        picture, words = messages[-1].content
        return player(picture.image, words.text)

    assert run_inspect("vsp", answer, monkeypatch) == OURS


@pytest.mark.parametrize("history", [8, 2, 0])
def test_inspect_in_turns_asks_what_our_evaluation_asks(
    history: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wanted("inspect_ai", "inspect-ai")
    expected, turns = evaluated(act="step", history=history)
    turns.reverse()

    def answer(messages: Any) -> str:
        asked, said = turns.pop()
        shown = [each.content for each in messages if each.role == "user"]
        words = [each.text for each in messages]
        assert ([pixels(picture.image) for picture, _ in shown], words) == asked
        return said

    assert run_inspect("vsp_turns", answer, monkeypatch, history=history) == expected == TURNS
    assert not turns


def test_verifiers(player: Player, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert {name: float(np.mean(values)) for name, values in found.items()} == OURS


def test_verifiers_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted("verifiers.v1", "verifiers")
    monkeypatch.syspath_prepend(str(ROOT / "examples/harnesses/verifiers_vsp"))
    import verifiers.v1 as vf
    from verifiers.v1.agent import Segment
    from verifiers.v1.utils.loaders import environment_class, load_taskset

    made = environment_class("vsp", "vsp-turns")
    assert made.__name__ == "TurnsEnv"  # found by its name
    config = sys.modules["vsp_turns"].TurnsConfig(taskset={"id": "vsp"})
    found: dict[str, list[float]] = {"success": [], "optimal": []}

    class Seat:
        """An agent whose replies are scripted; verifiers' own would ask an endpoint."""

        def __init__(self, task: Any) -> None:
            self.task, self.nodes, self.player = task, [], StepPlayer()  # type: ignore[var-annotated]

        async def __aenter__(self) -> Any:
            return self

        async def __aexit__(self, *_: Any) -> None:
            trace = vf.Trace.model_construct(nodes=self.nodes)
            await self.task.score(trace)
            found["success"].append(trace.reward)
            found["optimal"].append(trace.metrics["optimal"])

        async def turn(self, messages: Any) -> Any:
            picture, words = messages[-1].content
            said = vf.AssistantMessage(content=self.player(picture.image_url.url, words.text))
            for message in (*messages, said):
                last = len(self.nodes) - 1 if self.nodes else None
                sampled = message is said
                self.nodes.append(vf.MessageNode(message=message, parent=last, sampled=sampled))
            return Segment([said])

    class Seats:
        class agent:
            interaction = Seat

    env = made.__new__(made)
    env.config = config
    taskset = load_taskset(sys.modules["vsp"].BoardConfig(id="vsp", tasks=TASKS, count=COUNT))
    for task in taskset:
        asyncio.run(env.run(task, Seats))
    assert {name: float(np.mean(values)) for name, values in found.items()} == TURNS


def test_lmms_eval(player: Player, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert {name: found[f"{name},none"] for name in OURS} == pytest.approx(OURS)


def test_vlmevalkits_table(player: Player, tmp_path: Path) -> None:
    written = wanted("examples.harnesses.lmms_eval.boards", "datasets")
    kit = importlib.import_module("examples.harnesses.vlmevalkit")
    file = tmp_path / "VSP.tsv"
    written.main(["--tasks", *TASKS, "--count", str(COUNT), "--out", str(file)])
    csv.field_size_limit(1 << 30)
    with file.open(newline="") as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    assert (
        kit.scores([row | {"prediction": player(row["image"], row["question"])} for row in rows])
        == OURS
    )
    assert json.loads(rows[0]["answer"])["task"] == "frozenlake"


def played(layout: Layout) -> list[Action]:
    """The actions of the reply to a board."""
    return parse_plan(reply(layout), layout.task).plan


def rates(results: list[tuple[Layout, Sequence[float]]]) -> Results:
    """Success and optimal success of boards and the rewards of their steps."""
    solved = [(sum(rewards) == 1, len(rewards) == len(shortest_plan(layout) or []))
              for layout, rewards in results]  # fmt: skip
    return {
        "success": sum(success for success, _ in solved) / len(solved),
        "optimal": sum(success and shortest for success, shortest in solved) / len(solved),
    }


def test_minari(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    minari = wanted("minari", "minari")
    import gymnasium as gym

    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    found: list[tuple[Layout, Sequence[float]]] = []
    for task in ("frozenlake", "maze"):
        layouts = [layout for layout in boards() if layout.task == task]
        # Minari keeps the options of a reset as numbers, so the board comes from behind it.
        inner: Any = gym.make(get_task(task).id, level=4)
        env = minari.DataCollector(inner, jpeg_encoding=False)
        for layout in layouts:
            config = inner.unwrapped.config
            inner.unwrapped.config = replace(config, layout=layout)
            env.reset()
            for action in played(layout):
                if env.step(int(action))[2]:
                    break
        made = env.create_dataset(f"vsp/{task}-replies-v0", requirements=["vsp-envs"])
        # A board without an action leaves no episode.
        kept = [layout for layout in layouts if played(layout)]
        found += [(layout, []) for layout in layouts if layout not in kept]
        for layout, episode in zip(kept, made.iterate_episodes(), strict=True):
            found.append((layout, list(episode.rewards)))
            states = simulate(layout, played(layout)).states
            for image, state in zip(episode.observations["image"], states, strict=True):
                assert np.array_equal(image, render(layout, 256, state=state))
    assert rates(found) == OURS


def test_openenv() -> None:
    serve = wanted("examples.serve", "openenv")
    if serve.NEEDS:
        pytest.skip("needs openenv: make test-examples installs it")
    found = []
    for layout in boards():
        session = serve.Session(get_task(layout.task).id, {"level": 4})
        seen = session.reset(layout=layout.to_data())
        assert pixels(seen.image) == render(layout, 256).tobytes()
        rewards = []
        for action, state in zip(played(layout), simulate(layout, played(layout)).states[1:],
                                 strict=False):  # fmt: skip
            seen = session.step(serve.Move(action=int(action)))
            assert pixels(seen.image) == render(layout, 256, state=state).tobytes()
            rewards.append(seen.reward)
        found.append((layout, rewards))
    assert rates(found) == OURS
