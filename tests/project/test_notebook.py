"""The notebook runs from top to bottom, and says what the outputs kept in it say."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

NOTEBOOK = Path(__file__).parents[2] / "examples" / "start.ipynb"


def test_every_cell_of_the_notebook_shows_something() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert all(cell["outputs"] for cell in cells if cell["cell_type"] == "code")


def test_the_notebook_runs_and_its_outputs_are_those_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbclient = pytest.importorskip("nbclient", reason="make test-clients installs nbclient")
    pytest.importorskip("peft", reason="the notebook trains")
    import nbformat

    monkeypatch.setenv("OUT", str(tmp_path))
    kept, notebook = (nbformat.read(NOTEBOOK, as_version=4) for _ in range(2))
    metadata = {"metadata": {"path": str(NOTEBOOK.parent)}}
    nbclient.NotebookClient(
        notebook, timeout=600, resources=metadata, record_timing=False
    ).execute()
    assert (tmp_path / "tiny-plans" / "report.html").is_file()
    notebook.metadata = kept.metadata
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [each for each in cell.outputs if lasting(each, tmp_path)]
    nbformat.write(notebook, tmp_path / NOTEBOOK.name)
    assert outputs(notebook) == outputs(kept), f"to keep it: cp {tmp_path / NOTEBOOK.name} examples"


def lasting(output: Any, out: Path) -> bool:
    """Take out what changes from run to run. Returns whether anything is left."""
    if output.get("name") == "stdout":
        output.text = output.text.replace(str(out), "runs/notebook")
    elif "image/png" in output.get("data", {}):
        output.data = {"image/png": output.data["image/png"]}
    else:
        return False  # times, progress, warnings
    return True


def outputs(notebook: Any) -> list[Any]:
    """Texts, and pictures as pixels."""
    found = [each for cell in notebook.cells for each in cell.get("outputs", [])]
    return [each.get("text") or pixels(each["data"]["image/png"]) for each in found]


def pixels(png: str) -> bytes:
    return Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB").tobytes()
