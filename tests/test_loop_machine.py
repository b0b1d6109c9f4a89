"""The loop over its store, under any order of steps, checkpoints, crashes and resumptions."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from doubles import SEEDS, begin, configs, content, faults_of, play
from rods.config import Config
from rods.loop import Epoch, Loop
from rods.pool.pool import fold


class Training(RuleBasedStateMachine):
    """A trainer that checkpoints when it likes and dies when it likes."""

    @initialize(config=configs.filter(lambda config: config.arm == "rods"))
    def start(self, config: Config) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.config, self.checkpoint = config, 0
        self.loop, self.epoch = self.open()

    def open(self, name: str = "run", step: int = 0) -> tuple[Loop, Epoch]:
        loop = begin(self.config, self.root / name, step)
        return loop, loop.next_epoch()

    def train(self, loop: Loop, epoch: Epoch) -> Epoch:
        """One step, and the next epoch if that was the last one of this."""
        size = self.config.rollout.tasks_per_step
        done = (loop.step - epoch.first_step + 1) * size
        tasks = [loop.task(i) for i in epoch.ids[done : done + size]]
        loop.observe(play(tasks, epoch.index, loop.step + 1))
        return loop.next_epoch() if loop.epoch_done() else epoch

    @rule(steps=st.integers(1, 4))
    def steps(self, steps: int) -> None:
        for _ in range(steps):
            self.epoch = self.train(self.loop, self.epoch)

    @rule()
    def save(self) -> None:
        self.checkpoint = self.loop.step

    @rule()
    def die(self) -> None:
        self.loop.store.close()
        self.loop, self.epoch = self.open(step=self.checkpoint)
        assert self.loop.step == self.checkpoint

    @precondition(lambda self: self.loop.step > self.checkpoint)
    @rule()
    def die_and_die_again(self) -> None:
        self.loop.store.close()
        begin(self.config, self.root / "run", self.checkpoint).store.close()
        self.loop, self.epoch = self.open(step=self.checkpoint)

    @invariant()
    def the_stored_history_keeps_its_promises(self) -> None:
        assert faults_of(self.loop.store, self.config) == []
        again = fold(self.loop.store.events(), self.loop.store.categories()).entries
        shown = {i: replace(entry, seen=-1) for i, entry in self.loop.pool.entries.items()}
        assert again == shown, "its events make another pool"
        states = {i: e.state for i, e in self.loop.pool.entries.items()}
        assert {task.id for task in SEEDS} <= states.keys(), "an original is gone"
        assert not [task.id for task in SEEDS if states[task.id] == "retired"]
        size = self.config.rollout.tasks_per_step
        assert len(set(self.epoch.ids)) == len(self.epoch.ids) or len(self.epoch.ids) == size

    @invariant()
    def selection_keeps_to_quotas_and_cooldown(self) -> None:
        quota, cooldown = self.config.boundary.quota, self.config.boundary.cooldown
        categories = self.loop.store.categories()
        steps: dict[str, list[int]] = defaultdict(list)
        taken: Counter[tuple[int, str]] = Counter()
        for event in self.loop.store.events():
            if event.kind == "chosen":
                steps[event.task_id].append(event.step)
                taken[event.step, categories[event.task_id]] += 1
        if self.config.boundary.redistribute:
            whole: Counter[int] = Counter()
            for (step, _), n in taken.items():
                whole[step] += n
            assert max(whole.values(), default=0) <= quota * len(set(categories.values()))
        else:
            assert max(taken.values(), default=0) <= quota
        for found in steps.values():
            gaps = [later - sooner for sooner, later in itertools.pairwise(found)]
            assert min(gaps, default=cooldown) >= cooldown

    def teardown(self) -> None:
        if not hasattr(self, "loop"):
            return
        whole, epoch = self.open("whole")
        while whole.step < self.loop.step:
            epoch = self.train(whole, epoch)
        assert whole.pool == self.loop.pool
        assert epoch.ids == self.epoch.ids
        assert content(whole.store) == content(self.loop.store)
        for loop in (whole, self.loop):
            loop.store.close()
        shutil.rmtree(self.root)


Training.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestTraining = Training.TestCase
