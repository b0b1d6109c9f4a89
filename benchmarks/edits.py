"""Tasks changed by hand: the small steps that mutations are made of."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rods.errors import UserError
from rods.grounding import spellings
from rods.provenance import leaves
from rods.reward import GoldTrace, gold_trace
from rods.synthesis.inputs import SynthesisInputs
from rods.task import Call, Task, Turn

# What these tools answer with a false flag instead of an error when they fail.
FLAGS = {
    "message_login", "authenticate_twitter", "ticket_login", "logout", "follow_user",
    "unfollow_user", "message_logout", "ticket_logout",
}  # fmt: skip


class Place(NamedTuple):
    """One scalar of one argument."""

    turn: int
    call: int
    name: str
    leaf: Any


@dataclass
class Materials:
    """Where mutations take values from.

    Args:
        tasks: sound tasks.
    """

    world: SynthesisInputs
    tasks: Sequence[Task]
    values: dict[tuple[str, str], list[Any]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for task in (*self.world.seeds, *self.tasks):
            for call in task.calls:
                for name, value in call.arguments.items():
                    self.values[call.name, name] += leaves(value)

    def trace(self, task: Task) -> GoldTrace | None:
        """What the ground truth leads to; None if it cannot be run."""
        try:
            return gold_trace(task, self.world.env)
        except UserError:
            return None

    def refreshed(self, task: Task) -> Task:
        """With the record of what it does now, if it runs."""
        gold = self.trace(task)
        return task if gold is None else task.model_copy(update={"record": gold.record})

    def other(self, call: Call, place: Place, rng: random.Random) -> Any:
        """Another value that some task hands to the same parameter."""
        drawn = rng.choice(self.values[call.name, place.name])
        if type(drawn) is type(place.leaf) and drawn != place.leaf:
            return drawn
        if isinstance(place.leaf, str):
            return f"{place.leaf}{rng.choice(['x', '7', '_old'])}"
        return place.leaf + rng.randint(11, 99)


def places(task: Task) -> list[Place]:
    """All scalars but truth values and nulls."""
    return [
        Place(t, c, name, leaf)
        for t, turn in enumerate(task.turns)
        for c, call in enumerate(turn.ground_truth)
        for name, value in call.arguments.items()
        for leaf in leaves(value)
        if leaf is not None and not isinstance(leaf, bool)
    ]


def with_turn(task: Task, index: int, **fields: Any) -> Task:
    turns = list(task.turns)
    turns[index] = turns[index].model_copy(update=fields)
    return task.model_copy(update={"turns": tuple(turns)})


def with_calls(task: Task, index: int, calls: Sequence[Call]) -> Task:
    return with_turn(task, index, ground_truth=tuple(calls))


def with_value(task: Task, place: Place, new: Any) -> Task:
    """The scalar replaced in the call."""
    calls = list(task.turns[place.turn].ground_truth)
    old = calls[place.call]
    changed = {**old.arguments, place.name: swapped(old.arguments[place.name], place.leaf, new)}
    calls[place.call] = Call.model_construct(name=old.name, arguments=changed)
    return with_calls(task, place.turn, calls)


def with_turns(task: Task, turns: Sequence[Turn], **more: Any) -> Task:
    return task.model_copy(update={"turns": tuple(turns), **more})


def swapped(value: Any, old: Any, new: Any) -> Any:
    """A value with one scalar for another, all over."""
    if isinstance(value, dict):
        return {swapped(k, old, new): swapped(v, old, new) for k, v in value.items()}
    if isinstance(value, list):
        return [swapped(item, old, new) for item in value]
    return new if type(value) is type(old) and value == old else value


def words(task: Task, stop: int | None = None) -> str:
    """What the user says before turn `stop`."""
    return "\n".join(turn.user for turn in task.turns[:stop])


def shown(gold: GoldTrace, turn: int, call: int = 0) -> str:
    """What the tools have answered before a call."""
    flat = [text for texts in gold.responses[:turn] for text in texts]
    return "\n".join([*flat, *gold.responses[turn][:call]])


def visible(value: Any, text: str) -> bool:
    """Whether the value stands in the text in any way, even within another word, or with spaces."""
    text = text.casefold()
    written = [spelling.casefold() for spelling in spellings(value)]
    return any(form in text or form.replace("_", " ") in text for form in written)


def telling(value: Any) -> bool:
    """Whether a value is long enough not to occur by chance."""
    return len(value) > 2 if isinstance(value, str) else abs(value) > 10


def fails(call: Call, answer: str) -> bool:
    """Whether a simulator's answer says that the call came to nothing."""
    if answer.startswith("Error during execution"):
        return True
    try:
        data = json.loads(answer)
    except ValueError:
        return False
    first = data[0] if isinstance(data, list) and data else data
    if not isinstance(first, dict):
        return False
    return "error" in first or (call.name in FLAGS and any(v is False for v in first.values()))


def failing(task: Task, gold: GoldTrace) -> bool:
    """Whether some ground-truth call fails."""
    rows = zip(task.turns, gold.responses, strict=True)
    return any(
        fails(c, a) for turn, row in rows for c, a in zip(turn.ground_truth, row, strict=True)
    )


def nodes(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of everything inside a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from nodes(inner, (*path, key))
