"""A run's history in its store: how it begins, and the curriculum that it leads to."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

from rods.curriculum.curriculum import Curriculum
from rods.curriculum.pool import Event, ImpossibleEventError
from rods.errors import UserError
from rods.store.database import DAMAGED, FILE
from rods.store.store import Store
from rods.synthesis.jobs import Synthesis
from rods.task import Task

SEEDING = 2_000  # tasks a batch


def begin(
    store: Store, curriculum: Curriculum, synthesis: Synthesis, seeds: Collection[Task]
) -> None:
    """Put the seed tasks into an empty store and pool: all of them, or none after an error.

    Raises:
        UserError: there are none, or one occurs twice.
    """
    if not len(seeds):
        raise UserError("no seeds: a run begins with at least one task")
    with store.transaction():
        left = iter(seeds)
        while batch := list(islice(left, SEEDING)):
            events = [Event(0, 0, task.id, "seeded") for task in batch]
            store.add_tasks(batch, 0)
            store.add_events(events)
            try:
                curriculum.apply(events, {task.id: task.category for task in batch})
            except ImpossibleEventError:
                raise UserError(_doubled(seeds)) from None
            for task in batch:
                synthesis.learn(task)


def restore(store: Store, curriculum: Curriculum) -> None:
    """The curriculum as it was when the store's last row was written.

    Raises:
        UserError: the history cannot have happened.
    """
    last = store.epochs.last()
    open_epoch = last.number if last and last.closed is None else None
    with sound(store):
        events, groups = store.iter_events(), store.iter_groups()
        carried = store.epochs.carried()
        curriculum.replay(events, store.categories(), groups, open_epoch, carried)


def check_reached(store: Store, step: int) -> None:
    """The store must have come to that step.

    Raises:
        UserError: it ends before.
    """
    if step < 0:
        raise ValueError(f"step {step}: training steps are counted from 0")
    if (last := store.last_step()) < step:
        message = f"the store ends at step {last}, before the checkpoint at step {step}"
        way = f"bring {FILE}-wal back if it is missing, or remove that checkpoint to go on"
        raise UserError(f"{store.folder}: {message}; {way}")


@contextmanager
def sound(store: Store) -> Iterator[None]:
    """What the store says must be able to have happened.

    Raises:
        UserError: it cannot.
    """
    try:
        yield
    except ImpossibleEventError as error:
        file = store.folder / FILE
        raise UserError(f"{file}: its history says that {error}; {DAMAGED}") from None


def _doubled(tasks: Iterable[Task]) -> str:
    """Names the task that occurs twice among the seeds."""
    found: dict[str, str] = {}
    for task in tasks:
        name = task.source or task.id
        if task.id in found:
            return f"seeds: {name} is the same task as {found[task.id]}; remove one of them"
        found[task.id] = name
    return "seeds: a task occurs twice"
