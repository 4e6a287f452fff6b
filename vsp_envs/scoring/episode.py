"""Episodes: one board, one reply, one score, a line of JSON. The same for people and models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from vsp_envs.core.layout import Layout, Outcome
from vsp_envs.core.layout_io import load_layout
from vsp_envs.core.task import get_task
from vsp_envs.scoring.answer_format import Parsed, ParseStatus
from vsp_envs.scoring.answer_readers import parse_plan
from vsp_envs.scoring.score import Score, score_parsed
from vsp_envs.utils.choices import pick_name
from vsp_envs.utils.files import append_json_line, numbered_json_lines
from vsp_envs.utils.words import counted

_KINDS: dict[str, tuple[type, ...]] = {
    **{"str": (str,), "int": (int,), "bool": (bool,), "float": (int, float)},
    **{"list": (list,), "dict": (dict,)},
}


@dataclass(frozen=True)
class Episode:
    """One board, one reply, one score: a line of `replies.jsonl`."""

    task: str
    level: int
    layout_id: str
    layout: dict[str, Any]
    input: str
    image: dict[str, Any]
    """How the picture was made: theme and pixels; `vsp_envs.rendering.renderer` draws it again."""
    prompt: str
    reply: str
    tokens: int
    error: str
    status: str
    """How the answer was read: ok, missing, empty or malformed."""
    plan: list[str] = field(default_factory=list)
    success: bool = False
    optimal: bool = False
    outcome: str = "running"
    reason: str = ""
    steps: int = 0
    illegal: int = 0
    optimal_length: int = 0
    states: list[int] = field(default_factory=list)
    """States visited, the start first: indices into the transition tables."""
    agent: str = ""
    """`human` for a person; empty where the run's `config.json` names the model."""
    aids: list[str] = field(default_factory=list)
    """What helped a person: `hint`, `undo` or `symbolic` (the state beside the image)."""
    seconds: float = 0.0
    """How long a person took; 0 for models."""
    case: str = ""
    """The file of a public test set that the board is from; empty for a sampled board."""
    prompt_tokens: int = 0
    cost: float = 0.0
    """Dollars, at the prices given for the endpoint."""
    turns: list[dict[str, Any]] = field(default_factory=list)
    """The replies of several turns: `reply`, its `status`, how many actions were `played`."""
    refused: int = 0
    """Illegal actions that were left out under a policy of retrying or skipping."""
    pushed: int = 0
    """Which action of `plan`, from 1, was a push of the board's and not the agent's; 0: none."""
    sample: int = 0
    """Which of several answers to the board this is, from 0."""
    finish_reason: str = ""
    """Why the model stopped (`stop`, `length`, `content_filter` …), of the last reply as the next
    four; empty where the endpoint does not say, or for models in this process."""
    refusal: str = ""
    """What the model said in place of an answer that it refused to give."""
    reasoning: str = ""
    """What it thought, where that is told apart from what it said."""
    request_id: str = ""
    """What the endpoint calls the request, to be asked about it."""
    latency: float = 0.0
    """Seconds from request to answer."""

    def record(self) -> dict[str, Any]:
        """The episode as JSON data; `Episode(**record)` gives it back."""
        return dict(vars(self))

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Episode:
        """The episode of a record; other keys are ignored. Raises ValueError for invalid fields."""
        known = {each.name: record[each.name] for each in fields(cls) if each.name in record}
        try:
            for each in fields(cls):
                if each.name in known:
                    _check(each.name, str(each.type), known[each.name])
            episode = cls(**known)
            episode._check_play()
        except (TypeError, ValueError) as error:
            raise ValueError(f"not an episode: {error}") from None
        except KeyError as error:
            raise ValueError(f"not an episode: a turn has no {error}") from None
        return episode

    def _check_play(self) -> None:
        layout, task = self.board(), get_task(self.task)
        states = task.phases * layout.level**2
        if self.level != layout.level or self.layout_id != layout.layout_id:
            raise ValueError(f"level or layout_id is not that of the layout, {layout.layout_id}")
        if not set(self.states) <= set(range(states)):
            raise ValueError(f"states are 0 to {states - 1}, got {self.states}")
        for name in self.plan:
            pick_name("action", name, [action.name for action in task.actions])
        for turn in self.turns:
            _check("reply of a turn", "str", turn["reply"])
            _check("played of a turn", "int", turn["played"])
        actions = max(0, len(self.states) - 1)
        if sum(turn["played"] for turn in self.turns) > actions:
            raise ValueError(f"its turns play more than the {counted(actions, 'action')} it has")
        pick_name("status", self.status, list(ParseStatus))
        pick_name("outcome", self.outcome, [outcome.name.lower() for outcome in Outcome])
        theme = str(self.image.get("theme", "classic"))
        pick_name("theme", theme.partition(":")[0], task.legend)

    def board(self) -> Layout:
        """The layout that was played."""
        return load_layout(self.task, self.layout, self.level)


def _check(name: str, kind: str, value: Any) -> None:
    """Raise ValueError for a value that is not of the field's type."""
    known = _KINDS[kind.partition("[")[0]]
    number = kind in ("int", "float")
    if type(value) not in known or (number and not 0 <= value < 1e12):
        raise ValueError(f"{name} must be of {kind}, got {str(value)[:50]}")


def score_episode(
    layout: Layout,
    reply: str,
    rules: str = "env",
    *,
    input: str,
    image: Mapping[str, Any],
    prompt: str,
    error: str = "",
    parsed: Parsed | None = None,
    reader: str = "strict",
    **others: Any,
) -> Episode:
    """Score a reply and keep all that is needed to show it again.

    A reply with an `error` never came: it has failed. `parsed` replaces the plan in `reply` when
    there were several turns. `others` are further fields of the episode.
    """
    parsed = parsed or parse_plan(reply, layout.task, reader=reader)
    score: Score = score_parsed(layout, parsed, rules)
    return Episode(
        task=layout.task,
        level=layout.level,
        layout_id=layout.layout_id,
        layout=layout.to_data(),
        input=input,
        image=dict(image),
        prompt=prompt,
        reply=reply,
        error=error,
        status=str(score.status),
        plan=[action.name for action in score.parsed.plan],
        success=score.success and not error,
        optimal=score.optimal and not error,
        outcome=score.outcome.name.lower(),
        reason=score.reason,
        steps=score.steps,
        illegal=score.illegal,
        optimal_length=score.optimal_length,
        states=score.trace.states,
        **({"tokens": 0} | others),
    )


def read_episodes(path: Path, repair: bool = False) -> list[Episode]:
    """The episodes of a `replies.jsonl`. Raises ValueError that names the line of a bad one."""
    episodes = []
    for number, record in numbered_json_lines(path, repair):
        try:
            episodes.append(Episode.of(record))
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from None
    return episodes


def read_records(path: Path, repair: bool = False) -> list[Mapping[str, Any]]:
    """Like `read_episodes`, as JSON data."""
    return [episode.record() for episode in read_episodes(path, repair)]


def append_episode(path: Path, episode: Episode) -> None:
    """Append a line to a file of episodes; it is on the disk when this returns."""
    append_json_line(path, episode.record(), sync=True)


def first_attempts(episodes: Iterable[Episode]) -> list[Episode]:
    """The episodes of a person that count: the first at each board, in the order of playing.

    A board that was played with a hint counts as not solved.
    """
    firsts: dict[tuple[str, str], Episode] = {}
    for episode in episodes:
        firsts.setdefault((episode.task, episode.layout_id), episode)
    return [
        replace(each, success=False, optimal=False, outcome="running", reason="hint")
        if "hint" in each.aids
        else each
        for each in firsts.values()
    ]
