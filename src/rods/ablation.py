"""The ground truth replayed with each of its calls left out: what depends on which call.

This shows exactly, for any environment and without knowledge of its tools, which calls write, which
later calls depend on them through the state, and which are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rods.envs.base import Environment, Outcome, Work
from rods.envs.calls import any_failed, retried
from rods.envs.state import State
from rods.reward import GoldTrace, TraceError, judge_turn
from rods.task import Call, Task


@dataclass(frozen=True)
class Ablation:
    """What leaving out one ground-truth call changes.

    Attributes:
        affects: positions in `Task.calls` of later calls whose response differs without it.
        writes: whether the call itself changes the state.
        needed: whether the answer without it fails.
        diverts: whether the state after some turn differs without it, as that of a file which is
            written in another folder.
    """

    affects: frozenset[int]
    writes: bool
    needed: bool
    diverts: bool


def ablate(
    task: Task, env: Environment, gold: GoldTrace, states: Sequence[State]
) -> list[Ablation]:
    """One entry for each of `task.calls`.

    Args:
        gold: the task's trace in this environment.
        states: see `call_states`.
    """
    answers = [_without(task, position) for position in range(len(task.calls))]
    outcomes = retried(lambda: _answered(task, env, answers, gold), any_failed)
    turns = len(task.turns)
    rows = [outcomes[i * turns : (i + 1) * turns] for i in range(len(answers))]
    writes = [before != after for before, after in pairwise(states)]
    affected = [_affected(row, position, gold) for position, row in enumerate(rows)]
    needed = [not _passes(row, gold) for row in rows]
    diverts = [any(outcome.matches is False for outcome in row) for row in rows]
    return [Ablation(*found) for found in zip(affected, writes, needed, diverts, strict=True)]


def _answered(
    task: Task, env: Environment, answers: Sequence[Sequence[Sequence[Call]]], gold: GoldTrace
) -> list[Outcome]:
    """Outcomes of each answer's turns, one answer after the other."""
    sessions = [env.open(task) for _ in answers]
    steps = [
        Work(session, calls, state)
        for session, answer in zip(sessions, answers, strict=True)
        for calls, state in zip(answer, gold.states, strict=True)
    ]
    outcomes = env.execute(steps)
    for session in sessions:
        session.close()
    return outcomes


def call_states(task: Task, env: Environment) -> tuple[State, ...]:
    """The state before the ground truth and after each of its calls.

    Raises:
        TraceError: the environment loses the session in which the ground truth is executed.
    """
    outcomes = retried(lambda: _watched(task, env), any_failed)
    if lost := next((outcome.lost for outcome in outcomes if outcome.lost), ""):
        raise TraceError(f"task {task.label}: the ground truth cannot be run: {lost}")
    return tuple(outcome.state for outcome in outcomes if outcome.state is not None)


def _watched(task: Task, env: Environment) -> list[Outcome]:
    session = env.open(task)
    snapshots = [Work(session, (call,), None, True) for call in task.calls]
    outcomes = env.execute([Work(session, (), None, True), *snapshots])
    session.close()
    return outcomes


def _without(task: Task, position: int) -> list[tuple[Call, ...]]:
    answer, first = [], 0
    for turn in task.turns:
        calls, at = turn.ground_truth, position - first
        answer.append(calls[:at] + calls[at + 1 :] if 0 <= at < len(calls) else calls)
        first += len(calls)
    return answer


def _affected(row: list[Outcome], position: int, gold: GoldTrace) -> frozenset[int]:
    before = [text for turn in gold.responses for text in turn]
    after = [seen.text for outcome in row for seen in outcome.observations]
    if any(outcome.lost for outcome in row):
        return frozenset(range(position + 1, len(before)))
    return frozenset(j for j in range(position + 1, len(before)) if after[j - 1] != before[j])


def _passes(row: list[Outcome], gold: GoldTrace) -> bool:
    responses: list[str] = []
    for index, outcome in enumerate(row):
        responses += [seen.text for seen in outcome.observations]
        called = bool(outcome.observations)
        if not judge_turn(gold, index, responses, called, outcome.matches).passed:
            return False
    return True
