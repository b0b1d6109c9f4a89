"""What the store keeps beside tasks, groups and events of the pool."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from rods.job_result import ErrorText


class Evaluation(NamedTuple):
    """A measurement on held-out tasks after `step` updates.

    `side` is "validation" or "test", `category` a task category or "overall"; `progress` and
    `complete` are means over `episodes`.
    """

    step: int
    side: str
    category: str
    progress: float
    complete: float
    episodes: int


class Epoch(NamedTuple):
    """An epoch that was drawn.

    Attributes:
        first_step: training step of its first tasks.
        closed: the step after its end, or None while it goes on.
        task_ids: its fixed order.
    """

    number: int
    first_step: int
    closed: int | None
    task_ids: list[str]

    def ids(self, step: int, size: int) -> Sequence[str]:
        """Tasks of a training step, `size` or none: none of a step that is not of this epoch."""
        start = (step - self.first_step) * size
        return [] if self.closed is not None else self.task_ids[start : start + size]


class EndRow(NamedTuple):
    """The end of an epoch.

    Attributes:
        step: that its changes belong to.
        carried: see `Admission.carried`.
    """

    epoch: int
    step: int
    carried: Fraction


class Job(NamedTuple):
    """A boundary task that variants are to be made of.

    Attributes:
        step: at which it was chosen.
        taken: how often somebody began with it.
    """

    step: int
    epoch: int
    task_id: str
    priority: float
    taken: int = 0


class Candidate(NamedTuple):
    """A verified variant that waits to be injected."""

    task_id: str
    parent: str
    category: str


class Errors(NamedTuple):
    """The jobs that ended in an error, and the first one.

    Attributes:
        jobs: how many.
        step: that the first one's row belongs to.
        task_id: that was to be varied.
    """

    jobs: int
    step: int
    task_id: str
    first: ErrorText


class Fates(NamedTuple):
    """Candidates by their fate.

    Attributes:
        waiting: those that may still join.
        expired: those that are too old to be admitted.
    """

    made: int
    injected: int
    waiting: int
    expired: int
