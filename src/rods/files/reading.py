"""Reads text of a user as data, or refuses it with file, line and field.

All input of users is read here: files of tasks, endpoints, presets and settings.
"""

from __future__ import annotations

import codecs
import json
import math
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from rods.errors import UserError, first_problem
from rods.files import core_yaml
from rods.files.plain_data import MOST_DEPTH, Author, Beyond, Pairs, Placed, ReadError, plain

T = TypeVar("T")
MOST_BYTES = 20_000_000
CHUNK = 1 << 20
MARK = "\ufeff"
MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",  # before UTF-16's, which it begins with
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def decode(data: bytes) -> str:
    """Text of UTF-8 bytes, without a byte order mark at the beginning.

    Raises:
        ReadError: it is not UTF-8.
    """
    for mark, name in MARKS.items():
        if data.startswith(mark):
            raise ReadError(f"begins with the byte order mark of {name}; save it as UTF-8")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ReadError(f"not UTF-8 at byte {error.start}; save it as UTF-8") from None
    if (at := data.find(0)) >= 0:
        raise ReadError(f"a zero at byte {at}, which is no text; save it as UTF-8")
    return text.lstrip(MARK)  # joined files have one each


def read_text(path: Path, most: int = MOST_BYTES) -> str:
    """Text of a UTF-8 file.

    Args:
        most: bytes that are read at most.

    Raises:
        UserError: it is missing, unreadable, larger, or not UTF-8; the message names it.
    """
    try:
        with path.open("rb") as file:
            chunks = iter(lambda: file.read(CHUNK), b"")
            data = b"".join(islice(chunks, most // CHUNK + 1))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{str(path)!r}: cannot be read: {error}") from None
    if len(data) > most:
        raise UserError(f"{path}: larger than {most // 10**6} MB; split it")
    try:
        return decode(data)
    except ReadError as error:
        raise UserError(f"{path}: {error}") from None


def read_checked(path: Path, parse: Callable[[str], Any], check: Callable[[Any], T]) -> T:
    """The data of a user's file in its checked form.

    Args:
        parse: of a text to plain data; raises ReadError.
        check: of plain data to its form; raises pydantic's ValidationError.

    Raises:
        UserError: it is unreadable or does not fit; the message names file and field.
    """
    text = read_text(path)
    try:
        return check(parse(text))
    except ReadError as error:
        raise UserError(f"{path}: {error}") from None
    except ValidationError as error:
        raise UserError(f"{path}: {first_problem(error)}") from None


def parse_json(text: str, author: Author = Author.USER) -> Any:
    """The value of a JSON text.

    Raises:
        ReadError: it is not JSON, or has a value that is not accepted.
    """
    return plain(_json(text), author)


def parse_yaml(text: str) -> Any:
    """The value of a YAML text; None for an empty text.

    Raises:
        ReadError: it is not YAML as `core_yaml` reads it, or has a value that is not accepted.
    """
    return plain(core_yaml.parse(text))


def entries(
    path: Path, author: Author = Author.USER, most: int = MOST_BYTES
) -> Iterator[tuple[str, Any]]:
    """The entries of a file, each with its place (file and line) for messages about it.

    A file named .yaml or .yml has a list in YAML. One that begins with "[" has a list in JSON. Any
    other file has JSON lines. Instead of the list YAML may have a mapping with the list under
    `tasks`; what else is in it is the first entry.

    Raises:
        UserError: the file or an entry is not accepted; the message names file, line and field.
    """
    text, name = read_text(path, most), ""
    try:
        for name, item in _items(path, text):
            line = item.line if isinstance(item, Placed) else 0
            yield _place(path, line, name), plain(item, author)
    except ReadError as error:
        raise UserError(f"{_place(path, error.line, name)}: {error.message}") from None


def _items(path: Path, text: str) -> Iterator[tuple[str, Any]]:
    """The name and content of each entry; a JSON line has no name."""
    if path.suffix.lower() in (".yaml", ".yml"):
        found = core_yaml.parse(text)
    elif text.lstrip()[:1] == "[":
        found = _json(text)
    else:
        for number, line in enumerate(text.split("\n"), 1):
            if (line := line.lstrip(MARK)).strip():
                yield "", Placed(number, _json(line, number))
        return
    items = _bare(found)
    if isinstance(items, Pairs):
        lists = [_bare(value) for key, value in items if _bare(key) == "tasks"]
        rest = Pairs((key, value) for key, value in items if _bare(key) != "tasks")
        if len(lists) == 1 and rest:
            yield "", found._replace(item=rest)
        items = lists[0] if len(lists) == 1 else items
    if isinstance(items, Pairs) or not isinstance(items, list | None):
        raise ReadError("must be a list of tasks")
    for number, item in enumerate(items or (), 1):
        yield f"task {number}", item


def _bare(item: Any) -> Any:
    return item.item if isinstance(item, Placed) else item


def _place(path: Path, line: int, name: str) -> str:
    return ": ".join(filter(None, [str(path), f"line {line}" if line else "", name]))


def _json(text: str, line: int = 0) -> Any:
    try:
        return json.loads(text, object_pairs_hook=Pairs, parse_float=_float)
    except json.JSONDecodeError as error:
        line = line or (error.lineno if "\n" in text.strip() else 0)
        why = f"not JSON at character {error.colno}: {error.msg}"
    except RecursionError:
        why = f"not JSON that is read: nested deeper than {MOST_DEPTH}"
    except ValueError:
        why = "not JSON that is read: an integer of too many digits"
    raise ReadError(why, line)


def _float(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else Beyond(value)


class Setting(BaseModel):
    """A section of settings: no unknown fields, finite numbers, no boolean as a number."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_as_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        kind = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and kind in (int, float, int | None, float | None):
            raise ValueError("must be a number, not true or false")
        return value


def read_override(override: str, form: str, option: str = "--set") -> tuple[str, Any]:
    """Key and value of a `--set key=value`; the value is read as YAML.

    Args:
        form: how a key is written, for messages.
        option: for messages.

    Raises:
        UserError: there is no key or no "=", or the value is not YAML.
    """
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise UserError(f"{option} {override}: write it as {form}=value")
    try:
        return key, parse_yaml(text)
    except ReadError as error:
        raise UserError(f"{option} {override}: {error.message}") from None


def put(data: dict[str, Any], key: str, value: Any, option: str) -> None:
    """Set the value at a key with dots, such as `pool.beta`.

    Args:
        option: for messages.

    Raises:
        UserError: a part of the key names a value without keys.
    """
    *path, last = key.split(".")
    for part in path:
        data = data.setdefault(part, {})
        if not isinstance(data, dict):
            raise UserError(f"{option}: {part} has no keys")
    data[last] = value
