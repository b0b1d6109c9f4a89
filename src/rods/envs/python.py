"""The user's own Python classes as an environment.

Public methods are tools: parameters come from their type hints (checked by pydantic), descriptions
from their docstrings. The state is what `get_state()` returns, or else the public attributes; a
task's start state goes to `set_state()`, or else to attributes that the new object has.
"""

from __future__ import annotations

import copy
import hashlib
import inspect
import json
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import docstring_parser
from pydantic import PydanticUserError, TypeAdapter, ValidationError

from rods.envs.base import Observation, Outcome, Work, execute_here
from rods.envs.calls import DEFAULT, Bounds, CallError, Refusal, check_call
from rods.envs.state import State, serialised
from rods.errors import UserError
from rods.task import Call, Task, ToolSpec

STATE = ("get_state", "set_state")  # methods that are no tools
MAX_RESPONSE = 20_000  # characters
MAX_ERROR = 300


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


class PythonEnvironment:
    """Plain classes with type hints and docstrings.

    Raises:
        UserError: a method's parameters cannot be described, or two tools share a name.
    """

    def __init__(self, *classes: type, bounds: Bounds = DEFAULT) -> None:
        self.classes = {made.__name__: made for made in classes}
        self.bounds = bounds
        self.name = ",".join(f"{made.__module__}:{made.__qualname__}" for made in classes)
        self.version = hashlib.sha256("".join(map(_source, classes)).encode()).hexdigest()[:12]
        self.methods: dict[str, Method] = {}
        for owner in classes:
            for name, method in methods_of(owner).items():
                if name in self.methods:
                    raise UserError(
                        f"{owner.__name__}.{name}: another class has a tool of that name"
                    )
                self.methods[name] = method

    @property
    def specs(self) -> dict[str, ToolSpec]:
        """The tools of all classes, by name."""
        return {name: method.spec for name, method in self.methods.items()}

    def tools(self, task: Task) -> dict[str, ToolSpec]:
        return {n: m.spec for n, m in self.methods.items() if m.spec.owner in task.classes}

    def open(self, task: Task) -> PythonSession:
        where = f"task {task.label}"
        made = {}
        for name in task.classes:
            if name not in self.classes:
                raise UserError(f"{where}: no class {name!r} in {self.name}")
            try:
                made[name] = self.classes[name]()
                set_start(made[name], copy.deepcopy(task.start.get(name)))
            except Exception as error:
                message = f"{where}: start state of {name} cannot be set: {_error_text(error)}"
                raise UserError(message) from None
        return PythonSession(made, self.methods, self.bounds)

    def execute(self, steps: Sequence[Work]) -> list[Outcome]:
        return execute_here(steps)


class PythonSession:
    """Live objects of one task."""

    def __init__(self, objects: dict[str, Any], methods: dict[str, Method], bounds: Bounds) -> None:
        self._objects, self._methods, self._bounds = objects, methods, bounds
        self._tools = {n: m.spec for n, m in methods.items() if m.spec.owner in objects}

    def call(self, call: Call) -> Observation:
        try:
            check_call(call, self._tools, self._bounds)
            method = self._methods[call.name]
            arguments = copy.deepcopy(method.fresh) | _validated(call, method)
            result = getattr(self._objects[method.spec.owner], call.name)(**arguments)
            text = result if isinstance(result, str) else json.dumps(serialised(result))
        except CallError as error:
            return error.observation()
        except MemoryError:
            return CallError(Refusal.MEMORY, "out of memory").observation()
        except (Exception, SystemExit) as error:
            text = f"Error during execution: {_error_text(error)}"
            return Observation(text, ok=False, raised=True)
        return Observation(
            text[:MAX_RESPONSE], not (isinstance(result, dict) and "error" in result)
        )

    def state(self) -> State:
        try:
            return State(
                {name: serialised(_state_of(made)) for name, made in self._objects.items()}
            )
        except Exception:  # get_state and the serialisation may raise anything
            return State(None)

    def matches(self, state: State) -> bool:
        return self.state() == state

    def fork(self) -> PythonSession:
        return PythonSession(copy.deepcopy(self._objects), self._methods, self._bounds)

    def close(self) -> None:
        self._objects = {}


def methods_of(owner: type) -> dict[str, Method]:
    """The tools of a class, in the order of definition.

    Raises:
        UserError: a parameter has no type, or one that has no JSON schema.
    """
    names = [n for base in reversed(owner.__mro__[:-1]) for n in vars(base)]
    public = [n for n in dict.fromkeys(names) if n[0] != "_" and n not in STATE]
    return {n: _method(owner, n) for n in public if inspect.isroutine(getattr(owner, n))}


def _method(owner: type, name: str) -> Method:
    where = f"{owner.__name__}.{name}"
    function: Callable[..., Any] = getattr(owner, name)
    static = isinstance(inspect.getattr_static(owner, name), staticmethod | classmethod)
    parameters = list(inspect.signature(function).parameters.values())[0 if static else 1 :]
    doc = docstring_parser.parse(inspect.getdoc(function) or "")
    described = {p.arg_name: p.description or "" for p in doc.params}
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except Exception as error:
        raise UserError(f"{where}: type hints cannot be read: {error}") from None
    types, schemas = {}, {}
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise UserError(f"{where}: a tool cannot take *{parameter.name}; name each parameter")
        if parameter.name not in hints:
            raise UserError(f"{where}: parameter {parameter.name!r} has no type hint")
        try:
            types[parameter.name] = TypeAdapter(hints[parameter.name])
            schema = _inlined(types[parameter.name].json_schema())
        except PydanticUserError as error:
            message = str(error).splitlines()[0]
            raise UserError(f"{where}: parameter {parameter.name!r}: {message}") from None
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


def _validated(call: Call, method: Method) -> dict[str, Any]:
    values = {}
    for name, value in call.arguments.items():
        try:
            values[name] = method.types[name].validate_python(copy.deepcopy(value))
        except ValidationError as error:
            message = f"{call.name}: argument {name!r}: {error.errors()[0]['msg']}"
            raise CallError(Refusal.TYPE, message) from None
    return values


def set_start(made: Any, state: Any) -> None:
    """Put an object into a task's start state; None does not change it.

    Raises:
        Exception: whatever `set_state` raises; AttributeError for an unknown attribute.
    """
    if state is None:
        return
    if hasattr(made, "set_state"):
        made.set_state(state)
        return
    for name, value in state.items():
        if name[:1] == "_" or name not in vars(made):
            raise AttributeError(f"no public attribute {name!r}; there are {sorted(_public(made))}")
        setattr(made, name, value)


def _state_of(made: Any) -> Any:
    return made.get_state() if hasattr(made, "get_state") else _public(made)


def _error_text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:MAX_ERROR]


def _public(made: Any) -> dict[str, Any]:
    return {k: v for k, v in vars(made).items() if k[0] != "_"}


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """A JSON schema without references; a recursive reference becomes a plain object."""
    definitions = schema.pop("$defs", {})

    def inline(node: Any, within: tuple[str, ...] = ()) -> Any:
        if isinstance(node, list):
            return [inline(item, within) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            name = node["$ref"].rsplit("/", 1)[-1]
            if name in within:
                return {"type": "object"}
            return inline(definitions[name], (*within, name))
        return {key: inline(item, within) for key, item in node.items()}

    made: dict[str, Any] = inline(schema)
    return made


def _source(owner: type) -> str:
    try:
        return inspect.getsource(owner)
    except (OSError, TypeError):  # a class made at run time
        return owner.__qualname__
