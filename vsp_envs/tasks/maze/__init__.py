"""Maze: walk through a perfect maze to the goal."""

from vsp_envs.core.layout import MOVES
from vsp_envs.core.task import Obstacles, Task, Waypoint
from vsp_envs.tasks.maze import generate, perceive, render, rules, words

TASK = Task(
    name="maze",
    title="Maze",
    actions=MOVES,
    paper_levels=(3, 4, 5, 6),
    min_level=2,
    landmarks=("start", "goal"),
    phases=1,
    load=rules.load,
    dump=rules.dump,
    pattern=rules.pattern,
    transitions=rules.transitions,
    reasons=("wall",),
    symbolic=rules.symbolic,
    symbolic_space=rules.symbolic_space,
    waypoints=(Waypoint("goal"),),
    sample_numbers=generate.sample_numbers,
    build=generate.build,
    size=generate.size,
    every=generate.every,
    appearance=render.appearance,
    agent_codes=(render.PLAYER,),
    themes=render.THEMES,
    minigrid={rules.WALL: "wall", rules.GOAL: "goal"},
    rules_text=words.RULES,
    legend=words.LEGEND,
    state_text=words.state_text,
    notation=words.NOTATION,
    questions=perceive.questions,
    notes=words.CARD,
    obstacles=Obstacles("dead ends", rules.dead_ends),
    difficulty=generate.difficulty,
)
