"""The complexity profile Phi of a task: what a variant must keep (paper section 6).

The paper publishes no extractor. Here Phi is read off the executed ground truth: turns, calls a
turn, and a directed graph over the calls. A node's label is its turn, its class and whether it
reads, writes or opens a session; an edge says that an argument's value was produced by an earlier
response and stood in no argument before (value provenance). Equal profiles mean the same graph
node for node, the call's own name left free.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from rods.task import Call, Category, Task

SMALL = 10  # integers up to this size, and booleans, coincide too often to prove a flow


class Link(NamedTuple):
    """The value of one call's argument came from an earlier call's response.

    `producer` and `consumer` are positions in `Task.calls`; `key` is the response's field.
    """

    producer: int
    key: str
    consumer: int
    parameter: str


@dataclass(frozen=True)
class Profile:
    """Phi. `shape` has the calls of each turn as (owner, role) pairs; `links` the value flow."""

    category: Category
    shape: tuple[tuple[tuple[str, str], ...], ...]
    links: frozenset[tuple[int, int]]

    @property
    def depth(self) -> int:
        """Calls on the longest chain of links; 1 without any."""
        depth: dict[int, int] = {}
        for producer, consumer in sorted(self.links, key=lambda link: link[1]):
            depth[consumer] = max(depth.get(consumer, 1), depth.get(producer, 1) + 1)
        return max(depth.values(), default=1)


def profile(
    task: Task,
    responses: Sequence[Sequence[str]],
    owners: Mapping[str, str],
    roles: Mapping[str, str],
) -> Profile:
    """Phi of an executed task.

    Args:
        responses: the ground truth's responses, by turn (`GoldTrace.responses`).
        owners: class of each tool.
        roles: "read", "write" or "session" for each tool.
    """
    shape = tuple(
        tuple((owners[c.name], roles.get(c.name, "write")) for c in turn.ground_truth)
        for turn in task.turns
    )
    links = find_links(task.calls, responses)
    return Profile(task.category, shape, frozenset((li.producer, li.consumer) for li in links))


def find_links(calls: Sequence[Call], responses: Sequence[Sequence[str]]) -> list[Link]:
    """Arguments whose value an earlier response produced, linked to its latest producer."""
    flat = [text for turn in responses for text in turn]
    produced: dict[Any, tuple[int, str]] = {}
    said: set[Any] = set()
    links = []
    for position, call in enumerate(calls):
        for name, value in call.arguments.items():
            token = _token(value)
            if token is None:
                continue
            if token in produced and token not in said:
                producer, key = produced[token]
                links.append(Link(producer, key, position, name))
        said.update(t for v in call.arguments.values() for t in _tokens(v))
        produced.update({token: (position, key) for key, token in fields(flat[position])})
    return links


def fields(response: str) -> Iterator[tuple[str, Any]]:
    """Named scalar fields of a JSON response, outside of lists, as (key, comparable value)."""
    try:
        value = json.loads(response)
    except (ValueError, RecursionError):
        return
    stack = [value]
    while stack:
        item = stack.pop()
        if not isinstance(item, dict):
            continue
        for key, inner in item.items():
            token = _token(inner)
            if token is not None:
                yield key, token
            stack.append(inner)


def field(response: str, key: str) -> Any:
    """The value of a response's first field of that name, or None."""
    try:
        stack = [json.loads(response)]
    except (ValueError, RecursionError):
        return None
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            if _token(item.get(key)) is not None:
                return item[key]
            stack += item.values()
    return None


def _tokens(value: Any) -> Iterator[Any]:
    for item in value if isinstance(value, list) else [value]:
        token = _token(item)
        if token is not None:
            yield token


def _token(value: Any) -> Any:
    """A value to compare by, or None where equality would prove nothing."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return None if abs(value) <= SMALL and float(value).is_integer() else ("number", value)
    if isinstance(value, str):
        return ("text", value) if len(value) >= 2 else None
    return None
