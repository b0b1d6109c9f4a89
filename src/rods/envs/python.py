"""The user's own Python classes as an environment.

Public methods are tools: parameters come from their type hints (checked by pydantic), descriptions
from their docstrings; `choice` says which methods are meant. Asynchronous ones are awaited. The
state is what `get_state()` returns, or else the public attributes; `start_state` says how a task's
start state is set.
"""

from __future__ import annotations

import copy
import hashlib
import inspect
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rods.envs.awaiting import prepare_loop, settled
from rods.envs.base import Observation, Outcome, Work, execute_here
from rods.envs.calls import DEFAULT, Bounds, CallError, CallLimits, Refusal, check_call
from rods.envs.checked import Checked
from rods.envs.choice import Named
from rods.envs.method import Method, methods_of
from rods.envs.start_state import StartError, made_with
from rods.envs.state import State, serialised
from rods.errors import UserError
from rods.task import Call, Task, ToolSpec

MAX_RESPONSE = 20_000  # characters
MAX_ERROR = 300


class PythonEnvironment:
    """Plain classes with type hints and docstrings.

    Args:
        words: the choice of tools for each class, see `choice`; None: that of the class itself.

    Attributes:
        left_out: public methods that are no tools, each with the reason.

    Raises:
        UserError: a tool's parameters cannot be described, two tools share a name, there is none,
            or a choice names what no class has.
    """

    def __init__(
        self,
        *classes: type,
        words: Sequence[tuple[str, ...] | None] | None = None,
        bounds: Bounds = DEFAULT,
    ) -> None:
        choices = words or [None] * len(classes)
        self.classes = {made.__name__: made for made in classes}
        self.bounds = bounds
        self.name = ",".join(map(str, map(_named, classes, choices)))
        self.methods: dict[str, Method] = {}
        self.left_out: dict[str, str] = {}
        unmatched, matched = dict[str, None](), set[str]()
        for owner, chosen in zip(classes, choices, strict=True):
            found = methods_of(owner, chosen)
            for name, method in found.tools.items():
                if name in self.methods:
                    raise UserError(
                        f"{owner.__name__}.{name}: another class has a tool of that name"
                    )
                self.methods[name] = method
            self.left_out |= found.left_out
            unmatched |= dict.fromkeys(found.unknown)
            matched.update(set(chosen or ()) - set(found.unknown))
        if missing := [word for word in unmatched if word not in matched]:
            raise UserError(
                f"environment {self.name}: {missing[0]!r} is no public method and no base class"
            )
        if not self.methods and self.left_out:
            raise UserError(f"environment {self.name}: no method is a tool")
        self.version = _version(classes, self.methods)

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
        for name in task.start:
            if name not in task.classes:
                raise UserError(f"{where}: start: {name!r} is not among the task's classes")
        for name in task.classes:
            try:
                made[name] = made_with(self.classes[name], task.start.get(name))
            except StartError as error:
                raise UserError(f"{where}: start state of {name}: {error}") from None
            except Exception as error:
                message = f"{where}: start state of {name} cannot be set: {_error_text(error)}"
                raise UserError(message) from None
        prepare_loop()
        return PythonSession(made, self.methods, self.bounds)

    def execute(self, steps: Sequence[Work]) -> list[Outcome]:
        return execute_here(steps)

    def check(
        self, tasks: Sequence[Task], limits: CallLimits | None, tick: Callable[[], object]
    ) -> Checked:
        from rods.envs.check import check

        return check(self, tasks, limits, tick)

    def check_steps(self, tasks: Sequence[Task]) -> int:
        from rods.envs.check import steps

        return steps(self, tasks)


class PythonSession:
    """Live objects of one task."""

    def __init__(self, objects: dict[str, Any], methods: dict[str, Method], bounds: Bounds) -> None:
        self._objects, self._methods, self._bounds = objects, methods, bounds
        self._tools = {n: m.spec for n, m in methods.items() if m.spec.owner in objects}

    def call(self, call: Call) -> Observation:
        try:
            check_call(call, self._tools, self._bounds)
            method = self._methods[call.name]
            arguments = method.validated(call)
            result = settled(getattr(self._objects[method.spec.owner], call.name)(**arguments))
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


def _named(owner: type, words: tuple[str, ...] | None) -> Named:
    return Named(f"{owner.__module__}:{owner.__qualname__}", words)


def _state_of(made: Any) -> Any:
    if hasattr(made, "get_state"):
        return settled(made.get_state())
    return {k: v for k, v in vars(made).items() if k[0] != "_"}


def _error_text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:MAX_ERROR]


def _version(classes: Sequence[type], tools: Iterable[str]) -> str:
    """A digest of the sources of the classes and of the names of the tools."""
    text = "".join(map(_source, classes)) + " ".join(tools)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _source(owner: type) -> str:
    try:
        return inspect.getsource(owner)
    except (OSError, TypeError):  # a class made at run time
        return owner.__qualname__
