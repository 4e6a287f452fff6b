"""The notebook runs from top to bottom."""

from __future__ import annotations

from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[2] / "examples" / "start.ipynb"


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient", reason="make test-clients installs nbclient")
    pytest.importorskip("peft", reason="the notebook trains")
    import nbformat

    monkeypatch.setenv("OUT", str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    metadata = {"metadata": {"path": str(NOTEBOOK.parent)}}
    nbclient.NotebookClient(notebook, timeout=600, resources=metadata).execute()
    assert (tmp_path / "tiny-plans" / "report.html").is_file()
    assert any("image/png" in output.get("data", {}) for output in notebook.cells[1].outputs)
