"""Ray actors that make variants before their turn; see `rods.synthesis.ahead`.

Each actor has a pipeline of its own, which takes seconds to make and is kept. A Ray task without an
actor would make it again, because Ray ends its idle workers. An actor that has died is replaced by
a new one, perhaps on another node.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import ray

from rods.config import Config
from rods.errors import UserError, shown
from rods.policies.registry import kind_of
from rods.policies.tasks import pipeline_of
from rods.synthesis.ahead import Done, LostWork, Work, do_work
from rods.synthesis.pipeline import Pipeline
from rods.task import Task

EACH = 2  # works that an actor may have: one that it does, and one that waits
REASON = 200  # characters of an error that are shown


class Maker:
    """Makes variants, in an actor.

    Args:
        config: the run's configuration as JSON.
    """

    def __init__(self, config: str) -> None:
        self._config = Config.model_validate_json(config)
        self._made: Pipeline | None = None

    def do(self, work: Work) -> Done:
        """See `do_work`.

        Raises:
            UserError: this process cannot make the run's synthesis.
        """
        return do_work(self._pipeline, work)

    def learn(self, tasks: Sequence[Task]) -> None:
        """Add tasks to those that exist."""
        for task in tasks:
            self._pipeline.learn(task)

    def started(self) -> int:
        """The id of this process; answered as soon as the actor runs."""
        return os.getpid()

    @property
    def _pipeline(self) -> Pipeline:
        # Not made with the actor: Ray names no cause when an actor cannot be made.
        if self._made is None:
            tasks = kind_of(self._config.policy.name).tasks(self._config, lambda what, share: None)
            self._made = pipeline_of(self._config, tasks)
        return self._made


class RayPending:
    """A work that an actor has; see `ahead.Pending`."""

    def __init__(self, executor: RayExecutor, place: int, work: Work) -> None:
        self._executor, self._place = executor, place
        self._actor, self._started = executor.actors[place], executor.started[place]
        self._reference = self._actor.do.remote(work)

    def done(self) -> bool:
        return bool(ray.wait([self._reference], timeout=0)[0])

    def result(self) -> Done:
        try:
            self._wait()
            found: Done = ray.get(self._reference)
            return found
        except ray.exceptions.RayTaskError as error:
            why = shown(str(error.cause), REASON)
            raise UserError(f"a synthesis worker cannot work: {why}") from None
        except ray.exceptions.RayError as error:
            self._executor.replace(self._place, self._actor)
            raise LostWork(f"a synthesis worker has died ({shown(str(error), REASON)})") from None
        except LostWork:
            self._executor.replace(self._place, self._actor)
            raise

    def _wait(self) -> None:
        """Until there is a result.

        Raises:
            LostWork: there is none for a long time.
            UserError: the actor was not even started.
        """
        patience = self._executor.patience
        if ray.wait([self._reference], timeout=patience)[0]:
            return
        if not ray.wait([self._started], timeout=0)[0]:
            raise UserError("Ray starts no synthesis worker: is a CPU of the cluster free?")
        raise LostWork(f"a synthesis worker was silent for {patience:g} s")


class RayExecutor:
    """Actors that make variants; an `ahead.Executor`. Each takes a CPU of the cluster.

    Args:
        workers: number of actors.

    Attributes:
        actors: the living ones.
        started: for each of them what Ray answers as soon as it runs.
        patience: seconds after which an actor without an answer is replaced.
    """

    def __init__(self, config: Config, workers: int) -> None:
        self.patience = config.synthesis.job_seconds
        self._config = config.model_dump_json()
        self._known = list[Task]()
        self.actors = [self._start() for _ in range(workers)]
        self.started = [actor.started.remote() for actor in self.actors]
        self._under_way: list[list[RayPending]] = [[] for _ in self.actors]

    @property
    def most(self) -> int:
        return EACH * len(self.actors)

    def submit(self, work: Work) -> RayPending:
        """Give a work to the actor that has the fewest."""
        for place, works in enumerate(self._under_way):
            self._under_way[place] = [pending for pending in works if not pending.done()]
        place = min(range(len(self.actors)), key=lambda i: len(self._under_way[i]))
        pending = RayPending(self, place, work)
        self._under_way[place].append(pending)
        return pending

    def learn(self, tasks: Sequence[Task]) -> None:
        """Tell all actors, also those that will replace one."""
        self._known += tasks
        sent = ray.put(list(tasks))
        for actor in self.actors:
            actor.learn.remote(sent)

    def replace(self, place: int, actor: Any) -> None:
        """Start another actor instead of one that has died or is silent."""
        if self.actors[place] is not actor:
            return  # it was replaced already, because of another of its works
        ray.kill(actor)
        self.actors[place] = other = self._start()
        self.started[place] = other.started.remote()
        other.learn.remote(self._known)

    def close(self) -> None:
        """End all actors."""
        for actor in self.actors:
            ray.kill(actor)

    def _start(self) -> Any:
        maker = ray.remote(num_cpus=1, max_restarts=0, scheduling_strategy="SPREAD")(Maker)
        return maker.remote(self._config)
