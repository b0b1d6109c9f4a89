"""Synthesis on a run's store: jobs become candidates, inline or by a process beside the trainer.

A job's outcome depends on the run's seed, the task and the step at which it was chosen, and on what
exists already, so what a worker was doing when it died is simply done again by the next one. `rods
train` starts one (`rods.synthesis.supervisor`), or somebody does in another terminal (`rods synth
--follow RUN`).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from rods.config import Config
from rods.errors import tell_log
from rods.made import Trace
from rods.store.schema import Job
from rods.store.store import Store
from rods.synthesis.jobs import MOST, Synthesis, Trouble, do_job

PAUSE = 0.3  # seconds between two looks for work
KNOWN = "known already"  # outcome of a job whose variant was stored before


class Producer:
    """Turns jobs into candidates.

    Args:
        seed: the run's.
        most: errors in a row after which synthesis is given up.
        tell: called with one line at the first error, and when synthesis is given up.

    Attributes:
        trouble: the errors so far.
    """

    def __init__(
        self,
        store: Store,
        synthesis: Synthesis,
        seed: int,
        most: int = MOST,
        tell: Callable[[str], None] = tell_log,
    ) -> None:
        self.store, self.queue, self.synthesis = store, store.queue, synthesis
        self.seed, self.trouble, self.tell = seed, Trouble(most), tell

    def catch_up(self) -> None:
        """Learn of all tasks in the store, so that none of them is made again."""
        for task in (*self.store.tasks().values(), *self.queue.candidates()):
            self.synthesis.learn(task)

    def fill(self, wanted: int, epoch: int, step: int) -> None:
        """Do jobs until so many candidates wait, no job is left, or synthesis is given up."""
        missing = wanted - len(self.queue.waiting(epoch))
        for job in self.queue.open_jobs(epoch) if missing > 0 else ():
            if missing <= 0 or self.trouble.gave_up:
                break
            missing -= self.do(job, step)

    def do(self, job: Job, step: int) -> int:
        """Do one job, see `do_job`; returns how many candidates it brought.

        Args:
            step: that the candidates belong to.

        Raises:
            UserError: the store cannot be written.
        """
        self.queue.take(job)
        rng = random.Random(f"{self.seed} {job.step} {job.task_id}")
        made = do_job(self.synthesis, map(self.queue.parent, [job]), rng, job.epoch + 1)
        if made.variants and self.store.has_task(made.variants[0].id):
            made = made._replace(outcome=KNOWN, variants=[])
        self.queue.finish(job, made, step)
        self._note(made.error)
        return len(made.variants)

    def _note(self, error: Trace | None) -> None:
        self.trouble.note(error)
        if error is None:
            return
        if self.trouble.errors == 1:
            self.tell(f"an error in synthesis: {error.line}; the report shows its traceback")
        if why := self.trouble.gave_up:
            self.tell(f"synthesis is given up: {why}; training continues without it")


class Count(NamedTuple):
    """What a worker has done and sees before it.

    Attributes:
        bound: candidates that wait at which it pauses.
        errors: jobs that ended in one.
        gave_up: why it stopped synthesis, or "".
    """

    jobs: int = 0
    candidates: int = 0
    open: int = 0
    waiting: int = 0
    bound: int = 0
    errors: int = 0
    gave_up: str = ""


@dataclass
class SynthesisWorker:
    """Does jobs until it is told to stop.

    Args:
        stop: asked between jobs.
        tell: told after every job, and while there is nothing to do.
        notice: called with one line that a person should see at once.
    """

    config: Config
    store: Store
    synthesis: Synthesis
    stop: Callable[[], bool] = lambda: False
    tell: Callable[[Count], None] = lambda count: None
    pause: float = PAUSE
    notice: Callable[[str], None] = tell_log

    def run(self, *, once: bool = False) -> Count:
        """Work, until too many jobs in a row ended in an error.

        Args:
            once: end where there is nothing left to do.

        Raises:
            UserError: the store cannot be written.
        """
        settings, queue = self.config.synthesis, self.store.queue
        queue.patience = settings.patience
        seed, most = self.config.seed, settings.errors
        producer = Producer(self.store, self.synthesis, seed, most, self.notice)
        producer.catch_up()
        trouble, count = producer.trouble, Count()
        while not (trouble.gave_up or self.stop()):
            epoch = self.store.epochs.last_index()
            jobs, waiting = queue.counts(epoch)
            count = count._replace(open=jobs, waiting=waiting, bound=self.bound())
            job = queue.next_job(epoch) if waiting < count.bound else None
            if job is None:
                self.tell(count)
                if once:
                    break
                time.sleep(self.pause)
                continue
            made = producer.do(job, self.store.last_step())
            count = count._replace(
                jobs=count.jobs + 1,
                candidates=count.candidates + made,
                open=jobs - 1,
                waiting=waiting + made,
                errors=trouble.errors,
                gave_up=trouble.gave_up,
            )
            self.tell(count)
        return count

    def bound(self) -> int:
        """More than the next end of an epoch can take in are not made beforehand."""
        return self.config.synthesis.waiting or self.store.epochs.wanted()
