"""Verdicts on turns, and the rewards made of them (paper section 4, EnvTuning's definition).

Progress is R_P = (1/N) * sum_t state_t * exec_t over all N scripted turns, reached or not. The
ground truth is always advanced, whatever the agent does; it is deterministic, so its trace is
computed once a task. In a turn without ground truth a silent agent gets 1 and any call gets 0.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rods.envs.base import Environment, Outcome, Work
from rods.envs.calls import TRIES
from rods.envs.state import State
from rods.errors import NoProcessError, UserError
from rods.task import Call, Task

VERSION = 1  # of what a turn is worth; a run is not taken up under another one
CACHED = 4096  # traces that are kept


@dataclass(frozen=True)
class GoldTrace:
    """What the ground truth leads to: for each turn its responses and the state after it."""

    responses: tuple[tuple[str, ...], ...]
    states: tuple[State, ...]
    failed: str = ""
    """The first call that could not be executed at all, with its place and response."""
    fine: bool = True
    """Whether every call was executed and none was answered with an error."""

    @property
    def clean(self) -> bool:
        """Whether every call was executed."""
        return not self.failed

    @property
    def record(self) -> tuple[str, ...]:
        """A digest of each turn's responses and the state after it, alike in any process."""
        digests = (state.digest for state in self.states)
        return record_of(zip(self.responses, digests, strict=True))


NO_TRACE = GoldTrace((), (), failed="it was not replayed", fine=False)
"""Placeholder for a ground truth that could not be replayed."""


class TraceError(UserError):
    """The environment cannot replay a ground truth. It says nothing about the task's difficulty."""


@dataclass(frozen=True)
class Verdict:
    """The check of one turn; `passed` is its share of the progress reward."""

    state: bool
    exec: bool
    empty: bool = False

    @property
    def passed(self) -> bool:
        return self.state and self.exec


def record_of(turns: Iterable[tuple[Sequence[str], str]]) -> tuple[str, ...]:
    """A digest of each turn's responses and the digest of the state after it."""
    return tuple(
        hashlib.sha256(json.dumps([list(said), state]).encode()).hexdigest()[:16]
        for said, state in turns
    )


def gold_trace(task: Task, env: Environment) -> GoldTrace:
    """Execute the ground truth in a fresh session.

    Raises:
        UserError: the task cannot be opened, or its ground truth breaks the session.
    """
    session = env.open(task)
    outcomes = env.execute([Work(session, turn.ground_truth, None, True) for turn in task.turns])
    session.close()
    states = tuple(o.state for o in outcomes if o.state is not None)
    if len(states) < len(task.turns):
        why = next(o.lost for o in outcomes if o.state is None)
        raise UserError(f"task {task.source or task.id}: the ground truth cannot be run: {why}")
    failed = (
        f"turns.{i}.calls.{j}: fails: {seen.text[:200]}"
        for i, outcome in enumerate(outcomes)
        for j, seen in enumerate(outcome.observations)
        if seen.raised
    )
    fine = all(seen.ok for o in outcomes for seen in o.observations)
    responses = tuple(tuple(seen.text for seen in o.observations) for o in outcomes)
    return GoldTrace(responses, states, next(failed, ""), fine)


def trusted_trace(task: Task, env: Environment) -> GoldTrace:
    """A trace to score against: every call was executed, and the task's record is repeated.

    A call that stalls once would else be the right answer from then on. What fails is tried again.

    Raises:
        TraceError: it failed each time; the message names the task and the call.
        NoProcessError: nothing can be run at all.
    """
    why = ""
    for _ in range(TRIES):
        try:
            trace = gold_trace(task, env)
        except NoProcessError:
            raise
        except UserError as error:
            why = str(error)
            continue
        if trace.clean and task.record in ((), trace.record):
            return trace
        why = f"task {task.source or task.id}: {trace.failed or 'its record is not repeated'}"
    raise TraceError(f"{why} (tried {TRIES} times)")


class Traces:
    """The trusted traces of an environment's tasks, each computed once if it can be."""

    def __init__(self, env: Environment) -> None:
        self.env = env
        self._known: dict[str, GoldTrace] = {}

    def visit(self, tasks: Iterable[Task]) -> dict[str, GoldTrace | TraceError]:
        """Each task's trace by its id, or why there is none; a failed one is computed again at the
        next visit.

        Args:
            tasks: a task may occur more than once, and is then computed once.

        Raises:
            NoProcessError: nothing can be run at all.
        """
        found: dict[str, GoldTrace | TraceError] = {}
        for task in tasks:
            if task.id not in found:
                found[task.id] = self._known.get(task.id) or self._computed(task)
        return found

    def _computed(self, task: Task) -> GoldTrace | TraceError:
        try:
            trace = trusted_trace(task, self.env)
        except TraceError as error:
            return error
        if len(self._known) >= CACHED:
            self._known.clear()
        self._known[task.id] = trace
        return trace


def judge_turn(
    gold: GoldTrace, index: int, responses: Sequence[str], called: bool, matches: bool | None
) -> Verdict:
    """Verdict on turn `index`, at its end.

    Args:
        responses: all responses that the agent has seen so far, over all turns.
        called: whether the agent called a tool in this turn.
        matches: whether the state equals `gold.states[index]`; needed only where a tool was
            called in a turn with ground truth.
    """
    wanted = gold.responses[index]
    if not wanted:
        return Verdict(state=not called, exec=not called, empty=True)
    if not called:
        return Verdict(state=False, exec=False)
    return Verdict(state=bool(matches), exec=_contains(responses, wanted))


def _contains(responses: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether `wanted` is a multiset within `responses`."""
    if len(set(wanted)) == len(wanted):
        return set(wanted).issubset(responses)
    return not Counter(wanted) - Counter(responses)


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
) -> list[Verdict]:
    """Verdicts for logged calls, one sequence a turn; missing turns count as silent.

    Args:
        gold: the task's trace, if it is at hand.

    Raises:
        UserError: see `gold_trace`.
    """
    return score_many([(task, turns, gold or gold_trace(task, env))], env)[0].verdicts


class Scored(NamedTuple):
    """A logged episode's verdicts; `refusals` counts its calls that were stopped, by name, and
    `lost` tells why the session broke, which fails the turns from there on."""

    verdicts: list[Verdict]
    refusals: Counter[str]
    lost: str = ""


def score_many(
    episodes: Sequence[tuple[Task, Sequence[Sequence[Call]], GoldTrace]], env: Environment
) -> list[Scored]:
    """`score` for many episodes, handed to the environment together."""
    sessions = [env.open(task) for task, _, _ in episodes]
    steps = [
        Work(session, turns[index], gold.states[index])
        for session, (task, turns, gold) in zip(sessions, episodes, strict=True)
        for index in range(len(task.turns))
        if _executed(task, turns, index)
    ]
    outcomes = iter(env.execute(steps))
    scored = [_judge(task, turns, gold, outcomes) for task, turns, gold in episodes]
    for session in sessions:
        session.close()
    return scored


def _executed(task: Task, turns: Sequence[Sequence[Call]], index: int) -> bool:
    """Calls in a turn without ground truth are not executed."""
    return index < len(turns) and bool(turns[index]) and bool(task.turns[index].ground_truth)


def _judge(
    task: Task, turns: Sequence[Sequence[Call]], gold: GoldTrace, outcomes: Iterator[Outcome]
) -> Scored:
    responses: list[str] = []
    scored = Scored([], Counter())
    for index in range(len(task.turns)):
        called, matches = index < len(turns) and bool(turns[index]), None
        if _executed(task, turns, index):
            outcome = next(outcomes)
            responses += [seen.text for seen in outcome.observations]
            scored.refusals.update(seen.refused for seen in outcome.observations if seen.refused)
            matches = outcome.matches
            scored = scored._replace(lost=scored.lost or outcome.lost)
        scored.verdicts.append(judge_turn(gold, index, responses, called, matches))
    return scored
