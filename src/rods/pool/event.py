"""A change of the pool. The present state is the fold of all events."""

from __future__ import annotations

from typing import NamedTuple


class ImpossibleEventError(ValueError):
    """An event that cannot happen to its task: the history is not one of this pool."""


class Event(NamedTuple):
    """One change of the pool, or a use of one of its tasks.

    Kinds: seeded; chosen (as a seed for variants); injected (reason: the parent's id); passed (a
    trial: burn-in of a new task, or an original's re-examination, then with the reason); rested
    (originals, reason: why), woken (reason: why it rested); retired (reason: why).

    Attributes:
        step: training step that it belongs to, from 1; an epoch's end belongs to the step after.
        epoch: the first epoch that it takes effect in.
    """

    step: int
    epoch: int
    task_id: str
    kind: str
    reason: str = ""


BEFORE: dict[str, tuple[str, ...]] = {  # kind -> states in which it may happen to a task
    "seeded": ("",),
    "injected": ("",),
    "chosen": ("trial", "active", "resting"),
    "passed": ("trial",),
    "rested": ("trial", "active"),
    "woken": ("resting",),
    "retired": ("trial", "active"),
}
AFTER = {
    "seeded": "active",
    "injected": "trial",
    "passed": "active",
    "rested": "resting",
    "woken": "trial",
    "retired": "retired",
}
LIVE = ("trial", "active")  # states in which a task is drawn
