"""The examples run, on tiny settings, and do what they say."""

from __future__ import annotations

import ast
import importlib
import json
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import examples
from vsp_envs import Action, Layout, format_answer, load_layout, render, shortest_plan

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(file.stem for file in (ROOT / "examples").glob("[!_]*.py"))


def example(name: str) -> Any:
    """The module of an example; the test skips where a package is missing that it is about."""
    module = importlib.import_module(f"examples.{name}")
    if needs := getattr(module, "NEEDS", ""):
        pytest.skip(f"examples/{name}.py: {needs}")
    return module


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_explains_itself_without_its_packages(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, f"examples.{name}", raising=False)
    monkeypatch.setattr(examples, "find_spec", lambda package: None)
    source = (ROOT / "examples" / f"{name}.py").read_text()
    alone = importlib.import_module(f"examples.{name}")
    del sys.modules[f"examples.{name}"]  # monkeypatch would put it back for the tests that follow
    with pytest.raises(SystemExit) as end:
        alone.main(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert end.value.code == 0 and "--" in shown
    assert ("this example needs" in shown) == ("missing(" in source)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    source = (ROOT / "examples" / f"{name}.py").read_text()
    sentence = (ast.get_docstring(ast.parse(source)) or "").splitlines()[0]
    assert sentence.endswith(".") and f"python -m examples.{name} " in source
    with pytest.raises(SystemExit) as end:
        example(name).main(["--help"])
    assert end.value.code == 0
    assert sentence in " ".join(capsys.readouterr().out.split())


def test_an_agent_that_sees_pixels_alone_explores_and_solves_some_boards() -> None:
    assert example("gym_agent").main(["--level", "3", "--episodes", "20"]) > 0.4


@pytest.mark.slow
def test_ppo_learns_more_than_chance_and_draws_its_curve(tmp_path: Path) -> None:
    curve = tmp_path / "curve.png"
    ppo = example("sb3_ppo")
    wishes = ["--level", "3", "--steps", "16384", "--points", "2", "--boards", "50"]
    assert ppo.main([*wishes, "--curve", str(curve)]).low > 0.3  # untrained: 0.1
    assert curve.stat().st_size > 10_000


def test_grpo_trains_on_live_boards_and_saves_a_model(tmp_path: Path, tiny_folder: Path) -> None:
    rewards = example("grpo").main(
        ["--model", str(tiny_folder), "--steps", "5", "--batch-size", "8", "--group", "4",
         "--max-new-tokens", "8", "--out", str(tmp_path)]
    )  # fmt: skip
    assert len(rewards) == 1 and 0 <= rewards[0] <= 1
    assert (tmp_path / "model.safetensors").is_file()


def test_grpos_reward_is_ours_and_its_prompts_are_fresh_boards(tiny_folder: Path) -> None:
    from agents.vlm.checkpoint import load_checkpoint

    grpo = example("grpo")
    tokenizer = load_checkpoint(tiny_folder).processor.tokenizer
    stream = grpo.prompts(tokenizer, "brief", ["frozenlake:3", "maze:3"], "train", 0)
    rows = [next(stream) for _ in range(6)]
    assert [row["task"] for row in rows] == ["frozenlake", "maze"] * 3
    assert len({row["prompt"] for row in rows}) == 6
    boards = [load_layout(row["task"], json.loads(row["layout"])) for row in rows]
    solutions = [format_answer(shortest_plan(board) or [], board.task) for board in boards]
    columns = {name: [row[name] for row in rows] for name in ("task", "layout")}
    assert grpo.success(solutions, **columns) == [1.0] * 6
    assert grpo.success(["<answer>"] * 6, **columns) == [0.0] * 6


def test_a_model_plays_live_boards_by_tool_calls_and_trls_reward_is_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    from argparse import Namespace

    turns = example("grpo_turns")
    import trl

    from training.model.tiny import build_tiny

    model, processor, _ = build_tiny("S")
    template = Path(trl.__file__).parent / "chat_templates" / "qwen3_vl.jinja"
    processor.chat_template = template.read_text()
    trainer = turns.make_trainer(
        model, processor,
        Namespace(tasks=["frozenlake:3", "maze:3"], out=tmp_path, steps=1, batch_size=4, group=2,
                  max_new_tokens=4096, turns=12, learning_rate=1e-3, device="cpu"),
    )  # fmt: skip
    playing, shown = list(range(4)), [[] for _ in range(4)]  # type: ignore[var-annotated]

    def generate(prompt_ids: list[Any], images: Any, *_: Any, **__: Any) -> Any:
        """Every second rollout plays a shortest plan, the others give up at once."""
        asked, replies = playing.copy(), []
        assert len(prompt_ids) == len(asked)
        for row, pictures in zip(asked, images, strict=True):
            game = trainer.environments[row]._game
            shown[row] = [np.asarray(picture) for picture in pictures]
            rest = (shortest_plan(game.layout) or [])[len(game.played) :]
            said = "I give up.<|im_end|>"
            if row % 2 and rest:
                answer = format_answer(rest[:1], game.layout.task)
                call = {"name": "play", "arguments": {"answer": answer}}
                said = f"<tool_call>\n{json.dumps(call)}\n</tool_call><|im_end|>"
            else:
                playing.remove(row)
            replies.append(processor.tokenizer.encode(said))
        return replies, None

    trainer._generate_single_turn = generate
    trainer.train()
    log = trainer.state.log_history[0]
    assert log["rewards/Board/mean"] == 0.5 and log["tools/failure_frequency"] == 0
    for row, environment in enumerate(trainer.environments):
        game = environment._game
        states = game.trace.states if row % 2 else game.trace.states[:1]
        seen = states[:-1] if row % 2 else states  # the last picture would show that it is over
        assert len(shown[row]) == len(seen)
        for picture, state in zip(shown[row], seen, strict=True):
            assert np.array_equal(picture, render(game.layout, 256, state=state))


def test_a_model_at_an_endpoint_sees_every_state_and_is_told_of_refusals() -> None:
    from tests.endpoint import completion, serving, shown_images

    chat = example("chat_agent")
    lake = load_layout("frozenlake", {"map": ["SF", "HG"]})
    answers = iter("URD")
    with serving(lambda body: completion(f"<answer>{next(answers)}</answer>")) as endpoint:
        client = chat.OpenAI(base_url=endpoint.url, api_key="none", max_retries=0)
        env = chat.gym.make("VSP/FrozenLake-v0", level=2, observation="image")
        info = chat.play(client, "tiny", Fixed(env, lake), "frozenlake", seed=0)
    assert info["is_success"] and info["steps"] == 3
    shown = [shown_images(body)[0] for body in endpoint.bodies]
    for image, state in zip(shown, (0, 0, 1), strict=True):
        assert np.array_equal(image, render(lake, 256, state=state))
    said = [body["messages"][0]["content"][1]["text"] for body in endpoint.bodies]
    assert "You played U, which is refused: off_grid." in said[1]
    assert "You played R.\n" in said[2]


class Fixed:
    """An environment that plays one board."""

    def __init__(self, env: Any, layout: Layout) -> None:
        self.env, self.layout, self.step = env, layout, env.step

    def reset(self, seed: int) -> Any:
        return self.env.reset(options={"layout": self.layout})


def test_the_endpoints_agent_counts_what_it_solves() -> None:
    from tests.endpoint import completion, serving

    with serving(lambda body: completion("no idea")) as endpoint:
        wishes = ["--model", "m", "--base-url", endpoint.url, "--level", "3", "--episodes", "2"]
        assert example("chat_agent").main(wishes) == 0
    assert len(endpoint.bodies) == 2


# Exports are read back as the programs that they are for read them.


def exported(format: str, out: Path, target: str = "plan") -> list[dict[str, Any]]:
    """Export some boards; what was in the stream, for comparison."""
    export = example("export")
    wishes = ["--tasks", "frozenlake:3", "maze:3", "--count", "6", "--image-size", "96"]
    wishes += ["--target", target]
    export.main([format, *wishes, "--out", str(out)])
    again = argument_rows(export, wishes)
    assert len({row["board"] for row in again}) == 6
    return again


def argument_rows(export: Any, wishes: list[str]) -> list[dict[str, Any]]:
    from argparse import Namespace

    given = Namespace(tasks=["frozenlake:3", "maze:3"], count=6, image_size=96, split="train",
                      seed=0, target=wishes[-1])  # fmt: skip
    return list(export.rows(given))


def check(row: dict[str, Any], board: str, prompt: str, answer: str, image: Any) -> None:
    """A row of the stream and what a file gave back agree, the picture pixel by pixel."""
    assert (board, prompt, answer) == (row["board"], row["prompt"], row["answer"])
    data = json.loads(board)
    layout = load_layout(data["task"], data["layout"])
    assert np.array_equal(np.asarray(image), render(layout, 96))


@pytest.mark.parametrize("target", ["plan", "perception"])
def test_a_hugging_face_data_set_gives_the_stream_back(tmp_path: Path, target: str) -> None:
    rows = exported("huggingface", tmp_path / "set", target)
    from datasets import load_from_disk

    found = load_from_disk(tmp_path / "set")
    assert len(found) == 6
    for row, each in zip(rows, found, strict=True):
        check(row, each["board"], each["prompt"], each["answer"], each["image"])


def test_llama_factorys_files_give_the_stream_back(tmp_path: Path) -> None:
    from PIL import Image

    rows = exported("sharegpt", tmp_path)
    entry = json.loads((tmp_path / "dataset_info.json").read_text())["vsp"]
    assert entry["formatting"] == "sharegpt"
    tags, columns = entry["tags"], entry["columns"]
    found = json.loads((tmp_path / entry["file_name"]).read_text())
    for row, each in zip(rows, found, strict=True):
        asked, answered = each[columns["messages"]]
        assert asked[tags["role_tag"]] == tags["user_tag"]
        assert answered[tags["role_tag"]] == tags["assistant_tag"]
        prompt = asked[tags["content_tag"]]
        assert prompt.count("<image>") == len(each[columns["images"]]) == 1
        with Image.open(tmp_path / each[columns["images"]][0]) as image:
            answer = answered[tags["content_tag"]]
            check(row, each["board"], prompt.removeprefix("<image>"), answer, image)


def test_verls_parquet_gives_the_stream_back_and_its_reward_is_ours(tmp_path: Path) -> None:
    rows = exported("verl", tmp_path)
    from datasets import Dataset

    export = example("export")
    found = Dataset.from_parquet(str(tmp_path / "data.parquet"), cache_dir=str(tmp_path / "cache"))
    assert {"data_source", "prompt", "images", "ability", "reward_model", "extra_info"} == set(
        found.column_names
    )
    for row, each in zip(rows, found, strict=True):
        [turn], [image], truth = each["prompt"], each["images"], each["reward_model"]
        assert turn["role"] == "user" and truth["style"] == "rule"
        check(row, truth["ground_truth"], turn["content"].removeprefix("<image>"),
              each["extra_info"]["answer"], image)  # fmt: skip
        reward = export.compute_score(each["data_source"], row["answer"], truth["ground_truth"])
        assert reward == 1.0
        assert export.compute_score(each["data_source"], "", truth["ground_truth"]) == 0.0


def test_easyr1s_parquet_gives_the_stream_back_and_its_reward_is_ours(tmp_path: Path) -> None:
    rows = exported("easyr1", tmp_path)
    from datasets import Dataset

    found = Dataset.from_parquet(str(tmp_path / "data.parquet"), cache_dir=str(tmp_path / "cache"))
    asked = []
    for row, each in zip(rows, found, strict=True):
        [image] = each["images"]
        check(
            row, each["answer"], each["problem"].removeprefix("<image>"), each["reference"], image
        )
        asked.append({"response": row["answer"], "ground_truth": each["answer"]})
    assert example("export").compute_scores(asked) == [{"overall": 1.0}] * 6


def test_openenv_serves_every_player_a_board_of_its_own() -> None:
    serve = example("serve")
    from openenv.core import GenericEnvClient

    made = serve.app("FrozenLake", level=3, split="train")
    server = serve.uvicorn.Server(serve.uvicorn.Config(made, "127.0.0.1", 0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            thread.join(0.05)
        port = server.servers[0].sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        with (
            GenericEnvClient(base_url=url).sync() as one,
            GenericEnvClient(base_url=url).sync() as other,
        ):
            images = [client.reset(seed=seed).observation["image"] for client, seed in
                      ((one, 0), (other, 1))]  # fmt: skip
            assert images[0].startswith("data:image/png;base64,") and images[0] != images[1]
            rewards = [result.reward for result in solve(one, seed=0)]
            assert rewards == [0.0] * (len(rewards) - 1) + [1.0]
            assert other.reset(seed=1).observation["image"] == images[1]
    finally:
        server.should_exit = True
        thread.join()


def solve(client: Any, seed: int) -> list[Any]:
    """The results of a shortest plan on the board of a seed."""
    import gymnasium as gym

    env: Any = gym.make("VSP/FrozenLake-v0", level=3, split="train").unwrapped
    env.reset(seed=seed)
    return [client.step({"action": int(Action(action))}) for action in env.optimal_plan()]
