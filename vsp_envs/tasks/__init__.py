"""The tasks: the folders here, and those of installed packages that announce one.

A new task is a new folder here, and nothing else changes. Another package announces its task, a
`Task` object, as an entry point of the group `vsp_envs.tasks`. Importing this module fills the
registry.
"""

from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules

from vsp_envs.core.registry import TASKS
from vsp_envs.core.task import Task


def _register(task: Task, source: str) -> None:
    if TASKS.setdefault(task.name, task) is not task:
        raise ValueError(f"{source} brings a task {task.name!r}, and there is one already")


for _folder in sorted(iter_modules(__path__), key=lambda found: found.name):
    if _folder.ispkg:
        _register(import_module(f"{__name__}.{_folder.name}").TASK, _folder.name)
for _found in sorted(entry_points(group="vsp_envs.tasks"), key=lambda found: found.name):
    _register(_found.load(), f"the entry point {_found.value}")
