"""One simulated run: the real loop, with a simulated learner as the trainer."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from rods.config import Config
from rods.group import GroupRewards
from rods.loop import Loop
from rods.simulate.learner import Learner
from rods.simulate.measures import Point, Tally, on_heldout, seeds_mastered
from rods.simulate.settings import Settings
from rods.simulate.world import SimulatedSynthesis, SimulatedWorld
from rods.store.store import Store
from rods.synthesis.worker import Producer

OnStep = Callable[[int], None]


def ignore(groups: int) -> None:
    """Do nothing after a step."""


class Simulation:
    """A world, a learner, and the loop with a new store.

    Args:
        config: of the loop. All random choices follow from its random seed.
        window: trajectories between two points of the curve.
    """

    def __init__(self, config: Config, settings: Settings, folder: Path, window: int) -> None:
        self.settings, self.window = settings, window
        self.latency = settings.variants.latency if config.arm == "rods" else 0
        self.config = _with_latency(config, self.latency)
        drawing, rolling = np.random.default_rng(config.seed).spawn(2)
        self.world = SimulatedWorld(settings, config.pool.seeds, drawing)
        self.learner = Learner(self.world.ability, settings.learner, rolling)
        self.synthesis = SimulatedSynthesis(self.world)
        self.store = Store(folder, durable=False)
        inline = None if self.latency else self.synthesis
        self.loop = Loop(self.config, self.store, self.world.seeds, inline, notice=_fail)
        self.size = config.rollout.group_size
        self.trajectories, self.tally = 0, Tally()
        self.curve = [self._point()]

    def run(self, budget: int, on_step: OnStep = ignore) -> list[Point]:
        """Train until `budget` trajectories, in whole steps; returns the curve.

        Args:
            on_step: called after each step with its number of groups.
        """
        size = self.config.rollout.tasks_per_step
        while budget - self.trajectories >= size * self.size:
            before = self.trajectories
            self._step(self.loop.next_ids())
            if self.loop.epoch_done():
                self._synthesise()
                self.loop.end_epoch()
            if before // self.window < self.trajectories // self.window:
                self.curve.append(self._point())
            on_step(size)
        if self.tally.groups:
            self.curve.append(self._point())
        return self.curve

    def _step(self, ids: Sequence[str]) -> None:
        """One training step."""
        numbers = self.world.items.numbers(ids)
        rows = self.world.items.rows[numbers]
        solved = self.learner.rollout(rows, numbers, self.size)
        reward = self.loop.stage.reward
        rewards = self.learner.train(rows, numbers, solved, binary=reward == "binary")
        shaped = reward == "format"  # which is not simulated: the progress is used
        self.loop.add_groups(
            [
                GroupRewards(i, values, values if shaped else None)
                for i, values in zip(ids, rewards.tolist(), strict=True)
            ]
        )
        self.tally.add(rewards)
        self.trajectories += rewards.size

    def _synthesise(self) -> None:
        """With a latency, do the jobs that are old enough, as a worker would."""
        loop = self.loop
        if not self.latency or loop.epoch is None:
            return
        index = loop.epoch.number
        producer = Producer(self.store, self.synthesis, self.config, _fail)
        missing = loop.curriculum.room() - loop.queue.counts(index)[1]
        jobs = loop.queue.open_jobs(index)
        for place, job in enumerate(jobs):
            if missing > 0 and job.epoch <= index - self.latency:
                most = producer.share(missing, len(jobs) - place)
                missing -= producer.do(job, loop.step, most)

    def _point(self) -> Point:
        pool, tally = self.loop.curriculum.pool, self.tally
        self.tally = Tally()
        return Point(
            self.trajectories,
            *tally.shares(),
            *on_heldout(self.learner.ability, self.world.heldout),
            seeds_mastered(self.learner, self.world.items.rows[: len(self.world.seeds)]),
            len(pool.live),
            pool.generated,
            pool.injected,
            dict(sorted(pool.retired.items())),
        )


def _fail(line: str) -> None:
    """A simulation with an error in its synthesis is not valid."""
    raise RuntimeError(line)


def simulate(
    config: Config,
    settings: Settings,
    budget: int,
    window: int,
    on_step: OnStep = ignore,
) -> Sequence[Point]:
    """The curve of one run; its store is deleted afterwards.

    Args:
        budget: trajectories in all.
        window: trajectories between two points.
        on_step: called after each step with its number of groups.
    """
    with _uncollected(), tempfile.TemporaryDirectory(prefix="rods-simulate-") as folder:
        simulation = Simulation(config, settings, Path(folder), window)
        try:
            # One transaction for the whole run: nothing is kept, and commits took a fifth of it.
            with simulation.store.transaction():
                return simulation.run(budget, on_step)
        finally:
            simulation.store.close()


@contextmanager
def _uncollected() -> Iterator[None]:
    """No garbage collection inside: it would take a tenth of a large run."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _with_latency(config: Config, latency: int) -> Config:
    """Inline synthesis, or the background mode with this process as its worker."""
    patience = max(config.synthesis.patience, latency)
    mode = "background" if latency else "inline"
    changed = config.synthesis.model_copy(update={"mode": mode, "patience": patience})
    return config.model_copy(update={"synthesis": changed})
