"""Plays one line of the table of `training.recipes.nano` on one set of boards."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from agents.agent import Agent, Reply, Request
from agents.backends.hf import HFAgent
from agents.rollout import Case
from agents.sampling import Sampling
from agents.scripted import SCRIPTED
from evaluation import perception, planning
from evaluation.options import CaseSet, public_cases, sample_cases
from evaluation.planning import PlanningConfig
from training.recipes.nano_plan import Plan, Step, check_time
from training.recipes.nano_settings import Line
from vsp_envs.core.task_level import TaskLevel
from vsp_envs.count import count

RULES = {"visualplanning": "visualplanning"}
"""Public set → its rule set; all others have `mgsd-eval`, where an illegal action fails."""


class DeadlineAgent(HFAgent):
    """A model that stops answering when the time is up; earlier replies are kept."""

    end = math.inf

    def reply(self, requests: Sequence[Request]) -> list[Reply]:
        """As of any agent. Raises TimeIsUp."""
        check_time(self.end)
        return super().reply(requests)


def play_line(plan: Plan, step: Step, line: Line) -> dict[str, Any]:
    """Play the line of a step on its set."""
    agent = agent_of(plan, line)
    given = CaseSet(step.source, cases(plan, step.source, line))
    out = plan.carry / "evaluation" / folder_name(step)
    shown: dict[str, Any] = {"given": given, "out": out, "progress": True}
    if line.goal == "perceive":
        return {"results": perception.evaluate(agent, **shown)}
    rules = RULES.get(step.source.partition(":")[0], "mgsd-eval")
    shown |= {"input": line.input, "rules": rules, "ask": line.goal}
    return {"results": planning.evaluate(agent, **shown)}


def agent_of(plan: Plan, line: Line) -> Agent:
    """The model of a line, or the scripted agent."""
    if not line.model:
        return SCRIPTED[line.name](plan.config.seed)
    agent = DeadlineAgent.load(
        str(plan.model(line.model)), "auto", sampling=Sampling(max_new_tokens=plan.recipe.longest),
        batch_size=plan.recipe.batch,
    )  # fmt: skip
    agent.end = plan.end
    return agent


def cases(plan: Plan, source: str, line: Line) -> list[Case]:
    """The boards of a set; VSP's with the pictures that the line sees."""
    kinds, recipe = plan.recipe.stages["base"].config.kinds(), plan.recipe
    if source != "test":
        own = line.pictures if source.startswith("vsp:") else "rendered"
        asked = PlanningConfig(out=plan.config.out, benchmark=(source,), pictures=own)
        found = public_cases(asked, kinds, line.goal)  # all that the set has
        known = [case for case in found if TaskLevel(case.layout.task, case.layout.level) in kinds]
        return known[: recipe.public]
    cases: list[Case] = []
    for kind in kinds:
        few = recipe.episodes
        if kind.level <= 5:  # some of these have fewer test boards
            few = min(few, count(kind).splits["test"])
        cases += sample_cases([kind], "test", few, line.input, line.goal, plan.config.seed)
    return cases


def folder_name(step: Step) -> str:
    """The name of the evaluation folder of a step."""
    return step.name.replace(" ", "-")
