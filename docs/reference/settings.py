"""All settings, with what they may be, their defaults, the presets' values and their meaning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from itertools import takewhile
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel

from reference.errors import UndescribedError
from reference.markdown import linked, table
from rods.comparison.arms import ArmSetup
from rods.config import Config
from rods.endpoint.config import EndpointConfig
from rods.micro.kind import MicroSettings
from rods.policies.model import ModelSettings
from rods.presets import OPTIONS, load_config, preset_names
from rods.simulate.settings import Settings as Simulation

Given = Mapping[str, Mapping[str, Sequence[str]]]
"""Setting -> value as shown -> names of the presets that have it instead of the default."""
KINDS: dict[str, type[BaseModel]] = {"micro": MicroSettings, "model": ModelSettings}
OF_PRESETS = (Config, *KINDS.values())
ALL: dict[str, tuple[str, type[BaseModel], str]] = {  # a note, the settings, where they stand
    "A run": (
        "Of `rods train`, `rods compare` and `rods simulate`: `--set rollout.group_size=8`. Set by"
        " options of their own are {options}.",
        Config,
        "",
    ),
    "The small policy": ("With `policy.name=micro`.", MicroSettings, "policy"),
    "A model of your own": ("With `policy.name=model`.", ModelSettings, "policy"),
    "The simulation": (
        "Constants of `rods simulate`, which are set in the same way: `--set world.level=-1`."
        " *micro* and *paper* name what a value was fitted to ([simulate.md](simulate.md));"
        " *chosen* ones have no source.",
        Simulation,
        "",
    ),
    "An endpoint": (
        "The file of `--endpoint FILE` and of `synthesis.endpoint`; see"
        " [endpoints.md](endpoints.md).",
        EndpointConfig,
        "",
    ),
    "An arm": (
        "Of the file of `rods compare --arms-file FILE`, under the arm's name; see"
        " [compare.md](compare.md#arms).",
        ArmSetup,
        "",
    ),
}
BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
NAMES = {"object": "mapping", "string": "text", "boolean": "`true`, `false`", "null": "`null`"}


class Section(NamedTuple):
    """Settings that stand in one table.

    Attributes:
        path: of the section in the configuration; "" at the top.
        rows: schema of each setting, by its name.
    """

    path: str
    meaning: str
    rows: dict[str, dict[str, Any]]


def sections(model: type[BaseModel], path: str = "") -> list[Section]:
    """The settings of a model and of all that it contains.

    Raises:
        UndescribedError: naming what has no description.
    """
    schema = model.model_json_schema()
    return [*_sections(schema, schema.get("$defs", {}), path)]


def _sections(schema: Mapping[str, Any], known: Mapping[str, Any], path: str) -> Iterator[Section]:
    title = schema["title"]
    if "description" not in schema:
        raise UndescribedError(f"{title} has no docstring")
    rows, inner = {}, []
    for name, field in schema["properties"].items():
        within = _within(field, known)
        if within is not None:
            inner.append((f"{name}[]" if field.get("type") == "array" else name, within))
        if "$ref" in field:
            continue
        if "description" not in field:
            raise UndescribedError(f"{title}.{name} has no description")
        rows[name] = field
    yield Section(path, schema["description"].split("\n\n")[0].replace("\n", " "), rows)
    for name, within in inner:
        yield from _sections(within, known, f"{path}.{name}" if path else name)


def _within(field: Mapping[str, Any], known: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The section that a setting holds, alone, in a list or if it is not null."""
    for each in (field, field.get("items", {}), *field.get("anyOf", ())):
        found: Mapping[str, Any] = known.get(each.get("$ref", "").rpartition("/")[2], {})
        if "properties" in found:
            return found
    return None


def values(field: Mapping[str, Any]) -> str:
    """What a setting may be."""
    if "anyOf" in field:
        return " or ".join(values(each) for each in field["anyOf"])
    if "enum" in field or "const" in field:
        return ", ".join(f"`{each}`" for each in field.get("enum", [field.get("const")]))
    if "$ref" in field:
        return "a section"
    kind = field.get("type", "any")
    if kind == "array":
        inner = values(field.get("items", {}))
        return "list" if inner == "any" else f"list: {inner}"
    bounds = [f"{sign} {field[name]}" for name, sign in BOUNDS.items() if name in field]
    return " ".join([NAMES.get(kind, kind), ", ".join(bounds)]).strip()


def shown(value: Any) -> str:
    """A value as it is written after `--set name=`."""
    dumped = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000)
    plain = dumped.strip().removesuffix("...").strip()  # YAML ends a lone value with it
    return f"`{plain}`"


@cache
def preset_values() -> Given:
    """The values of presets that differ from the default."""
    found: dict[str, dict[str, list[str]]] = {}
    for name in preset_names():
        config = load_config(name)
        given = config.model_dump(mode="json", exclude_defaults=True, exclude={"preset"})
        given["policy"] = config.policy.model_dump(mode="json", exclude_defaults=True)
        for path, value in _leaves(given):
            found.setdefault(path, {}).setdefault(shown(value), []).append(name)
    return found


def _leaves(settings: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{path}{name}.")
        else:
            yield path + name, value


def presets() -> Iterator[str]:
    """The presets, each with the comment at the top of its file."""
    for name in preset_names():
        lines = (files("rods") / "presets" / f"{name}.yaml").read_text("utf-8").splitlines()
        first = [line[1:].strip() for line in takewhile(lambda line: line.startswith("#"), lines)]
        if not first:
            raise UndescribedError(f"presets/{name}.yaml does not begin with a comment")
        yield linked(f"- `{name}`: {' '.join(first)}")


def described(section: Section, given: Given) -> Iterator[str]:
    """A section as Markdown.

    Args:
        given: values of presets; a section of which no preset gives a value has no such column.
    """
    if section.path:
        yield f"### `{section.path}`"
    yield section.meaning
    named = {f"{section.path}.{n}".lstrip("."): field for n, field in section.rows.items()}
    header, rows = ["setting", "meaning", "values", "default", "presets"], []
    for path, field in named.items():
        default = shown(field["default"]) if "default" in field else "required"
        others = "; ".join(f"{v}: {', '.join(p)}" for v, p in given.get(path, {}).items())
        rows.append([f"`{path}`", linked(field["description"]), values(field), default, others])
    width = 5 if named.keys() & given.keys() else 4
    if named:
        yield table(header[:width], [row[:width] for row in rows])


def text() -> str:
    """All settings as Markdown.

    Raises:
        UndescribedError: naming a setting without a description.
    """
    parts = ["## The presets", "\n".join(presets())]
    options = ", ".join(f"`{setting}` by `{option}`" for setting, option in OPTIONS.items())
    for heading, (note, model, path) in ALL.items():
        parts += [f"## {heading}", note.format(options=options)]
        for section in sections(model, path):
            if (model, section.path) != (Config, "policy"):
                parts += described(section, preset_values() if model in OF_PRESETS else {})
    return "\n\n".join(part for part in parts if part)
