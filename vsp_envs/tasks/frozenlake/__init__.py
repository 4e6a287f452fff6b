"""FrozenLake: cross the ice to the goal."""

from vsp_envs.core.layout import MOVES
from vsp_envs.core.task import Obstacles, Task, Waypoint
from vsp_envs.tasks.frozenlake import generate, perceive, render, rules, sprites, words

TASK = Task(
    name="frozenlake",
    title="FrozenLake",
    actions=MOVES,
    paper_levels=(3, 4, 5, 6, 7, 8),
    min_level=2,
    landmarks=("start", "goal"),
    phases=1,
    load=rules.load,
    dump=rules.dump,
    pattern=rules.pattern,
    transitions=rules.transitions,
    reasons=("off_grid",),
    symbolic=rules.symbolic,
    symbolic_space=rules.symbolic_space,
    waypoints=(Waypoint("goal"),),
    sample_numbers=generate.sample_numbers,
    build=generate.build,
    size=generate.size,
    every=generate.every,
    appearance=render.appearance,
    agent_codes=(sprites.AGENT,),
    themes=render.THEMES,
    folder_themes={"tiles": sprites.tiles},
    missing_themes=sprites.MISSING_THEMES,
    minigrid={rules.HOLE: "lava", rules.GOAL: "goal"},
    rules_text=words.RULES,
    legend=words.LEGEND,
    state_text=words.state_text,
    notation=words.NOTATION,
    questions=perceive.questions,
    notes=words.CARD,
    failure_reason="hole",
    obstacles=Obstacles("holes", rules.holes),
    build_arguments=("frozen_prob",),
    in_state=rules.in_state,
)
