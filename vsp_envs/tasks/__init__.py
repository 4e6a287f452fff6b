"""The tasks: the folders here, and those of installed packages that announce one.

A new task here is a new folder, and nothing else changes. A package announces its task, an object
`Task`, as an entry point of the group `vsp_envs.tasks`.
"""

from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules

from vsp_envs.task import Task

TASKS: dict[str, Task] = {
    found.name: import_module(f"{__name__}.{found.name}").TASK
    for found in sorted(iter_modules(__path__), key=lambda found: found.name)
    if found.ispkg
}


def _add(task: Task, source: str) -> None:
    if TASKS.setdefault(task.name, task) is not task:
        raise ValueError(f"{source} brings a task {task.name!r}, and there is one already")


for _found in sorted(entry_points(group="vsp_envs.tasks"), key=lambda found: found.name):
    _add(_found.load(), f"the entry point {_found.value}")
