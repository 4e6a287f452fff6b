"""Visual spatial planning: FrozenLake, Maze and MiniBehaviour as Gymnasium environments."""

import gymnasium as _gym

import vsp_envs.tasks  # noqa: F401 - fills TASKS
from vsp_envs.core.generator import LayoutSpec, draw_distinct, draw_layouts
from vsp_envs.core.layout import (
    Action,
    Cell,
    Layout,
    LayoutError,
    NoLayoutError,
    Outcome,
    canonical_id,
    layout_id,
)
from vsp_envs.core.layout_io import load_layout
from vsp_envs.core.registry import TASKS
from vsp_envs.core.simulator import Trace, simulate
from vsp_envs.core.solver import shortest_plan
from vsp_envs.core.splits import split_of
from vsp_envs.core.task import Question, Task, get_task
from vsp_envs.envs.planning_env import PlanningEnv
from vsp_envs.envs.vector_env import PlanningVectorEnv
from vsp_envs.prompts.closed_loop import ClosedLoop
from vsp_envs.prompts.prompt import Prompt, View
from vsp_envs.prompts.question import question
from vsp_envs.rendering.renderer import render
from vsp_envs.scoring.answer_format import Parsed, ParseStatus, format_answer
from vsp_envs.scoring.answer_readers import parse_plan
from vsp_envs.scoring.describe import describe
from vsp_envs.scoring.score import Score, score_reply

__version__ = "0.1.0"
__all__ = [
    "TASKS", "Action", "Cell", "ClosedLoop", "Layout", "LayoutError", "LayoutSpec", "NoLayoutError",
    "Outcome", "ParseStatus", "Parsed", "PlanningEnv", "PlanningVectorEnv", "Prompt", "Question",
    "Score", "Task", "Trace", "View", "canonical_id", "describe", "draw_distinct", "draw_layouts",
    "format_answer", "get_task", "layout_id", "load_layout", "parse_plan", "question", "render",
    "score_reply", "shortest_plan", "simulate", "split_of",
]  # fmt: skip

for _task in TASKS.values():
    if _task.id not in _gym.registry:
        _gym.register(
            id=_task.id,
            entry_point="vsp_envs.envs.planning_env:PlanningEnv",
            vector_entry_point="vsp_envs.envs.vector_env:PlanningVectorEnv",
            kwargs={"task": _task.name},
            # The longest shortest plan on the paper's boards is far shorter (36 cells at most).
            max_episode_steps=100,
        )
