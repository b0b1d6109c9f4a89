"""A method of a user's class as a tool: its schema, and the check of its arguments."""

from __future__ import annotations

import copy
import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import docstring_parser
from pydantic import PydanticUserError, TypeAdapter, ValidationError

from rods.envs.calls import CallError, Refusal
from rods.envs.choice import choose
from rods.envs.inlined import Inliner
from rods.envs.state import serialised
from rods.errors import UserError
from rods.task import Call, ToolSpec


@dataclass(frozen=True)
class Method:
    """A method as a tool.

    Attributes:
        types: validate the arguments, by name.
        fresh: mutable defaults, which each call gets as a copy.
    """

    spec: ToolSpec
    types: dict[str, TypeAdapter[Any]]
    fresh: dict[str, Any]

    def validated(self, call: Call) -> dict[str, Any]:
        """The arguments as the method takes them.

        Raises:
            CallError: one has another type.
        """
        values = copy.deepcopy(self.fresh)
        for name, value in call.arguments.items():
            try:
                values[name] = self.types[name].validate_python(copy.deepcopy(value))
            except ValidationError as error:
                message = f"{call.name}: argument {name!r}: {error.errors()[0]['msg']}"
                raise CallError(Refusal.TYPE, message) from None
        return values


class Methods(typing.NamedTuple):
    """The tools of a class.

    Attributes:
        tools: by name, in the order of definition.
        left_out: the other public methods, each with the reason.
        unknown: words of the choice that match nothing.
    """

    tools: dict[str, Method]
    left_out: dict[str, str]
    unknown: tuple[str, ...]


def methods_of(owner: type, words: typing.Sequence[str] | None = None) -> Methods:
    """The tools of a class; see `choose`.

    A method that takes any number of arguments is a helper and is left out.

    Raises:
        UserError: a parameter has no type, or one that has no JSON schema; or a method that was
            named takes any number of arguments.
    """
    chosen = choose(owner, words)
    tools, left_out = {}, dict.fromkeys(chosen.left_out, "not chosen")
    for name in chosen.names:
        if star := _star(owner, name):
            why = f"a tool cannot take {star}; name each parameter"
            if name in chosen.asked:
                raise UserError(f"{owner.__name__}.{name}: {why}")
            left_out[name] = why
        else:
            tools[name] = _method(owner, name)
    return Methods(tools, left_out, chosen.unknown)


def _parameters(owner: type, name: str) -> list[inspect.Parameter]:
    static = isinstance(inspect.getattr_static(owner, name), staticmethod | classmethod)
    return list(inspect.signature(getattr(owner, name)).parameters.values())[0 if static else 1 :]


def _star(owner: type, name: str) -> str:
    """The parameter that takes any number of arguments, or ""."""
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    found = (f"{stars[p.kind]}{p.name}" for p in _parameters(owner, name) if p.kind in stars)
    return next(found, "")


def _method(owner: type, name: str) -> Method:
    where = f"{owner.__name__}.{name}"
    function: Callable[..., Any] = getattr(owner, name)
    parameters = _parameters(owner, name)
    doc = docstring_parser.parse(inspect.getdoc(function) or "")
    described = {p.arg_name: p.description or "" for p in doc.params}
    mend = f"annotate it, or leave the method out: {owner.__name__}[-{name}]"
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except Exception as error:
        raise UserError(f"{where}: type hints cannot be read: {error}") from None
    types, schemas = {}, {}
    for parameter in parameters:
        if parameter.name not in hints:
            raise UserError(f"{where}: parameter {parameter.name!r} has no type hint; {mend}")
        try:
            types[parameter.name] = TypeAdapter(hints[parameter.name])
            whole = types[parameter.name].json_schema()
            own = {key: value for key, value in whole.items() if key != "$defs"}
            schema = Inliner(whole).inlined(own)
        except (PydanticUserError, ValueError) as error:
            message = str(error).splitlines()[0]
            raise UserError(f"{where}: parameter {parameter.name!r}: {message}; {mend}") from None
        schema["description"] = described.get(parameter.name, "") or schema.get("description", "")
        if parameter.default is not parameter.empty:
            schema["default"] = serialised(parameter.default)
        schemas[parameter.name] = schema
    about = " ".join(t for t in (doc.short_description, doc.long_description) if t)
    spec = ToolSpec(
        name=name,
        owner=owner.__name__,
        description=" ".join(about.split()),
        parameters=schemas,
        required=tuple(p.name for p in parameters if p.default is p.empty),
    )
    mutable = {p.name: p.default for p in parameters if isinstance(p.default, list | dict | set)}
    return Method(spec, types, mutable)
