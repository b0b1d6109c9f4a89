"""Puts the objects of a task into its start state.

The state is JSON. What the annotations of a class promise is made of it: data classes, pydantic
models, TypedDicts, sets, dates, and lists and mappings of them. An attribute without an annotation
gets the data as they are.
"""

from __future__ import annotations

import ast
import copy
import dataclasses
import inspect
import json
import sys
import textwrap
import typing
from functools import cache
from types import SimpleNamespace
from typing import Any

from pydantic import BaseModel, PydanticUserError, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError

from rods.envs.awaiting import settled
from rods.envs.typed_dicts import prepare

UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")  # pydantic's names of such faults

ADAPTERS: dict[int, tuple[Any, TypeAdapter[Any] | str]] = {}


class StartError(ValueError):
    """A start state that does not fit its class; the message begins with the place."""


def made_with(owner: type, state: Any) -> Any:
    """An object of the class in a start state; None is that of a new object.

    Parameters of the constructor that have no default are taken from the state.

    Raises:
        StartError: the state does not fit; it names the place.
        Exception: whatever the class raises.
    """
    given = dict(state) if isinstance(state, dict) else {}
    arguments = {}
    for name, hint in _needed(owner).items():
        if name not in given:
            raise StartError(f"{name} is missing: {owner.__name__} cannot be made without it")
        arguments[name] = _rebuilt(given.pop(name), hint, name)
    made = owner(**arguments)
    set_start(made, given if arguments else state)
    return made


def set_start(made: Any, state: Any) -> None:
    """Put an object into a task's start state; None does not change it.

    Raises:
        StartError: the state does not fit; it names the place.
        Exception: whatever `set_state` raises.
    """
    if state is None:
        return
    kind: Any = type(made)
    if hasattr(made, "set_state"):
        settled(made.set_state(_rebuilt(state, _parameter(kind), "")))
        return
    if not isinstance(state, dict):
        raise StartError("it must be a mapping of attributes")
    hints = annotations_of(kind)
    for name, value in state.items():
        if name[:1] == "_" or name not in {*vars(made), *hints}:
            public = sorted({n for n in (*vars(made), *hints) if n[0] != "_"})
            raise StartError(f"no public attribute {name!r}; there are {public}")
        setattr(made, name, _rebuilt(value, _hint(made, name, hints), name))


@cache
def annotations_of(owner: Any) -> dict[str, Any]:
    """The annotated types of attributes: in the class and, as `self.a: T = ...`, in `__init__`.

    Those that cannot be read are left out.
    """
    found: dict[str, Any] = {}
    for base in reversed(owner.__mro__[:-1]):
        written = {**vars(base).get("__annotations__", {}), **_in_constructor(base)}
        names = vars(sys.modules.get(base.__module__, SimpleNamespace()))
        for name, hint in written.items():
            try:
                holder = SimpleNamespace(__annotations__={name: hint})
                known = typing.get_type_hints(holder, names, dict(vars(base)), include_extras=True)
            except Exception:  # such as a name that is imported for type checkers only
                continue
            if typing.get_origin(known[name]) is not typing.ClassVar:
                found[name] = known[name]
    return found


def _in_constructor(owner: type) -> dict[str, str]:
    """Annotations of `self.name: type` in the class's own constructor, as text."""
    constructor = vars(owner).get("__init__")
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(constructor)))  # type: ignore[arg-type]
    except (OSError, TypeError, SyntaxError):
        return {}
    return {
        node.target.attr: ast.unparse(node.annotation)
        for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Attribute)
        and isinstance(node.target.value, ast.Name)
        and node.target.value.id == "self"
    }


def _hint(made: Any, name: str, hints: dict[str, Any]) -> Any:
    """The annotated type of an attribute, or else that of the record that it holds."""
    held = vars(made).get(name)
    record = isinstance(held, BaseModel) or (dataclasses.is_dataclass(held) and held is not None)
    return hints.get(name, type(held) if record else Any)


@cache
def _needed(owner: type) -> dict[str, Any]:
    """The parameters of the constructor that have no default, with their types."""
    try:
        parameters = inspect.signature(owner).parameters.values()
        hints = typing.get_type_hints(owner.__init__, include_extras=True)  # type: ignore[misc]
    except Exception:  # a constructor without a signature takes nothing
        return {}
    stars = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {
        p.name: hints.get(p.name, Any)
        for p in parameters
        if p.default is p.empty and p.kind not in stars
    }


@cache
def _parameter(owner: Any) -> Any:
    """The type of what `set_state` takes."""
    try:
        hints = typing.get_type_hints(owner.set_state, include_extras=True)
    except Exception:
        return Any
    return next((hint for name, hint in hints.items() if name != "return"), Any)


def _rebuilt(value: Any, hint: Any, place: str) -> Any:
    """The value that the type describes, made of JSON's data without a change of their types."""
    if hint is Any:
        return copy.deepcopy(value)
    adapter = _adapter(hint)
    if isinstance(adapter, str):
        raise StartError(f"{place}: {adapter}")
    try:
        return adapter.validate_json(json.dumps(value), strict=True, extra="forbid")
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, [*([place] if place else []), *first["loc"]]))
        what = "there is no such field" if first["type"] in UNKNOWN else first["msg"]
        raise StartError(f"{where}: {what}") from None


def _adapter(hint: Any) -> TypeAdapter[Any] | str:
    """What makes values of a type, or why nothing does; by identity, as hints may be unhashable."""
    if id(hint) not in ADAPTERS:
        ADAPTERS[id(hint)] = hint, _made_adapter(hint)
    return ADAPTERS[id(hint)][1]


def _made_adapter(hint: Any) -> TypeAdapter[Any] | str:
    try:
        return TypeAdapter(prepare(hint))
    except PydanticSchemaGenerationError:
        return f"{getattr(hint, '__name__', hint)} cannot be made of data; offer set_state"
    except PydanticUserError as error:
        return str(error).splitlines()[0]
