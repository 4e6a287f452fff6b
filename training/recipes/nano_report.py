"""The page of a run of `training.recipes.nano`, and the export of a model with its card.

`python -m training.recipes.nano_report --run runs/nano --out models/vsp-nano` writes the model as
sharded safetensors in bf16. The card is written from the results of the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.vlm.checkpoint import Loaded, load_checkpoint
from evaluation.report.tables import Row, Table, markdown
from training.merge import CARD_HEAD, check_empty, write_model
from training.recipes.nano_settings import RECIPES
from training.sft_config import BaseConfig
from vsp_envs.utils.choices import pick_name
from vsp_envs.utils.cli import main
from vsp_envs.utils.files import read_json, write_text

SHARD = "8MB"
"""Largest file of weights."""


@dataclass(frozen=True)
class ExportConfig:
    """Write a model of the run and its card."""

    run: Path
    """The folder of the run, `--out` of `training.recipes.nano`."""
    out: Path
    """Folder for the model; it must not exist, or be empty."""
    stage: str = "opcd"
    """The stage whose model it is."""


def write_page(file: Path, state: Mapping[str, Any]) -> None:
    """Write what is done so far: rates by set, seconds and last metrics of each step."""
    asked, done = state["asked"], state["done"]
    parts = [f"Size {asked['size']}, recipe {asked['recipe']}, seed {asked['seed']}.\n"]
    for source in sources_of(done):
        parts.append(f"{source}\n\n{markdown(rates(done, source))}")
        parts += map(markdown, level_rates(done, source))
    parts.append("| step | seconds | at its end |\n|---|---:|---|")
    for name, found in done.items():
        parts[-1] += f"\n| {name} | {found['seconds']:.0f} | {last_metrics(found)} |"
    write_text(file, "\n".join(parts) + "\n")


def read_state(file: Path) -> dict[str, Any]:
    """The settings and results of a run from `nano.json`. Raises ValueError for another file."""
    state = read_json(file)
    if not all(isinstance(state.get(name), dict) for name in ("asked", "done")):
        raise ValueError(f"{file} does not say what was asked and done; remove it to start anew")
    return state


def sources_of(done: Mapping[str, Any]) -> list[str]:
    """The sets that lines have played, in order."""
    return list(dict.fromkeys(name.partition(" · ")[2] for name in done if " · " in name))


def played_on(done: Mapping[str, Any], source: str) -> dict[str, dict[str, Any]]:
    """Line → its results on a set."""
    return {
        name.partition(" · ")[0]: found["results"]
        for name, found in done.items()
        if name.partition(" · ")[2] == source
    }


def measure_of(results: Mapping[str, Any]) -> str:
    """What the rates of a line are called."""
    return "success" if results["goal"] == "plan" else "exact"


def rates(done: Mapping[str, Any], source: str) -> Table:
    """One row per line: the rate over all, the optimal rate, and the rate of each task."""
    played = played_on(done, source)
    tasks = list(dict.fromkeys(task for results in played.values() for task in results["tasks"]))
    rows = []
    for name, results in played.items():
        measure, macro = measure_of(results), results["macro"]
        found = [results["tasks"].get(task, {}).get(measure) for task in tasks]
        rows.append(Row(name, [macro[measure], macro.get("optimal"), *found]))
    return Table(("success, or exact", "optimal", *tasks), rows, "")


def level_rates(done: Mapping[str, Any], source: str) -> list[Table]:
    """For each task of several levels one row per line: the rate of each level."""
    played, levels = played_on(done, source), dict[str, list[str]]()
    for results in played.values():
        for task, found in results["tasks"].items():
            known = levels.setdefault(task, [])
            known += [level for level in found["levels"] if level not in known]
    tables = []
    for task, of_task in levels.items():
        if len(of_task) < 2:
            continue
        rows = [
            Row(name, [found.get(level, {}).get(measure_of(results)) for level in of_task])
            for name, results in played.items()
            if (found := results["tasks"].get(task, {}).get("levels", {}))
        ]
        tables.append(Table([f"{task} {level}" for level in of_task], rows, ""))
    return tables


def last_metrics(found: Mapping[str, Any]) -> str:
    """The last loss and validation rates that a stage logged."""
    history = found.get("history", ())
    last = {
        name: entry[name]
        for entry in history
        for name in ("loss", "reverse_kl", "perception", "success")
        if name in entry
    }
    return ", ".join(f"{name} {value:.3f}" for name, value in last.items())


def export(config: ExportConfig) -> Path:
    """Write the model and its card; returns its folder. Raises ValueError if it cannot be."""
    models = config.run / "kept" / "models"
    if not models.is_dir():
        raise ValueError(f"no models at {models}; run training.recipes.nano first, or check --run")
    pick_name("stage", config.stage, sorted(each.name for each in models.glob("*")))
    check_empty(config.out)
    loaded = load_checkpoint(models / config.stage, "bfloat16")
    return write_model(loaded, config.out, card(config, loaded), max_shard_size=SHARD)


def card(config: ExportConfig, loaded: Loaded) -> str:
    """The model card."""
    state = read_state(config.run / "carry" / "nano.json")
    millions = sum(each.numel() for each in loaded.model.parameters()) / 1e6
    cell, size = loaded.view.cell_pixels, loaded.view.image_size
    picture = f"{cell} × {cell} px for each cell" if cell else f"{size} × {size} px"
    by_text = isinstance(RECIPES[state["asked"]["recipe"]].stages[config.stage].config, BaseConfig)
    done = state["done"]
    tables = "\n".join(f"### {each}\n\n{markdown(rates(done, each))}" for each in sources_of(done))
    trial = REHEARSED if state["asked"]["recipe"] == "rehearsal" else ""
    return CARD_HEAD + CARD.format(
        millions=millions,
        lineage=" → ".join(lineage(state["asked"]["recipe"], config.stage)),
        name=config.out.name,
        boards="boards as text" if by_text else "pictures",
        sees=READS if by_text else SEES.format(picture=picture),
        how=" --input text" if by_text else "",
        tables=tables,
        trial=trial,
        **state["asked"],
    )


def lineage(recipe: str, stage: str) -> list[str]:
    """The stages that lead to one, from the first, and itself."""
    before = RECIPES[recipe].stages[stage].model
    return [*(lineage(recipe, before) if before else ()), stage]


REHEARSED = "\n**This model is of a rehearsal: it was hardly trained and cannot plan.**\n"
SEES = "a picture of {picture} and three words;\nother sizes are resized"
READS = (
    "the board and two words, and has never learned from\n"
    "a picture. It is the teacher of OPCD: `training.opcd --teacher`"
)
CARD = """# {name}
{trial}
A Qwen3-VL of {millions:.1f} M parameters that plans on {boards} of FrozenLake, Maze and
MiniBehaviour. It was trained from scratch, on live environments alone, in these stages of
`training/recipes/nano_settings.py`: {lineage} (size {size}, recipe {recipe}, seed {seed}). These
are the last one's weights in bf16. It is given {sees}.
The folder says so itself, and the project's commands ask it that way.

```
python -m training.recipes.nano --recipe {recipe} --out runs/nano   # trains it, and plays all rows
python -m evaluation.planning --agent hf --model models/{name}{how} --out runs/{name}
```

## Results

Per cent with 95 % intervals, greedy. Our boards are held out by content hash; no board of the
public sets named here, nor a rotation or reflection of one, was in training.

{tables}
## What it is not

It knows three tasks at the levels of the paper, its own short prompts and the drawings that it was
trained on; anything else is outside of what it was trained for.
"""

if __name__ == "__main__":
    main(export, ExportConfig)
