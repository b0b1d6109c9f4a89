"""How a run begins in its store, and how its curriculum is restored from the stored history."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

from rods.config import Config
from rods.curriculum.curriculum import Curriculum
from rods.curriculum.pool import Event, ImpossibleEventError
from rods.errors import UserError
from rods.stages import stage_after
from rods.store.database import DAMAGED, FILE
from rods.store.schema import Epoch
from rods.store.store import Store
from rods.synthesis.jobs import Synthesis
from rods.task import Task

SEEDING = 2_000  # tasks in a batch


def begin(
    store: Store, curriculum: Curriculum, synthesis: Synthesis, seeds: Collection[Task]
) -> None:
    """Put the seed tasks into an empty store and pool; after an error the store has none of them.

    Raises:
        UserError: there are no seed tasks, or one occurs twice.
    """
    if not len(seeds):
        raise UserError("no seed tasks: a run begins with at least one")
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


def restore(store: Store, curriculum: Curriculum, last: Epoch | None) -> None:
    """Bring a new curriculum to the state that the store's events and groups lead to.

    Args:
        last: the store's last epoch.

    Raises:
        UserError: the stored history is impossible.
    """
    open_epoch = last.number if last and last.closed is None else None
    with possible(store):
        events, groups = store.iter_events(), store.iter_groups()
        carried = store.epochs.carried()
        curriculum.replay(events, store.categories(), groups, open_epoch, carried)


def next_stage(config: Config, store: Store, last: Epoch | None, step: int) -> int:
    """Index of the next epoch's stage.

    Args:
        last: the latest epoch, which has ended; None if there was none.
        step: training steps so far.
    """
    if last is None:
        return 0
    stages = config.stages
    number = max(0, min(last.stage, len(stages) - 1))  # a store may have damaged it
    first, epochs = store.epochs.of_stage(number)
    curve, norms = list[tuple[int, float]](), dict[int, float]()
    if stages[number].plateau:
        curve, norms = store.measures.validation(first - 1), store.measures.gradient_norms(first)
        if not curve or curve[-1][0] != step:  # the end of this epoch was not measured
            curve = []
    return stage_after(stages, number, epochs, curve, norms, step / config.steps)


def check_reached(store: Store, step: int) -> None:
    """Check that the store reaches a training step.

    Raises:
        UserError: it ends before that step.
    """
    if step < 0:
        raise ValueError(f"step {step}: training steps are counted from 0")
    if (last := store.last_step()) < step:
        message = f"the store ends at step {last}, before the checkpoint at step {step}"
        way = f"bring {FILE}-wal back if it is missing, or remove that checkpoint to go on"
        raise UserError(f"{store.folder}: {message}; {way}")


@contextmanager
def possible(store: Store) -> Iterator[None]:
    """An impossible event inside is reported as damage of the store.

    Raises:
        UserError: instead of an ImpossibleEventError.
    """
    try:
        yield
    except ImpossibleEventError as error:
        file = store.folder / FILE
        raise UserError(f"{file}: its history says that {error}; {DAMAGED}") from None


def _doubled(tasks: Iterable[Task]) -> str:
    """The message that names the task that occurs twice."""
    found: dict[str, str] = {}
    for task in tasks:
        name = task.label
        if task.id in found:
            return f"seed tasks: {name} is the same as {found[task.id]}; remove one of them"
        found[task.id] = name
    return "seed tasks: a task occurs twice"
