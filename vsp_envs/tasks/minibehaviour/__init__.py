"""MiniBehaviour: carry a printer to a table."""

from vsp_envs.core.layout import Action
from vsp_envs.core.task import Task, Waypoint
from vsp_envs.tasks.minibehaviour import generate, perceive, render, rules, words

TASK = Task(
    name="minibehaviour",
    title="MiniBehaviour",
    actions=tuple(Action),
    paper_levels=(5, 6),
    min_level=3,
    landmarks=("start", "printer", "table"),
    phases=3,
    load=rules.load,
    dump=rules.dump,
    pattern=rules.pattern,
    transitions=rules.transitions,
    reasons=rules.REASONS,
    symbolic=rules.symbolic,
    symbolic_space=rules.symbolic_space,
    waypoints=(Waypoint("printer", Action.PICK), Waypoint("table", Action.DROP)),
    sample_numbers=generate.sample_numbers,
    build=generate.build,
    size=generate.size,
    every=generate.every,
    appearance=render.appearance,
    agent_codes=(render.AGENT, render.AGENT + render.CARRYING),
    themes=render.THEMES,
    minigrid={rules.TABLE: "box", rules.PRINTER: "ball"},
    rules_text=words.RULES,
    legend=words.LEGEND,
    state_text=words.state_text,
    notation=words.NOTATION,
    questions=perceive.questions,
    notes=words.CARD,
    difficulty=generate.difficulty,
    in_hand="printer",
    in_state=rules.in_state,
)
