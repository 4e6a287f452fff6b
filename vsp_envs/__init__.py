"""Visual spatial planning: FrozenLake, Maze and MiniBehaviour as Gymnasium environments."""

import gymnasium as _gym

from vsp_envs.describe import describe
from vsp_envs.env import PlanningEnv
from vsp_envs.generate import LayoutSpec, draw_distinct, draw_layouts
from vsp_envs.plan import Parsed, ParseStatus, format_answer, parse_plan
from vsp_envs.render import render
from vsp_envs.reward import Score, score_reply
from vsp_envs.simulate import Trace, simulate
from vsp_envs.solve import shortest_plan
from vsp_envs.splits import canonical_id, layout_id, split_of
from vsp_envs.task import (
    Action,
    Cell,
    Layout,
    LayoutError,
    NoLayoutError,
    Outcome,
    Question,
    Task,
    get_task,
    load_layout,
)
from vsp_envs.tasks import TASKS
from vsp_envs.vector import PlanningVectorEnv

__version__ = "0.1.0"
__all__ = [
    "TASKS", "Action", "Cell", "Layout", "LayoutError", "LayoutSpec", "NoLayoutError", "Outcome",
    "ParseStatus", "Parsed", "PlanningEnv", "PlanningVectorEnv", "Question", "Score", "Task",
    "Trace", "canonical_id", "describe", "draw_distinct", "draw_layouts",
    "format_answer", "get_task", "layout_id", "load_layout", "parse_plan", "render", "score_reply",
    "shortest_plan", "simulate", "split_of",
]  # fmt: skip

for _task in TASKS.values():
    if _task.id not in _gym.registry:
        _gym.register(
            id=_task.id,
            entry_point="vsp_envs.env:PlanningEnv",
            vector_entry_point="vsp_envs.vector:PlanningVectorEnv",
            kwargs={"task": _task.name},
            # The longest shortest plan on the paper's boards is far shorter (36 cells at most).
            max_episode_steps=100,
        )
