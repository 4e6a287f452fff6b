"""A small Qwen3-VL from scratch for all tasks: `python -m training.recipes.nano`.

Base on text → perception SFT → OPCD; beside it OPCD + reward and direct-plan SFT. Each plays
held-out boards and public sets. `--minutes 9` stops at a checkpoint in time, with exit status 3.
The same command goes on, and status 0 says that all is done. A run goes on from `OUT/carry` alone,
which may be copied to another machine; `OUT/kept` grows and only `nano_report` reads it.
"""

from __future__ import annotations

if __name__ == "__main__":  # before torch is imported, so that --help is there at once
    from training.recipes.nano_settings import NanoConfig
    from vsp_envs.utils.cli import main

    main("training.recipes.nano:run", NanoConfig)
    raise SystemExit

import time

from accelerate import PartialState

from training.loop.arguments import is_first
from training.recipes.nano_plan import Plan, check_time
from training.recipes.nano_playing import play_line
from training.recipes.nano_pruning import prune
from training.recipes.nano_report import write_page
from training.recipes.nano_settings import NanoConfig
from training.recipes.nano_training import train_stage
from vsp_envs.utils.words import counted


def run(config: NanoConfig) -> None:
    """Do all steps of the plan that are not done. Raises TimeIsUp.

    Several processes train together, and the first of them keeps the plan.
    """
    plan = Plan(config)
    try:
        for step in plan.todo():
            check_time(plan.end)
            began = time.perf_counter()
            if is_first():
                print(f"— {step.name}", flush=True)
            line = step.line
            results = play_line(plan, step, line) if line else train_stage(plan, step.name)
            if is_first():
                plan.finish(step, {"seconds": time.perf_counter() - began, **results})
                prune(plan)
            PartialState().wait_for_everyone()
    finally:
        if is_first():
            prune(plan)
            write_page(config.out / "nano.md", plan.state)
    if not is_first():
        return
    if left := plan.left():
        print(f"{counted(len(left), 'step')} left to other processes: {config.out / 'nano.md'}")
        return
    print(f"all {len(plan.done)} steps are done: {config.out / 'nano.md'}")
    print(f"next: python -m training.recipes.nano_report --run {config.out} --out models/vsp-nano")
