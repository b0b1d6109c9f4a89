"""Plays the episodes of an evaluation that are not kept yet, and keeps them.

An agent whose episodes do not depend on each other, such as an endpoint, plays from one queue: as
many at once as there are places, and the next begins when one ends. A policy that answers episodes
in batches plays fixed blocks, each kept whole: so a resumed evaluation has the same batches and
the same random draws as one that was not interrupted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from rods.endpoint.fault import Cause, Fault
from rods.errors import UserError, shown
from rods.evaluation.episodes import EpisodeRow, Job
from rods.evaluation.folder import EvaluationFolder
from rods.rollout.agent import Agent
from rods.rollout.runner import EpisodeRunner, Played

PATIENCE = 3  # episodes in a row whose agent failed, after which the evaluation ends
MOST_SHOWN = 300  # characters of an error
Failures = dict[tuple[str, int], Exception]
"""Task and run of the episodes whose agent failed, and why."""


@dataclass
class Evaluator:
    """Plays the jobs of an evaluation.

    Args:
        tick: called after episodes were kept.

    Attributes:
        failed: the episodes whose agent failed; the same command plays them again.
    """

    runner: EpisodeRunner
    folder: EvaluationFolder
    jobs: Sequence[Job]
    tick: Callable[[], None] = lambda: None
    failed: Failures = field(default_factory=dict)
    _in_a_row: int = 0

    def left(self) -> list[Job]:
        """The jobs whose episodes are not kept."""
        kept = {row.key for row in self.folder.rows}
        return [job for job in self.jobs if job.key not in kept]

    async def play_queue(self, agent: Callable[[Job], Agent[Any]], places: int) -> None:
        """Play the jobs with an agent each, so many at once.

        Raises:
            UserError: no episode can be played, or too many in a row have failed.
        """
        waiting = deque(self.left())

        async def place() -> None:
            while waiting:
                job = waiting.popleft()
                (played,) = await self.runner.play_with(agent(job), [job.task])
                self._keep([job], [played])

        playing = [asyncio.create_task(place()) for _ in range(min(places, len(waiting)))]
        try:
            await asyncio.gather(*playing)
        finally:
            for task in playing:
                task.cancel()
            await asyncio.gather(*playing, return_exceptions=True)

    async def play_blocks(self, agent: Callable[[int], Agent[Any]], size: int) -> None:
        """Play the jobs in blocks of this size, each with the agent of the block's index."""
        left = {job.key for job in self.left()}
        for index, block in enumerate(_blocks(self.jobs, size)):
            new = [place for place, job in enumerate(block) if job.key in left]
            if new:
                played = await self.runner.play_with(agent(index), [job.task for job in block])
                self._keep([block[place] for place in new], [played[place] for place in new])

    def _keep(self, jobs: Sequence[Job], played: Sequence[Played[Any]]) -> None:
        rows: list[EpisodeRow] = []
        for job, (episode, seat, seconds) in zip(jobs, played, strict=True):
            if seat.failure is None:
                rows.append(EpisodeRow.of(job, episode, seat, seconds))
                self._in_a_row = 0
            else:
                self._count(job, seat.failure)
        self.folder.append(rows)
        self.tick()

    def _count(self, job: Job, failure: Exception) -> None:
        """Count an episode whose agent failed.

        Raises:
            UserError: too many in a row have failed. A refusal of one request is no sign of that.
        """
        self.failed[job.key] = failure
        if isinstance(failure, Fault) and failure.cause is Cause.REFUSED:
            return
        self._in_a_row += 1
        if self._in_a_row >= PATIENCE:
            why = shown(str(failure), MOST_SHOWN)
            raise UserError(f"{PATIENCE} episodes in a row were not answered: {why}")


def _blocks(jobs: Iterable[Job], size: int) -> Iterable[list[Job]]:
    left = iter(jobs)
    while block := list(islice(left, size)):
        yield block
