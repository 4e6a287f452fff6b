"""The texts under the fields of a dataclass, which are its documentation and its `--help`."""

from __future__ import annotations

import ast
import inspect
from itertools import pairwise
from textwrap import dedent


def field_docs(cls: type) -> dict[str, str]:
    """Field → the text under it, also of the fields that it inherits."""
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__[:-1]):
        [defined] = ast.parse(dedent(inspect.getsource(base))).body
        assert isinstance(defined, ast.ClassDef)
        for line, text in pairwise(defined.body):
            if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                said = text.value if isinstance(text, ast.Expr) else None
                if isinstance(said, ast.Constant) and isinstance(said.value, str):
                    docs[line.target.id] = " ".join(said.value.split())
    return docs
