"""Wrong answers to a task, which its reward must tell from the right one."""

from __future__ import annotations

from collections.abc import Iterator

from rods.synthesis.registry import augmentation_of
from rods.task import Call, Task


def wrong_answers(task: Task) -> Iterator[list[list[Call]]]:
    """Silence, the last turn left out, a turn's arguments altered, and those of the category.

    Single calls left out are the gate `needed`. All arguments of a turn but its flags are altered
    at once: many tools take one that changes nothing, which is no fault of the task.
    """
    gold = [list(turn.ground_truth) for turn in task.turns]
    filled = [index for index, calls in enumerate(gold) if calls]
    yield [[] for _ in gold]
    for index in filled[-1:]:
        yield [*gold[:index], [], *gold[index + 1 :]]
    for index in filled:
        altered = [_altered(call) for call in gold[index]]
        if altered != gold[index]:
            yield [*gold[:index], altered, *gold[index + 1 :]]
    if found := augmentation_of(task.category):
        yield from found.wrong(task)


def _altered(call: Call) -> Call:
    changed = {
        name: value if isinstance(value, bool) else "no such value"
        for name, value in call.arguments.items()
    }
    return Call(name=call.name, arguments=changed)
