"""A recipe of `training.recipes.nano` that is done in a minute: one step a stage, two boards."""

from dataclasses import replace

from training.recipes.nano_settings import RECIPES, Recipe


def short_recipe(*names: str) -> Recipe:
    """The plan of `rehearsal`, cut short: these stages, or all."""
    few = {"tasks": ("frozenlake:3",), "steps": 1, "eval_every": 0, "batch_size": 2}
    rehearsal = RECIPES["rehearsal"]
    stages = {
        name: stage._replace(config=replace(stage.config, **few))
        for name, stage in rehearsal.stages.items()
        if name in names or not names
    }
    lines = tuple(line for line in rehearsal.lines if line.model in ("", *stages))
    return replace(rehearsal, stages=stages, lines=lines, episodes=2, batch=2)
