"""The tasks that there are, by name: empty until `vsp_envs.tasks` fills it, on import.

So a board can ask for its task without importing it. `vsp_envs.core.task.get_task` is the same
look-up with the type known.
"""

from __future__ import annotations

from typing import Any

from vsp_envs.utils.choices import pick_name

TASKS: dict[str, Any] = {}
"""Name → its `Task`."""


def find_task(name: str) -> Any:
    """The `Task` of that name. Raises ValueError that lists the tasks."""
    return TASKS[pick_name("task", name, TASKS)]
