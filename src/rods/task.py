"""Tasks: immutable, with an id that is a hash of the content.

A task is a scripted conversation: a start state, the user's turns, and for each turn the ground
truth: the calls that lead to the state and the responses that a right answer must have.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

BASE = "base"  # category of a task that names none
OVERALL = "overall"  # name of all categories together, in tables by category
STRUCTURE = "structure"
"""The side of held-out tasks with combinations of tools that no training task has."""


def _tag(name: str) -> str:
    if not name.isprintable():
        raise ValueError("has a character that cannot be printed")
    if name != name.strip():
        raise ValueError("begins or ends with a space")
    if name == OVERALL:
        raise ValueError(f"{OVERALL!r} means all categories together; choose another name")
    return name


Category = Annotated[str, Field(min_length=1, max_length=60), AfterValidator(_tag)]
"""The name of a kind of task (the paper's tau); every printable name is valid."""


class Frozen(BaseModel):
    """An immutable value object that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class ToolSpec(Frozen):
    """One callable tool: its name, the class it belongs to, and its JSON-schema parameters.

    `parameters` maps each parameter to its JSON schema, in the order of the signature. `returns`
    maps the documented fields of the response, also nested ones, to their descriptions.
    """

    name: str
    owner: str
    description: str = ""
    parameters: dict[str, dict[str, Any]] = Field(default_factory=dict)
    required: tuple[str, ...] = ()
    returns: dict[str, str] = Field(default_factory=dict)


class Call(Frozen):
    """One tool call with all arguments bound by name."""

    name: str
    arguments: dict[str, JsonValue] = Field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{k}={v!r}' for k, v in self.arguments.items())})"


class Turn(Frozen):
    """One user turn.

    Attributes:
        user: what the user says; empty in a turn that only restores a withheld tool.
        ground_truth: the calls that answer it; empty if the right answer is to make no call.
        restores: names of withheld tools that are offered from this turn on.
    """

    user: str
    ground_truth: tuple[Call, ...] = ()
    restores: tuple[str, ...] = ()


class Task(Frozen):
    """A verified multi-turn task.

    Attributes:
        category: its kind; quotas for seed tasks and reported results are by category.
        classes: names of the simulators that it uses.
        start: start state, one entry for each class. Key order matters: BFCL's file system loads
            the first root.
        turns: the scripted conversation.
        withheld: names of tools that are not offered until a turn restores them.
        system: the system message of its conversation, such as the policy text of the agent.
        environment: name of the environment that can open it.
        origin: what made it: "benchmark", "user" or the name of the synthesis backend.
        source: the id in the benchmark or in the user's file, or empty.
        parent: id of its parent task, or empty.
        born: epoch in which it was made.
        note: how it was made, for example whether a seed task kept its calls.
        record: `GoldTrace.record` when the task was made or read; a replay must repeat it. Empty
            for tasks of the benchmark.
        lineage: the process that made it: prompts, attempts, failures.
    """

    category: Category
    classes: tuple[str, ...]
    start: dict[str, JsonValue]
    turns: tuple[Turn, ...]
    withheld: tuple[str, ...] = ()
    system: str = ""
    environment: str = "bfcl"
    origin: str = "benchmark"
    source: str = ""
    parent: str = ""
    born: int = 0
    note: str = ""
    record: tuple[str, ...] = ()
    lineage: dict[str, JsonValue] = Field(default_factory=dict)

    @cached_property
    def id(self) -> str:
        """Hash of the content, without origin, parent or epoch: equal content is the same task."""
        names = {"category", "classes", "start", "turns", "withheld", "environment"}
        content = self.model_dump(include=names | ({"system"} if self.system else set()))
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A changed copy; its id is computed from its own content."""
        copy = super().model_copy(update=update, deep=deep)
        copy.__dict__.pop("id", None)
        return copy

    @property
    def label(self) -> str:
        """What messages call it: the id that its author gave, else its own."""
        return self.source or self.id

    @property
    def synthetic(self) -> bool:
        """Whether a synthesis backend made it."""
        return self.origin not in ("benchmark", "user")

    @property
    def calls(self) -> list[Call]:
        """All ground-truth calls in order."""
        return [call for turn in self.turns for call in turn.ground_truth]


def by_category(tasks: Iterable[Task]) -> dict[str, list[Task]]:
    """The tasks of each category, in the order in which the categories first appear."""
    found: dict[str, list[Task]] = {}
    for task in tasks:
        found.setdefault(task.category, []).append(task)
    return found
