"""KeyDoor: fetch the key, open the door in the wall without alarm, walk to the goal."""

from vsp_envs.core.layout import Action
from vsp_envs.core.task import Task, Waypoint

from . import generate, perceive, render, rules, words

TASK = Task(
    name="keydoor",
    title="KeyDoor",
    actions=tuple(Action)[:5],
    paper_levels=(5, 6),
    min_level=3,
    landmarks=("start", "key", "door", "goal"),
    phases=3,
    load=rules.load,
    dump=rules.dump,
    pattern=rules.pattern,
    transitions=rules.transitions,
    reasons=rules.REASONS,
    symbolic=rules.symbolic,
    symbolic_space=rules.symbolic_space,
    waypoints=(Waypoint("key", Action.PICK), Waypoint("door"), Waypoint("goal")),
    sample_numbers=generate.sample_numbers,
    build=generate.build,
    size=generate.size,
    every=generate.every,
    appearance=render.appearance,
    agent_codes=(render.AGENT, render.AGENT + render.CARRYING, render.AGENT),
    themes=render.THEMES,
    minigrid={rules.WALL: "wall", rules.KEY: "key", rules.DOOR: "door", rules.GOAL: "goal"},
    rules_text=words.RULES,
    legend=words.LEGEND,
    state_text=words.state_text,
    notation=words.NOTATION,
    questions=perceive.questions,
    notes=words.CARD,
    failure_reason="alarm",
    in_hand="key",
    in_state=rules.in_state,
)
