"""Learning in several turns: what is taught are the states that the student's own actions reach."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from drawn import LAKE
from safetensors.torch import load_file

from agents.agent import Prompt, Request, View
from agents.multi_turn import TurnPolicy
from agents.rollout import Case, play, prompt_of
from agents.vlm.checkpoint import load_checkpoint
from agents.vlm.encoding import Completed, encode_prompts, join_rows, select_rows
from training.data.layout_stream import Board, LiveBoards
from training.data.walks import TaughtTurns, walk
from training.loop.run import is_done
from training.opcd.advantages import above_mean, share_without_advantage, turn_progress
from training.opcd.checks import longest_prompt
from training.opcd.config import OPCDConfig
from training.opcd.policy import Policy
from training.opcd.sampler import SampledCompletions
from training.opcd.teachers import Teacher
from training.opcd.trainer import OPCDTrainer, train_opcd
from training.sft import SFTConfig, train_sft
from vsp_envs import LayoutSpec, draw_distinct, get_task, render
from vsp_envs.core.layout import Outcome
from vsp_envs.core.simulator import layout_in
from vsp_envs.core.solver import optimal_actions, solve_layout
from vsp_envs.core.task_level import TaskLevel, select_task_levels
from vsp_envs.prompts.targets import perception_target, planning_target
from vsp_envs.scoring.answer_format import action_name
from vsp_envs.scoring.describe import describe
from vsp_envs.scoring.episode import Episode
from vsp_envs.utils.files import read_json, write_json

STEP = TurnPolicy(act="step", malformed="skip", history=0, max_turns=4)
SMALL = View("brief", cell_pixels=32)


@pytest.fixture
def config(tiny_folder: Path, tmp_path: Path) -> OPCDConfig:
    # `mgsd` reads actions in what an untrained model says, so that episodes end at their own time.
    return OPCDConfig(
        out=tmp_path / "run", model=str(tiny_folder), teacher=str(tiny_folder),
        tasks=("frozenlake:3", "minibehaviour:5"), steps=2, batch_size=4, max_new_tokens=4,
        save_every=1, eval_every=0, log_every=1, learning_rate=1e-3, warmup=0.0, reader="mgsd",
        turn_policy=STEP,
    )  # fmt: skip


class Perfect(Policy):
    """Plans from every state; the first action of each plan is played."""

    def __init__(self, config: OPCDConfig, trainer: OPCDTrainer) -> None:
        super().__init__(config, trainer)
        self.asked: list[list[Request]] = []

    def _sample(self, requests: Sequence[Request], *_: Any) -> SampledCompletions:
        self.asked.append([*requests])
        texts = [planning_target(each.layout, each.state) for each in requests]
        return SampledCompletions(self.trainer.processor.tokenizer(texts).input_ids, None)


class Prepared(NamedTuple):
    """A step that a perfect policy has played."""

    trainer: OPCDTrainer
    asked: list[list[Request]]
    """Turn by turn."""
    batches: list[dict[str, Any]]
    boards: list[Board]

    @property
    def requests(self) -> list[Request]:
        return [request for turn in self.asked for request in turn]


def prepare(config: OPCDConfig, policy_class: type[Perfect] = Perfect) -> Prepared:
    """Play the boards of the first step perfectly, or by another policy."""
    student = load_checkpoint(config.model, dtype="float32")
    teacher = Reading(load_checkpoint(config.teacher, dtype="float32").model)
    stream = LiveBoards(select_task_levels(config.tasks), student.view, "train", 0, 16, 2)
    trainer, boards = OPCDTrainer(config, student, teacher, stream), stream.__getitems__(range(4))
    trainer.policy = policy = policy_class(config, trainer)
    return Prepared(trainer, policy.asked, trainer.prepare_step([boards[:2], boards[2:]]), boards)


class Reading(Teacher):
    """Keeps what it is given to read, row by row."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.read: list[list[int]] = []

    def hidden(self, completed: Completed) -> torch.Tensor:
        width = completed.ids.shape[1]
        ids, mask = (completed.inputs[name] for name in ("input_ids", "attention_mask"))
        for row, kept in zip(ids[:, :-width], mask[:, :-width].bool(), strict=True):
            self.read.append(row[kept].tolist())
        return super().hidden(completed)


def test_all_boards_take_a_turn_in_one_call_and_those_that_have_ended_leave_it(
    config: OPCDConfig,
) -> None:
    played = prepare(replace(config, turn_policy=replace(STEP, max_turns=20)))
    starts = [(solve_layout(board.layout), board.layout.cells[0]) for board in played.boards]
    lengths = [solved.distance[start] for solved, start in starts]
    sizes = [len(turn) for turn in played.asked]
    assert sizes == [sum(length > turn for length in lengths) for turn in range(max(lengths))]
    assert played.trainer.metrics["rollout_optimal"] == [(1.0, 1)]


@pytest.mark.parametrize("told", [False, True])
def test_the_teacher_reads_the_state_of_each_turn_and_scores_the_tokens_of_all_turns(
    config: OPCDConfig, told: bool
) -> None:
    config = replace(config, teacher_plan=told, tasks=("minibehaviour:5",))
    played = prepare(replace(config, turn_policy=replace(STEP, max_turns=20)))
    tokenizer, teacher = played.trainer.processor.tokenizer, played.trainer.teacher
    assert isinstance(teacher, Reading)
    texts = [tokenizer.decode(row) for row in teacher.read]
    assert any("carries the printer" in text for text in texts)
    answers = [planning_target(each.layout, each.state) for each in played.requests]
    lengths = [len(ids) for ids in tokenizer(answers).input_ids]
    shortest_first = sorted(range(len(lengths)), key=lengths.__getitem__)
    for row, text in zip(shortest_first, texts, strict=True):
        layout, state = played.requests[row].layout, played.requests[row].state or 0
        assert get_task(layout.task).state_text(layout_in(layout, state)) in text
        best = ", ".join(map(action_name, optimal_actions(layout, state)))
        assert (f"reference {best}\n" in text) is told
    assert sum(int(batch["mask"].sum()) for batch in played.batches) == sum(lengths)
    assert sum(len(batch["taught"]) for batch in played.batches) == sum(lengths)


class SilentLater(Perfect):
    """Has an answer to the first turn alone."""

    def _sample(self, requests: Sequence[Request], *rest: Any) -> SampledCompletions:
        found = super()._sample(requests, *rest)
        return SampledCompletions([ids if len(self.asked) == 1 else [] for ids in found.ids], None)


def test_each_turn_counts_as_an_answer_that_could_be_read_or_not(config: OPCDConfig) -> None:
    config = replace(config, stop_after_unreadable=1, tasks=("minibehaviour:5",))
    noted = prepare(config, SilentLater).trainer.metrics
    assert noted["rollout_answered"] == [(1 / STEP.max_turns, 1)]
    assert noted["status/missing"] == [(1 - 1 / STEP.max_turns, 1)]


def test_a_board_whose_turns_differ_in_progress_teaches_though_its_plays_earn_the_same() -> None:
    rewards, boards = torch.zeros(6), [0, 0, 1, 1, 2, 2, 1]
    progress = above_mean([1, -1, 2, 2, 0, 1, 2], boards)
    assert share_without_advantage(rewards, 2) == 1
    assert share_without_advantage(rewards, 2, progress, boards) == pytest.approx(1 / 3)


def test_a_student_never_reads_what_its_teacher_is_told(config: OPCDConfig) -> None:
    asked = prepare(replace(config, teacher_plan=True)).requests
    assert all("reference" not in request.prompt.text for request in asked)


def test_training_shows_the_prompts_that_evaluation_shows(config: OPCDConfig) -> None:
    policy = TurnPolicy(act="step", history=1, feedback=True)
    played = prepare(replace(config, turn_policy=policy))
    seen: list[Prompt] = []

    class Planner:
        name, view = "planner", played.trainer.view

        def reply(self, requests: list[Request]) -> list[str]:
            seen.extend(request.prompt for request in requests)
            return [planning_target(each.layout, each.state) for each in requests]

    list(play(Planner(), [Case(board.layout) for board in played.boards], turn_policy=policy))
    trained = [request.prompt for request in played.requests]
    assert [each.messages for each in trained] == [each.messages for each in seen]
    for one, other in zip(trained, seen, strict=True):
        assert all(map(np.array_equal, one.images, other.images))


def test_prompts_that_are_joined_are_what_encoding_them_together_gives(tiny_folder: Path) -> None:
    _, processor, view = load_checkpoint(tiny_folder)
    prompts = [
        prompt_of(Case(layout), view)
        for level in (3, 5)
        for layout in draw_distinct(LayoutSpec("frozenlake", level), 2, seed=0)
    ]
    parts = [encode_prompts(processor, prompts[:1]), encode_prompts(processor, prompts[1:])]
    expected = encode_prompts(processor, prompts)
    found = join_rows(parts, processor.tokenizer.pad_token_id)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    again = select_rows(found, [0])
    assert all(torch.equal(again[name], parts[0][name]) for name in again)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def curve(folder: Path, name: str) -> list[float]:
    entries = json.loads((folder / "run.json").read_text())["history"]
    return [entry[name] for entry in entries if name in entry]


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"turn_policy": replace(STEP, history=2, feedback=True)},
        {
            "distill_weight": 0.0, "teacher": "", "reward_weight": 1.0, "rollouts": 2,
            "progress_reward": 0.5, "turn_policy": replace(STEP, illegal="skip"),
        },
    ],
    ids=["teacher", "reward"],
)  # fmt: skip
def test_a_stopped_run_resumes_to_the_bit(
    config: OPCDConfig, settings: dict[str, Any], tmp_path: Path
) -> None:
    config = replace(config, **settings)
    done = train_opcd(config)
    assert all(1 < turns <= 4 for turns in curve(done, "rollout_turns"))
    checkpoint = "checkpoints/checkpoint-1"
    shutil.copytree(done / checkpoint, tmp_path / "again" / checkpoint)
    again = train_opcd(replace(config, out=tmp_path / "again"))
    one, two = weights(done), weights(again)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert curve(again, "grad_norm") == curve(done, "grad_norm")
    assert max(curve(done, "grad_norm")) > 0


@pytest.mark.slow
def test_a_budget_of_tokens_changes_no_gradient_of_turns(
    config: OPCDConfig, tmp_path: Path
) -> None:
    config = replace(config, steps=1, seed_per_board=True)
    plain = train_opcd(config)
    grouped = train_opcd(replace(config, micro_batch_tokens=150, out=tmp_path / "grouped"))
    for name in ("loss", "grad_norm", "rollout_turns"):
        assert curve(grouped, name) == pytest.approx(curve(plain, name), rel=1e-5)


def test_a_turn_is_worth_how_much_nearer_it_brings_the_agent() -> None:
    def turns(*states: int, game: int) -> list[Request]:
        return [Request(Prompt([]), LAKE, state=state, game=game) for state in states]

    def ended(outcome: str, *states: int) -> Episode:
        [episode] = play(Saying(), [Case(LAKE)])
        return replace(episode, outcome=outcome, states=list(states))

    # Four actions from the goal; 0 → 3 → 6 → 7 → 8 is a shortest way, 4 the hole.
    episodes = [ended("success", 0, 3, 6, 7, 8), ended("failure", 0, 1, 4), ended("running", 0, 0)]
    requests = [
        *turns(0, game=0), *turns(0, game=1), *turns(0, game=2),
        *turns(3, game=0), *turns(1, game=1), *turns(6, game=0), *turns(7, game=0),
    ]  # fmt: skip
    assert turn_progress(requests, episodes) == [1, 1, 0, 1, -4, 1, 1]
    torch.testing.assert_close(
        above_mean([3, 1, 5, 1], [0, 0, 2, 0]), torch.tensor([4, -2, 0, -2]) / 3
    )


class Saying:
    """An agent that has no answer."""

    name, view = "saying", SMALL

    def reply(self, requests: list[Request]) -> list[str]:
        return [""] * len(requests)


@pytest.mark.parametrize(
    "policy",
    [
        {},
        {"history": 2, "malformed": "retry", "ask_again": 9},
        {"history": 9, "illegal": "retry", "ask_again": 9, "max_turns": 4},
        {"feedback": True, "history": 1},
        {"act": "chunk:3", "feedback": True, "illegal": "retry", "ask_again": 9},
        {"act": "plan", "malformed": "retry", "max_turns": 3},
        {"malformed": "retry", "max_turns": 1},
    ],
)
def test_a_prompt_of_many_turns_is_never_longer_than_was_checked_before_the_run(
    config: OPCDConfig, policy: dict[str, Any]
) -> None:
    turns = TurnPolicy(**{"act": "step", "history": 0, "max_turns": 8, **policy})
    config = replace(config, max_new_tokens=1, turn_policy=turns)
    _, processor, view = load_checkpoint(config.model)
    longest = []

    class Wrong(Saying):
        """Walks into what it cannot, or says nothing that can be read."""

        def reply(self, requests: list[Request]) -> list[str]:
            encoded = encode_prompts(processor, [request.prompt for request in requests])
            longest.append(int(encoded["attention_mask"].sum(1).max()))
            return ["?" if turns.malformed == "retry" else refused(each) for each in requests]

    def refused(request: Request) -> str:
        outcomes = solve_layout(request.layout).outcome[request.state or 0]
        none = [each for each, outcome in enumerate(outcomes) if outcome == Outcome.ILLEGAL] or [0]
        actions = get_task(request.layout.task).actions
        return f"<answer>{','.join([action_name(actions[none[-1]])] * 3)}</answer>"

    agent = Wrong()
    agent.view = view
    layouts = draw_distinct(LayoutSpec("frozenlake", 3), 40, seed=0)
    list(play(agent, [Case(layout) for layout in layouts], turn_policy=turns))
    checked = longest_prompt(replace(config, tasks=("frozenlake:3",)))
    assert max(longest) <= checked <= 1.25 * max(longest)


@pytest.mark.parametrize("task", ["frozenlake", "maze", "minibehaviour"])
def test_walks_follow_shortest_plans_and_leave_them_by_detours_alone(task: str) -> None:
    spec = LayoutSpec(task, get_task(task).paper_levels[0], min_plan=2)
    off, lengths = [0, 0], set()
    for detours in (0, 1):
        for number, layout in enumerate(draw_distinct(spec, 30, seed=0)):
            solved, (turns, end) = solve_layout(layout), walk(layout, 1, 20, detours, [number])
            lengths.add(len(turns))
            reached = [*(state for state, _ in turns), end]
            assert reached[0] == solved.start and all(solved.distance[each] > 0 for each in reached)
            for (state, [action]), after in zip(turns, reached[1:], strict=True):
                assert solved.outcome[state][action] == Outcome.RUNNING
                assert solved.next_state[state][action] == after
                off[detours] += action not in optimal_actions(layout, state)
            assert walk(layout, 1, 20, detours, [number]) == (turns, end)
    assert off[0] == 0 < off[1] and {0, 1, 2} <= lengths


def test_a_taught_turn_shows_its_state_and_the_turns_before_it() -> None:
    kinds = select_task_levels(["frozenlake:4"])
    boards = LiveBoards(kinds, SMALL, "train", 0, 8, 8).__getitems__(range(8))
    policy = TurnPolicy(act="step", history=1, feedback=True)

    def target(layout: Any, state: int, plan: Any) -> str:
        return planning_target(layout, state, plan)

    taught = [
        (board, TaughtTurns(SMALL, policy, "image", target, 0.5).turn(board)) for board in boards
    ]
    assert {len(turn.prompt.images) for _, turn in taught} == {1, 2}
    for board, (prompt, answer, given) in taught:
        seed = [board.stream_index, int(board.layout.layout_id, 16)]
        end = walk(board.layout, 1, 49, 0.5, seed).end
        assert np.array_equal(prompt.images[-1], render(board.layout, 128, state=end))
        assert answer == planning_target(board.layout, end) and not given
        assert ("moved" in prompt.text) is (len(prompt.images) == 2)


@pytest.mark.parametrize("task", ["frozenlake", "maze", "minibehaviour"])
def test_perception_in_turns_is_of_the_states_that_turns_reach(task: str) -> None:
    kinds = [TaskLevel(task, get_task(task).paper_levels[0])]
    stream = LiveBoards(kinds, SMALL, "train", 0, 16, 16, goals=("perceive",))
    turns = TaughtTurns(SMALL, replace(STEP, max_turns=20), "image", planning_target, 0.5)
    states, size = set(), SMALL.pixels(kinds[0].level)
    for board in stream.__getitems__(range(16)):
        reached, end = turns.reached(board), turns.walk_on(board).end
        assert np.array_equal(reached.image, render(board.layout, size, state=end))
        said = perception_target(reached.layout)
        assert said.startswith(describe(board.layout, end))
        states.add((end != board.layout.cells[0], "printer carried" in said))
    carrying = {(True, True)} if task == "minibehaviour" else set()
    assert states == {(False, False), (True, False)} | carrying


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"target": "perception", "detours": 0.5},
        {"target": "plan", "detours": 0.5, "eval_every": 2},
        {"target": "answer", "turn_policy": TurnPolicy(act="chunk:2", history=1, max_turns=3)},
        {"target": "plan", "input": "text", "plan_share": 0.5},
    ],
)
def test_sft_teaches_turns_and_measures_play_in_turns(
    tiny_folder: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    few: dict[str, Any] = {"batch_size": 4, "eval_every": 0, "eval_episodes": 1, "log_every": 1}
    few |= {"turn_policy": replace(STEP, max_turns=2), **settings}
    tiny = SFTConfig(tmp_path / "run", model=str(tiny_folder), tasks=("minibehaviour:5",), steps=2)
    done = train_sft(replace(tiny, learning_rate=3e-3, **few))
    assert len(curve(done, "success")) == few["eval_every"]
    assert curve(done, "loss")[1] < curve(done, "loss")[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"target": "perception", "turn_policy": replace(STEP, feedback=True)},
            "--target perception asks about the picture of a turn alone; leave out --history",
        ),
        ({"target": "search", "turn_policy": STEP}, "and --target search for a whole plan"),
        ({"target": "plan", "detours": 0.2}, "give --act step"),
        ({"target": "answer", "input": "text", "turn_policy": STEP}, "take --target plan"),
        ({"turn_policy": TurnPolicy(act="stepp")}, "unknown way to act 'stepp'"),
        ({"detours": 1.5}, "--detours must be from 0 to 1"),
        (
            {"target": "plan", "input": "text", "turn_policy": replace(STEP, history=2)},
            "leave out --history, --feedback and --push",
        ),
        ({"turn_policy": TurnPolicy(push=True)}, "--target perception is not played in turns"),
        (
            {"target": "plan", "input": "text", "turn_policy": TurnPolicy(illegal="retry")},
            "--input text is not played in turns",
        ),
    ],
)
def test_turns_that_cannot_be_taught_are_refused(
    tiny_folder: Path, tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        train_sft(SFTConfig(tmp_path, model=str(tiny_folder), eval_every=0, **settings))


def test_a_run_of_a_version_without_turns_is_one_of_whole_plans(
    config: OPCDConfig, tmp_path: Path
) -> None:
    plan = replace(config, turn_policy=OPCDConfig(config.out).turn_policy)
    settings = json.loads(json.dumps(plan.settings(), default=str))
    older = {name: value for name, value in settings.items() if name not in vars(STEP)}
    older.pop("progress_reward")
    write_json(config.out / "run.json", {"settings": {"stage": "x", **older}, "done": True})
    assert is_done(plan, "x")
    with pytest.raises(ValueError, match="--act 'plan', now 'step'"):
        is_done(config, "x")
    assert read_json(config.out / "run.json")["done"]
