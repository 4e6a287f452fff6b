"""KeyDoor: fetch the key, open the door in the wall, walk to the goal."""

from vsp_envs.core.layout import Action
from vsp_envs.core.task import Task

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
    draw=generate.draw,
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
    in_hand="key",
)
