"""The tasks by name: empty until `vsp_envs.tasks` is imported and fills it.

A layout looks up its task here without importing it. `vsp_envs.core.task.get_task` is the same
look-up with a type.
"""

from __future__ import annotations

from typing import Any

from vsp_envs.utils.choices import pick_name

TASKS: dict[str, Any] = {}
"""Name → its `Task`."""


def find_task(name: str) -> Any:
    """The `Task` of that name. Raises ValueError that lists the tasks."""
    return TASKS[pick_name("task", name, TASKS)]
