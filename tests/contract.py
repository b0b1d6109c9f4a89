"""The contract of an environment for training: an oracle scores 1, a silent agent gets the floor, a
wrong but plausible answer scores below 1. Three agents that play the clinic's tasks by a script."""

from __future__ import annotations

from collections.abc import Callable

from rods.task import Call, Task

ENV, FILE = "examples.clinic.tools:Clinic", "examples/clinic/tasks.yaml"
WRONG = {"service": "surgery"}  # the owner asks for another service
Script = list[list[Call]]


def oracle(task: Task) -> Script:
    """The ground truth, turn by turn."""
    return [list(turn.ground_truth) for turn in task.turns]


def plausible(task: Task) -> Script:
    """The ground truth, but with another service."""
    return [[_wrong(call) for call in turn.ground_truth] for turn in task.turns]


def silent(task: Task) -> Script:
    """No call in any turn."""
    return [[] for _ in task.turns]


def expected(agent: Callable[[Task], Script], task: Task) -> float:
    """The reward of an agent."""
    if agent is plausible:  # from the wrong call on, no state is that of the ground truth
        right = [a == b for a, b in zip(oracle(task), plausible(task), strict=True)]
        return [*right, False].index(False) / len(right)
    return 1.0 if agent is oracle else floor(task)


def floor(task: Task) -> float:
    """What an agent gets that makes no call."""
    return sum(not turn.ground_truth for turn in task.turns) / len(task.turns)


def _wrong(call: Call) -> Call:
    known = {name: value for name, value in WRONG.items() if name in call.arguments}
    return Call(name=call.name, arguments={**call.arguments, **known})


TASKS = ("momo-checkup", "which-slot")
AGENTS = [(name, agent) for name in TASKS for agent in (oracle, plausible, silent)]
