"""Traces of ground truths, verdicts on turns and rewards, as EnvTuning and the paper define them.

Progress is R_P = (1/N) * sum_t state_t * exec_t over all N scripted turns, reached or not. Each
turn is compared with the ground truth of all turns up to it, whatever the agent did before. The
ground truth is deterministic, so its trace is computed once for each task.

Departure from BFCL: the official checker ignores turns without ground truth. Here, as in the paper,
such a turn passes if the agent makes no call in it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass

from rods.envs.base import Environment, Work
from rods.envs.calls import TRIES
from rods.envs.state import State, shared
from rods.errors import NoProcessError, UserError
from rods.task import Task

VERSION = 1  # of the reward; a run is not resumed under another version
CACHED = 4096  # traces in memory


@dataclass(frozen=True)
class GoldTrace:
    """The execution of a ground truth: for each turn its responses and the state after it."""

    responses: tuple[tuple[str, ...], ...]
    states: tuple[State, ...]
    failed: str = ""
    """The first call that could not be executed at all, with its place and response."""
    error_free: bool = True
    """Whether every call was executed and no response is an error."""

    @property
    def clean(self) -> bool:
        """Whether every call was executed."""
        return not self.failed

    @property
    def record(self) -> tuple[str, ...]:
        """A digest of each turn's responses and the state after it, equal in every process."""
        digests = (state.digest for state in self.states)
        return record_of(zip(self.responses, digests, strict=True))


NO_TRACE = GoldTrace((), (), failed="it was not replayed", error_free=False)
"""Placeholder for a ground truth that could not be replayed."""


class TraceError(UserError):
    """The environment cannot replay a ground truth. This is no sign of the task's difficulty."""


@dataclass(frozen=True)
class Verdict:
    """The check of one turn.

    Attributes:
        state: whether the state is that of the ground truth.
        exec: whether the agent got the responses of the ground truth.
        empty: whether the turn has no ground truth.
    """

    state: bool
    exec: bool
    empty: bool = False

    @property
    def passed(self) -> bool:
        return self.state and self.exec

    def text(self, *, called: bool) -> str:
        """For people: "passed", or why the turn failed.

        Args:
            called: whether the agent called a tool in this turn.
        """
        if self.passed:
            return "passed"
        if self.empty:
            return "failed: a tool was called, and no call is right here"
        if not called:
            return "failed: no tool was called"
        state = [] if self.state else ["the state differs from the ground truth's"]
        seen = [] if self.exec else ["responses of the ground truth are missing"]
        return f"failed: {' and '.join([*state, *seen])}"


def record_of(turns: Iterable[tuple[Sequence[str], str]]) -> tuple[str, ...]:
    """A digest of each turn's responses and the digest of the state after it."""
    return tuple(
        hashlib.sha256(json.dumps([list(said), state]).encode()).hexdigest()[:16]
        for said, state in turns
    )


def gold_trace(task: Task, env: Environment) -> GoldTrace:
    """Execute the ground truth in a fresh session.

    Raises:
        UserError: the task cannot be opened, or the session is lost during its ground truth.
    """
    with closing(env.open(task)) as session:
        steps = [Work(session, turn.ground_truth, None, True) for turn in task.turns]
        outcomes = env.execute(steps)
    states = tuple(shared(o.state for o in outcomes if o.state is not None))
    if len(states) < len(task.turns):
        why = next(o.lost for o in outcomes if o.state is None)
        raise UserError(f"task {task.label}: the ground truth cannot be run: {why}")
    failed = (
        f"turns.{i}.calls.{j}: fails: {seen.text[:200]}"
        for i, outcome in enumerate(outcomes)
        for j, seen in enumerate(outcome.observations)
        if seen.raised
    )
    error_free = all(seen.ok for o in outcomes for seen in o.observations)
    responses = tuple(tuple(seen.text for seen in o.observations) for o in outcomes)
    return GoldTrace(responses, states, next(failed, ""), error_free)


def trusted_trace(task: Task, env: Environment) -> GoldTrace:
    """A trace to score against: every call was executed, and the task's record is repeated.

    A trace without one of these is computed again: otherwise a call that stalled once would define
    the right answer.

    Raises:
        TraceError: it failed `TRIES` times; the message names the task and the call.
        NoProcessError: no process can be started.
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
        why = f"task {task.label}: {trace.failed or 'its record is not repeated'}"
    raise TraceError(f"{why} (tried {TRIES} times)")


class Traces:
    """Caches the trusted traces of an environment's tasks."""

    def __init__(self, env: Environment) -> None:
        self.env = env
        self._known: dict[str, GoldTrace] = {}

    def visit(self, tasks: Iterable[Task]) -> dict[str, GoldTrace | TraceError]:
        """Each task's trace by its id, or the error; after an error the next visit tries again.

        Args:
            tasks: a task may occur more than once; its trace is computed once.

        Raises:
            NoProcessError: no process can be started.
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
        responses: all responses that the agent has got so far, over all turns.
        called: whether the agent called a tool in this turn.
        matches: whether the state equals `gold.states[index]`; needed only if a tool was
            called in a turn with ground truth.
    """
    expected = gold.responses[index]
    if not expected:
        return Verdict(state=not called, exec=not called, empty=True)
    if not called:
        return Verdict(state=False, exec=False)
    return Verdict(state=bool(matches), exec=_contains(responses, expected))


def _contains(responses: Sequence[str], expected: Sequence[str]) -> bool:
    """Whether `expected` is a multiset contained in `responses`."""
    if len(set(expected)) == len(expected):
        return set(expected).issubset(responses)
    return not Counter(expected) - Counter(responses)


def progress(verdicts: Sequence[Verdict], turns: int) -> float:
    """Share of the task's `turns` that passed; unreached turns count as failed."""
    return sum(v.passed for v in verdicts) / turns


def format_reward(rounds: int, malformed: int, clean: int, raised: int) -> float:
    """Stage-1 reward in [0, 2]: I_tool * (R_format + R_tool).

    Args:
        rounds: interaction rounds, i.e. actions of the agent.
        malformed: rounds that could not be parsed (code -3).
        clean: rounds whose calls were executed (code -1).
        raised: rounds in which some call failed to execute (code -2).
    """
    if clean + raised == 0:
        return 0.0
    return (rounds - malformed) / rounds + clean / (clean + raised)
