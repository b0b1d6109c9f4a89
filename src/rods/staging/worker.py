"""The synthesis worker: a process beside the trainer that turns boundary seeds into candidates.

It takes jobs from the run's store and gives candidates back; what it was doing when it died is done
again by the next one. `rods train` starts one (`rods.staging.supervisor`), or somebody does in
another terminal (`rods synth --follow RUN`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from rods.config import Config
from rods.notice import tell_log
from rods.staging.producer import Producer
from rods.staging.trouble import Trouble
from rods.store.queue import Queue
from rods.store.store import Store
from rods.synthesis.backend import Synthesis

PAUSE = 0.3  # seconds between two looks for work


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
class Worker:
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
        queue = Queue(self.store, self.config.synthesis.patience)
        trouble = Trouble(self.config.synthesis.errors, self.notice)
        producer = Producer(self.store, queue, self.synthesis, self.config.seed, trouble)
        producer.catch_up()
        count = Count()
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
