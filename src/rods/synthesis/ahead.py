"""Variants that are made before their turn, by any number of other processes, with the same result.

In one process a variant is learned before the next one is made, so it depends on those before it.
It does so only by what `fault` answered about the tasks that it tried. Another process makes it
with the tasks that it happens to know, and sends these questions with their answers. When its turn
comes, the questions are asked again. If all answers are the same, so is the variant, because the
rest depends on its parent task and its random numbers only. If one differs, the variant is made
again in this process, as it would be without other processes.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import NamedTuple, Protocol, runtime_checkable

from rods.job_result import JobResult
from rods.synthesis.critique import Question
from rods.synthesis.jobs import Synthesis, do_job
from rods.task import Task


class Work(NamedTuple):
    """One variant to be made.

    Attributes:
        seed: of its random numbers; no two works of a run have the same one.
        epoch: the one that it is made in.
    """

    parent: Task
    seed: str
    epoch: int


class Done(NamedTuple):
    """A work that was done.

    Attributes:
        asked: about the tasks that exist, in order.
    """

    result: JobResult
    asked: Sequence[Question]


class LostWork(Exception):
    """The process that did a work has died."""


class Pending(Protocol):
    """A work that another process does."""

    def done(self) -> bool:
        """Whether `result` would return at once, or raise."""

    def result(self) -> Done:
        """Wait for it.

        Raises:
            LostWork: its process has died.
            UserError: no process can do any work.
        """


class Executor(Protocol):
    """Other processes that do works."""

    @property
    def most(self) -> int:
        """Works that may be under way, so that a slow one does not let the others pile up."""

    def submit(self, work: Work) -> Pending:
        """Begin a work."""

    def learn(self, tasks: Sequence[Task]) -> None:
        """Tell all processes of tasks that exist. What they do not know costs time only."""


@runtime_checkable
class Checked(Synthesis, Protocol):
    """Synthesis that depends on the tasks that exist by the answers of `fault` only."""

    def fault(self, task: Task) -> str:
        """Why a task is too near to those that exist, or ""."""

    def questions(self) -> AbstractContextManager[list[Question]]:
        """A list to which all calls of `fault` inside are added, also those by `vary`."""


def do_work(synthesis: Checked, work: Work) -> Done:
    """Do a work in this process."""
    with synthesis.questions() as asked:
        result = do_job(synthesis, [work.parent], random.Random(work.seed), work.epoch)
    return Done(result, asked)


class Ahead:
    """The works that are under way or wait for their turn.

    Args:
        synthesis: of this process, which knows all tasks that exist.

    Attributes:
        taken, again: results that were used, and those that another task has made void.
    """

    def __init__(self, synthesis: Checked, executor: Executor) -> None:
        self.synthesis, self.executor = synthesis, executor
        self.taken = self.again = 0
        self._pending: dict[str, Pending] = {}  # by the work's seed
        self._left: list[Pending] = []  # not needed any more, but under way

    def __contains__(self, seed: str) -> bool:
        """Whether the work with this seed was begun and not taken."""
        return seed in self._pending

    def begin(self, works: Iterator[Work]) -> None:
        """Begin works that were not begun, until as many are under way as may be."""
        self._left = [pending for pending in self._left if not pending.done()]
        room = self.executor.most - len(self._left)
        room -= sum(not pending.done() for pending in self._pending.values())
        for work in islice(works, max(0, room)):
            self._pending[work.seed] = self.executor.submit(work)

    def take(self, work: Work) -> JobResult | None:
        """The result of a work whose turn it is; None if it must be done in this process.

        Raises:
            LostWork: the process that did it has died.
            UserError: no process can do any work.
        """
        pending = self._pending.pop(work.seed, None) or self.executor.submit(work)
        done = pending.result()
        # An error may be one of that machine only; here it shows whether it is.
        if done.result.error is None and self._same(done.asked):
            self.taken += 1
            return done.result
        self.again += 1
        return None

    def drop(self) -> None:
        """Forget all works; their turn will not come."""
        self._left += self._pending.values()
        self._pending.clear()

    def _same(self, asked: Iterable[Question]) -> bool:
        return all(self.synthesis.fault(question.task) == question.fault for question in asked)
