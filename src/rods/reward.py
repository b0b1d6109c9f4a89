"""Verdicts on turns, and the rewards made of them (paper section 4, EnvTuning's definition).

Progress is R_P = (1/N) * sum_t state_t * exec_t over all N scripted turns, reached or not. The
ground truth is always advanced, whatever the agent does; it is deterministic, so its trace is
computed once a task. In a turn without ground truth a silent agent gets 1 and any call gets 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rods.envs.base import Environment, Session
from rods.task import Call, Task


@dataclass(frozen=True)
class GoldTrace:
    """What the ground truth leads to: for each turn its responses and the state after it."""

    responses: tuple[tuple[str, ...], ...]
    states: tuple[Any, ...]
    clean: bool
    """No ground-truth call could not be executed at all."""


@dataclass(frozen=True)
class Verdict:
    """The check of one turn; `passed` is its share of the progress reward."""

    state: bool
    exec: bool
    empty: bool = False

    @property
    def passed(self) -> bool:
        return self.state and self.exec


def gold_trace(task: Task, env: Environment) -> GoldTrace:
    """Execute the ground truth in a fresh session."""
    session = env.open(task)
    responses, states, clean = [], [], True
    for turn in task.turns:
        observations = [session.call(call) for call in turn.ground_truth]
        clean = clean and not any(o.raised for o in observations)
        responses.append(tuple(o.text for o in observations))
        states.append(session.state())
    session.close()
    return GoldTrace(tuple(responses), tuple(states), clean)


def judge_turn(
    gold: GoldTrace, index: int, session: Session, responses: Sequence[str], called: bool
) -> Verdict:
    """Verdict on turn `index`, at its end.

    Args:
        responses: all responses that the agent has seen so far, over all turns.
        called: whether the agent called a tool in this turn.
    """
    wanted = gold.responses[index]
    if not wanted:
        return Verdict(state=not called, exec=not called, empty=True)
    if not called:
        return Verdict(state=False, exec=False)
    return Verdict(
        state=_equal(session.state(), gold.states[index]),
        exec=not Counter(wanted) - Counter(responses),
    )


def _equal(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except RecursionError:
        return False


def progress(verdicts: Sequence[Verdict], turns: int) -> float:
    """Share of the task's `turns` that passed; unreached turns count as failed."""
    return sum(v.passed for v in verdicts) / turns


def format_reward(rounds: int, malformed: int, clean: int, raised: int) -> float:
    """Stage-1 reward in [0, 2]: I_tool * (R_format + R_tool).

    Args:
        rounds: interaction rounds, i.e. actions of the agent.
        malformed: rounds that could not be parsed (code -3).
        clean: rounds whose calls were executed (code -1).
        raised: rounds of which some call failed to execute (code -2).
    """
    if clean + raised == 0:
        return 0.0
    return (rounds - malformed) / rounds + clean / (clean + raised)


def score(
    task: Task,
    env: Environment,
    turns: Sequence[Sequence[Call]],
    gold: GoldTrace | None = None,
) -> Iterator[Verdict]:
    """Verdicts for logged calls, one sequence a turn; missing turns count as silent.

    Args:
        gold: the task's trace, if it is at hand.
    """
    gold = gold or gold_trace(task, env)
    session = env.open(task)
    responses: list[str] = []
    for index, turn in enumerate(task.turns):
        calls = turns[index] if index < len(turns) else ()
        if turn.ground_truth:  # a call in a turn without ground truth is not executed
            responses += [session.call(call).text for call in calls]
        yield judge_turn(gold, index, session, responses, bool(calls))
    session.close()
