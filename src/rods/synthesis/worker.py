"""Synthesis for a run: jobs become candidates, inline or in a worker process next to the trainer.

A job's outcome depends only on the run's random seed, the task, the step at which it was chosen and
the tasks that exist already. So if a worker dies during a job, the next worker does the job again.
`rods train` starts a worker (`rods.synthesis.supervisor`); `rods synth --follow RUN` starts one in
another terminal.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import ceil
from typing import NamedTuple

from rods.config import Config
from rods.errors import UserError, log_notice
from rods.job_result import ErrorText, JobResult, joined
from rods.stages import Stage
from rods.store.queue import TRIES
from rods.store.schema import Job
from rods.store.store import Store
from rods.synthesis.ahead import Ahead, Checked, Executor, LostWork, Work
from rods.synthesis.jobs import ErrorCounter, Synthesis, do_job
from rods.task import Task

MOST_USELESS = 1_000  # fresh tasks in a row that cannot be used
PAUSE = 0.3  # seconds before it looks for a job again
FRESH = "seconds of fresh tasks"  # key in the store: how long they took to make
KNOWN = "known already"  # outcome of a job whose variant is already stored


class Producer:
    """Turns jobs into candidates. It sets the patience of the store's queue.

    Args:
        config: of the run.
        notice: called with one line at the first error, and when synthesis is given up.
        executor: other processes that make variants before their turn, with the same result.

    Raises:
        UserError: there is an executor, and this synthesis cannot use one.

    Attributes:
        errors: counts the jobs that ended in an error.
        ahead: the works of the executor, if there is one.
    """

    ahead: Ahead | None = None
    _told = False  # the executor of all tasks in the store

    def __init__(
        self,
        store: Store,
        synthesis: Synthesis,
        config: Config,
        notice: Callable[[str], None] = log_notice,
        executor: Executor | None = None,
    ) -> None:
        self.store, self.queue, self.synthesis = store, store.queue, synthesis
        self.random_seed, self.notice = config.seed, notice
        self.each = ceil(config.synthesis.surplus)  # variants of a parent task, at most
        self.tasks_per_step = config.rollout.tasks_per_step
        self.errors = ErrorCounter(config.synthesis.errors)
        self.queue.patience = config.synthesis.patience
        if executor is not None:
            if not isinstance(synthesis, Checked):
                raise UserError("this synthesis cannot be done by other processes")
            self.ahead = Ahead(synthesis, executor)

    def catch_up(self) -> None:
        """Learn all tasks in the store, so that none of them is made again."""
        for task in self._stored():
            self.synthesis.learn(task)

    def _stored(self) -> list[Task]:
        return [*self.store.tasks().values(), *self.queue.candidates()]

    def _learn(self, task: Task) -> None:
        self.synthesis.learn(task)
        if self.ahead is not None:
            self.ahead.executor.learn([task])

    def fill(self, target: int, epoch: int, step: int) -> None:
        """Do jobs until `target` candidates wait, no job is left, or synthesis is given up."""
        missing = target - self.queue.counts(epoch)[1]
        jobs = self.queue.open_jobs(epoch) if missing > 0 else []
        for place, job in enumerate(jobs):
            if missing <= 0 or self.errors.gave_up:
                break
            self._begin(jobs[place:], missing)
            missing -= self.do(job, step, self.share(missing, len(jobs) - place))
        if self.ahead is not None:
            self.ahead.drop()

    def _begin(self, jobs: Sequence[Job], missing: int) -> None:
        """Let other processes begin what will be needed if all jobs succeed.

        So nothing is made in vain unless a job fails.
        """
        if self.ahead is None:
            return
        if not self._told:
            self.ahead.executor.learn(self._stored())
            self._told = True
        self.ahead.begin(self._next_works(self.ahead, jobs, missing))

    def _next_works(self, ahead: Ahead, jobs: Sequence[Job], missing: int) -> Iterator[Work]:
        """The works that were not begun, of the next jobs."""
        for place, job in enumerate(islice(jobs, ahead.executor.most)):
            if missing <= 0:
                return
            most = self.share(missing, len(jobs) - place)
            for number in range(most):
                if self._seed(job, number) not in ahead and (work := self._work(job, number)):
                    yield work
            missing -= most

    def share(self, missing: int, jobs: int) -> int:
        """Variants that one of some open jobs should make, so that all parent tasks have some."""
        return max(1, min(self.each, ceil(missing / max(1, jobs))))

    def do(self, job: Job, step: int, most: int = 1) -> int:
        """Do one job, see `do_job`; returns how many candidates it made.

        Args:
            step: the one that the candidates belong to.
            most: variants that are made; the first failure ends the job.

        Raises:
            UserError: the store cannot be written.
        """
        self.queue.take(job)
        made, lost = list[JobResult](), ""
        try:
            while len(made) < most and (not made or made[-1].variants):
                made.append(self._made(job, len(made)))
        except LostWork as error:
            lost = str(error)
            self.notice(lost)
        if not made:  # it stays open, and has no more starts
            self._count(ErrorText(lost, ""), stored=False)
            return 0
        result = joined(made)
        try:
            self.queue.finish(job, result, step)
        except BaseException:
            self.synthesis.forget([task.id for task in result.variants])  # they are not stored
            raise
        self._count(ErrorText(lost, "") if lost else result.error, stored=not lost)
        return len(result.variants)

    def _made(self, job: Job, number: int) -> JobResult:
        """A variant of the job's parent task, which is learned, so that the next one is another.

        Args:
            number: of the variant in the job.

        Raises:
            LostWork: all processes that began it have died.
        """
        result = self._by_others(job, number)
        if result is None:
            rng = random.Random(self._seed(job, number))
            result = do_job(self.synthesis, map(self.queue.parent, [job]), rng, job.epoch + 1)
        if result.variants and self.store.has_task(result.variants[0].id):
            result = result._replace(outcome=KNOWN, variants=[])
        for task in result.variants:
            self._learn(task)
        return result

    def _seed(self, job: Job, number: int) -> str:
        further = f" {number}" if number else ""
        return f"{self.random_seed} {job.step} {job.task_id}{further}"

    def _work(self, job: Job, number: int) -> Work | None:
        """A variant as others need to know it; None: its parent task cannot be read."""
        try:
            return Work(self.queue.parent(job), self._seed(job, number), job.epoch + 1)
        except UserError:  # which becomes the job's outcome when its turn comes
            return None

    def _by_others(self, job: Job, number: int) -> JobResult | None:
        """What another process made; None if it must be made in this one.

        Raises:
            LostWork: all processes that began it have died.
        """
        work = self._work(job, number) if self.ahead else None
        if self.ahead is None or work is None:
            return None
        for start in range(job.taken + 1, TRIES + 1):
            try:
                return self.ahead.take(work)
            except LostWork as lost:
                if start == TRIES:
                    raise LostWork(f"a job is given up after {TRIES} starts: {lost}") from None
            self.queue.take(job)
        return None

    def fresh(self, stage: Stage, epoch: int, seeds: int) -> Iterator[Task]:
        """The tasks of an epoch of the arm `fresh`: as many as there are seeds, in whole steps.

        Args:
            stage: of the epoch.
            seeds: number of seed tasks.

        Raises:
            UserError: synthesis makes no new tasks of the stage's categories.
        """
        categories, size = stage.categories, self.tasks_per_step
        target, began = max(1, seeds // size) * size, time.monotonic()
        rng, made, useless = random.Random(f"{self.random_seed} epoch {epoch}"), set[str](), 0
        while len(made) < target:
            task = self.synthesis.fresh(rng, epoch)
            fits = task.category in categories or not categories
            if fits and task.id not in made and not self.store.has_task(task.id):
                made.add(task.id)
                useless = 0
                self._learn(task)
                yield task
            elif (useless := useless + 1) >= MOST_USELESS:
                names = f" or none of {', '.join(categories)}" if categories else ""
                found = f"the last {MOST_USELESS} of them are known{names}"
                raise UserError(f"--arm fresh: synthesis makes no new tasks ({found})")
        earlier = self.store.meta(FRESH) or 0.0
        self.store.set_meta(FRESH, earlier + time.monotonic() - began)

    def _count(self, error: ErrorText | None, *, stored: bool = True) -> None:
        """Count the end of a job.

        Args:
            stored: whether the error is in the store.
        """
        self.errors.add(error)
        if error is None:
            return
        if self.errors.total == 1 and stored:
            self.notice(f"an error in synthesis: {error.line}; the report shows its traceback")
        if why := self.errors.gave_up:
            self.notice(f"synthesis is given up: {why}; training continues without it")


class WorkerProgress(NamedTuple):
    """What a worker has done, and what is left to do.

    Attributes:
        jobs: done.
        candidates: made.
        open: jobs that are not done yet.
        waiting: candidates that wait.
        bound: number of waiting candidates at which it pauses.
        errors: jobs that ended in one.
        gave_up: why it gave synthesis up, or "".
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
    """Does jobs until it is stopped.

    Args:
        stop: called between jobs; whether to stop.
        report: called after every job, and repeatedly while there is no job.
        notice: called with one line that a person should see at once.
    """

    config: Config
    store: Store
    synthesis: Synthesis
    stop: Callable[[], bool] = lambda: False
    report: Callable[[WorkerProgress], None] = lambda count: None
    pause: float = PAUSE
    notice: Callable[[str], None] = log_notice

    def run(self, *, once: bool = False) -> WorkerProgress:
        """Do jobs until it is stopped or too many jobs in a row ended in an error.

        Args:
            once: also end if there is no job left.

        Raises:
            UserError: the store cannot be written.
        """
        queue = self.store.queue
        producer = Producer(self.store, self.synthesis, self.config, self.notice)
        producer.catch_up()
        errors, count = producer.errors, WorkerProgress()
        while not (errors.gave_up or self.stop()):
            epoch = self.store.epochs.last_index()
            jobs, waiting = queue.counts(epoch)
            count = count._replace(open=jobs, waiting=waiting, bound=self.bound())
            job = queue.next_job(epoch) if waiting < count.bound else None
            if job is None:
                self.report(count)
                if once:
                    break
                time.sleep(self.pause)
                continue
            most = producer.share(count.bound - waiting, jobs)
            made = producer.do(job, self.store.last_step(), most)
            count = count._replace(
                jobs=count.jobs + 1,
                candidates=count.candidates + made,
                open=jobs - 1,
                waiting=waiting + made,
                errors=errors.total,
                gave_up=errors.gave_up,
            )
            self.report(count)
        return count

    def bound(self) -> int:
        """The number of candidates that the next end of an epoch can admit, or as configured."""
        return self.config.synthesis.waiting or self.store.epochs.wanted()
