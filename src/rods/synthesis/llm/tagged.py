"""Answers in tags: a pydantic model written as `<field>…</field>` blocks, and read back.

For models that follow an example better than a schema. A scalar field is one block, a list repeats
its block, an inner model has blocks inside, and any other type (a dict, Any) is JSON inside its
block. A block's name is the field's alias if it has one. Characters such
as `<` may be written as entities; white space around a value is ignored.
"""

from __future__ import annotations

import html
import json
import re
import types
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel

M = TypeVar("M", bound=BaseModel)

ITEMS = 1_000  # blocks of one list that are read
BLANK = "..."  # in the form, in place of a text
DEPTH = 8  # models inside models
LISTS = (list, tuple, set, frozenset)
SCALARS = (str, int, float, bool, Enum)


class Field(NamedTuple):
    """How a field is written in tags."""

    name: str
    tag: str
    listed: bool
    model: type[BaseModel] | None  # of the value or of each item
    plain: bool  # the text is the value; JSON otherwise
    choices: dict[str, Any]  # by their text
    absent: dict[str, Any]  # the value of a required field without a block
    description: str


@lru_cache(256)
def fields(model: type[BaseModel]) -> list[Field]:
    """The fields of a model, in their order."""
    found = []
    for name, info in model.model_fields.items():
        kind, listed = _bare(info.annotation), False
        nullable = type(None) in get_args(info.annotation)
        if get_origin(kind) in LISTS or kind in LISTS:
            args = [a for a in get_args(kind) if a is not ...] or [Any]
            if len(args) == 1:
                kind, listed = _bare(args[0]), True
        inner = kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None
        values: tuple[Any, ...] = ()
        if get_origin(kind) is Literal:
            values = get_args(kind)
        elif isinstance(kind, type) and issubclass(kind, Enum):
            values = tuple(member.value for member in kind)
        choices = {_scalar(value): value for value in values}
        plain = bool(choices) or (isinstance(kind, type) and issubclass(kind, SCALARS))
        absent: dict[str, Any] = {}
        if info.is_required() and (nullable or listed):
            absent = {name: None if nullable else []}
        tag, description = info.alias or name, info.description or ""
        found.append(Field(name, tag, listed, inner, plain, choices, absent, description))
    return found


def _bare(kind: Any) -> Any:
    """A type without Annotated and without `| None`."""
    while True:
        if get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
            continue
        if get_origin(kind) in (Union, types.UnionType):
            rest = [arg for arg in get_args(kind) if arg is not type(None)]
            if len(rest) == 1:
                kind = rest[0]
                continue
        return kind


def form(model: type[BaseModel], indent: str = "", depth: int = 4) -> str:
    """The form as it is shown to the model."""
    lines = []
    for field in fields(model):
        note = f"  ({field.description})" if field.description else ""
        note += "  (repeat the block for each one)" if field.listed else ""
        if field.model is not None and depth:
            inside = form(field.model, indent + "  ", depth - 1)
            lines += [f"{indent}<{field.tag}>{note}", inside, f"{indent}</{field.tag}>"]
            continue
        value = " or ".join(field.choices) or (BLANK if field.plain else "JSON")
        lines.append(f"{indent}<{field.tag}>{value}</{field.tag}>{note}")
    return "\n".join(lines)


def to_tags(value: BaseModel) -> str:
    """A model's content in tags, the inverse of `parse_tags`. A field that is None has no block."""
    return _written(type(value), value.model_dump(mode="json", by_alias=False))


def _written(model: type[BaseModel], data: Mapping[str, Any]) -> str:
    blocks = []
    for field in fields(model):
        value = data.get(field.name)
        for item in value if field.listed and value is not None else [value]:
            if item is None and (field.plain or field.model or not field.listed):
                continue
            if field.model is not None and isinstance(item, Mapping):
                text = "\n" + _written(field.model, item) + "\n"
            elif field.plain:
                text = html.escape(_scalar(item), quote=False)
            else:
                text = html.escape(json.dumps(item, ensure_ascii=False), quote=False)
            blocks.append(f"<{field.tag}>{text}</{field.tag}>")
    return "\n".join(blocks)


def _scalar(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def parse_tags(text: str, model: type[BaseModel]) -> dict[str, Any] | None:
    """The content of a model's tags, by field name; None if there is none of them.

    The content is not checked against the model yet. If a field is not a list, its first block is
    used. A block without its end is ignored. A list without a block is empty.
    """
    return _content(text, model, DEPTH) if opening(text, model) >= 0 else None


def _content(text: str, model: type[BaseModel], depth: int) -> dict[str, Any]:
    known = {field.tag: field for field in fields(model)}
    data: dict[str, Any] = {}
    for tag, inside, _ in blocks(text, known) if known and depth else ():
        field = known[tag]
        if field.model is not None:
            value: Any = _content(inside, field.model, depth - 1)
        else:
            value = html.unescape(inside.strip())
            value = field.choices.get(value, value) if field.plain else _json(value)
        if not field.listed:
            data.setdefault(field.name, value)
        elif len(data.setdefault(field.name, [])) < ITEMS:
            data[field.name].append(value)
    absent = {name: value for field in known.values() for name, value in field.absent.items()}
    return absent | data


def blocks(text: str, known: Mapping[str, Field], at: int = 0) -> Iterator[tuple[str, str, int]]:
    """Blocks on the outermost level, each with its content and its end; in linear time.

    A block of text ends with the first end tag of its name. A block that has only the form's
    "..." is ignored. In a model's block the same name may appear again, so starts and ends are
    counted.
    """
    names = "|".join(map(re.escape, known))
    opened, start, level = "", 0, 0
    for mark in re.compile(rf"<(/?)({names})>").finditer(text, at):
        end, tag = mark.groups()
        if not opened:
            if not end:
                opened, start, level = tag, mark.end(), 1
        elif tag == opened:
            if end:
                level -= 1
            elif known[tag].model is not None:
                level += 1
            if not level:
                inside = text[start : mark.start()]
                if inside.strip() != BLANK or not known[tag].plain:
                    yield opened, inside, mark.end()
                opened = ""


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def opening(text: str, model: type[BaseModel]) -> int:
    """The position of the model's first block; -1 if there is none."""
    names = "|".join(re.escape(field.tag) for field in fields(model))
    mark = re.search(rf"<(?:{names})>", text) if names else None
    return mark.start() if mark else -1
