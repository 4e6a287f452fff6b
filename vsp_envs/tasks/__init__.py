"""The tasks, found by their folders: a new task is a new folder, and nothing else changes."""

from importlib import import_module
from pkgutil import iter_modules

from vsp_envs.task import Task

TASKS: dict[str, Task] = {
    found.name: import_module(f"{__name__}.{found.name}").TASK
    for found in sorted(iter_modules(__path__), key=lambda found: found.name)
    if found.ispkg
}
