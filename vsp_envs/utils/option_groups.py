"""The options of a command in groups with a title each, for `--help`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, field, fields, make_dataclass
from typing import Annotated, Any, TypeVar, get_type_hints

import tyro

from vsp_envs.utils.field_docs import field_docs

Config = TypeVar("Config")
Groups = Mapping[str, Sequence[str]]
"""Title of a group → its fields."""


def read_grouped(
    config_class: type[Config], groups: Groups, default: Config | None = None, **options: Any
) -> Config:
    """What `tyro.cli` reads, with the options of `config_class` in these groups.

    Fields that no group names stand before the groups; names that are no fields are passed over.
    `options` go to `tyro.cli`.
    """
    hints = get_type_hints(config_class, include_extras=True)
    docs = field_docs(config_class)
    known = {each.name: each for each in fields(config_class)}  # type: ignore[arg-type]
    named = {name for names in groups.values() for name in names}

    def member(name: str) -> tuple[str, Any, Any]:
        value = _default(known[name]) if default is None else getattr(default, name)
        told = Annotated[hints[name], tyro.conf.arg(help=docs.get(name))]  # type: ignore[valid-type]
        return name, told, field(default_factory=lambda: value)

    members: list[tuple[str, Any, Any]] = [member(name) for name in known if name not in named]
    for title, names in groups.items():
        held = [member(name) for name in names if name in known]
        if held:
            group = make_dataclass(title, held, frozen=True)
            group.__doc__ = ""
            shown = tyro.conf.OmitArgPrefixes[group]  # type: ignore[valid-type]
            members.append((title, shown, field(default_factory=group)))
    parsed = make_dataclass(config_class.__name__, members, frozen=True)
    parsed.__doc__ = config_class.__doc__
    found = tyro.cli(parsed, **options)
    values = {
        name: getattr(getattr(found, title) if title in groups else found, name)
        for title, names in [*groups.items(), ("", [name for name in known if name not in named])]
        for name in names
        if name in known
    }
    return config_class(**values)


def _default(each: Field[Any]) -> Any:
    if each.default_factory is not MISSING:
        return each.default_factory()
    return tyro.MISSING if each.default is MISSING else each.default
