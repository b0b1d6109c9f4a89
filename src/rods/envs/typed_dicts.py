"""Lets pydantic read `typing.TypedDict`, which it refuses before Python 3.12.

There it asks for that of `typing_extensions`, which a class of the user's need not know. So such a
class gets the method by which pydantic asks a class for its schema.
"""

from __future__ import annotations

import dataclasses
import sys
import typing
from typing import Any

import typing_extensions

METHOD = "__get_pydantic_core_schema__"


def prepare(hint: Any) -> Any:
    """The same hint; each TypedDict within it can be read by pydantic."""
    if sys.version_info < (3, 12):
        _walk(hint, set())
    return hint


def _walk(hint: Any, seen: set[int]) -> None:
    if id(hint) in seen:
        return
    seen.add(id(hint))
    inner: list[Any] = list(typing.get_args(hint))
    if typing.is_typeddict(hint):
        inner += _hints(hint).values()
        if type(hint).__module__ == "typing" and METHOD not in vars(hint):
            setattr(hint, METHOD, classmethod(_schema))
    elif isinstance(hint, type) and dataclasses.is_dataclass(hint):
        inner += _hints(hint).values()
    for part in inner:
        _walk(part, seen)


def _hints(owner: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(owner, include_extras=True)
    except Exception:  # pydantic reports it
        return {}


def _schema(owner: Any, _: Any, handler: Any) -> Any:
    """What pydantic makes of the same class by `typing_extensions`."""
    marks = (typing.Required, typing.NotRequired)
    fields = {
        name: hint
        if name in owner.__required_keys__ or typing.get_origin(hint) in marks
        else typing_extensions.NotRequired[hint]
        for name, hint in _hints(owner).items()
    }
    make: Any = typing_extensions.TypedDict
    return handler.generate_schema(make(owner.__name__, fields))
