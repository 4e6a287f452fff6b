"""Put the cards of the environments onto the site; they live beside the code."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "examples" / "start.ipynb"
CARDS = [
    *sorted((ROOT / "vsp_envs" / "tasks").glob("*/README.md")),
    ROOT / "examples" / "keydoor" / "keydoor" / "README.md",
]


def on_files(files: Files, config: Any) -> Files:
    """Add `cards/TASK/card.md` and its pictures; MkDocs would make a README.md an index page."""
    for card in CARDS:
        for file in [card, *card.parent.glob("*.gif"), *card.parent.glob("*.png")]:
            page = f"cards/{card.parent.name}/{'card.md' if file == card else file.name}"
            files.append(File.generated(config, page, abs_src_path=str(file)))
    page, pictures = notebook_page(NOTEBOOK)
    for name, content in {"start-notebook.md": page, **pictures}.items():
        files.append(File.generated(config, name, content=content))
    return files


def notebook_page(file: Path) -> tuple[str, dict[str, bytes]]:
    """The cells of a notebook and their outputs as a page, and its pictures by name."""
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    for cell in json.loads(file.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
        for output in cell.get("outputs", []):
            shown = f"```text\n{''.join(output.get('text', [])).rstrip()}\n```"
            if picture := output.get("data", {}).get("image/png"):
                name = f"start-notebook-{len(pictures)}.png"
                pictures[name] = base64.b64decode(picture)
                shown = f"![What the cell shows]({name})"
            parts.append(f'<div class="output" markdown>\n\n{shown}\n\n</div>')
    return "\n\n".join(parts), pictures


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links into the tree into links to the same page of the site."""
    up = "../" * page.file.src_uri.count("/")
    link = re.compile(r"\]\((?:\.\./)+(?:vsp_envs/tasks|examples/keydoor)/(\w+)/")
    markdown = markdown.replace("](../examples/start.ipynb)", f"]({up}start-notebook.md)")
    return link.sub(rf"]({up}cards/\1/", markdown).replace("/README.md", "/card.md")
