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

from doubles import SEEDS, begin, configs, content, faults_of, go, play
from rods.config import Config
from rods.curriculum.pool import fold
from rods.loop import Loop
from rods.task import Task


class Training(RuleBasedStateMachine):
    """A trainer that checkpoints when it likes and dies when it likes."""

    @initialize(config=configs.filter(lambda config: config.arm == "rods"))
    def start(self, config: Config) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.config, self.checkpoint = config, 0
        self.loop = self.open()

    def open(self, name: str = "run", step: int = 0) -> Loop:
        self.ahead: list[list[Task]] = []
        return begin(self.config, self.root / name, step)

    @rule(steps=st.integers(1, 4))
    def steps(self, steps: int) -> None:
        for _ in range(steps):
            tasks = self.ahead.pop(0) if self.ahead else self.loop.next_tasks()
            self.loop.add_groups(play(tasks, self.loop.step + 1))

    @rule(steps=st.integers(1, 3))
    def read_ahead(self, steps: int) -> None:
        """As a trainer does that prefetches; what it read is lost when it dies."""
        for _ in range(steps):
            if tasks := self.loop.next_tasks():
                self.ahead.append(tasks)

    @rule()
    def save(self) -> None:
        self.checkpoint = self.loop.save()

    @rule()
    def die(self) -> None:
        self.loop.store.close()
        self.loop = self.open(step=self.checkpoint)
        assert self.loop.step == self.checkpoint

    @precondition(lambda self: self.loop.step > self.checkpoint)
    @rule()
    def die_and_die_again(self) -> None:
        self.loop.store.close()
        begin(self.config, self.root / "run", self.checkpoint).store.close()
        self.loop = self.open(step=self.checkpoint)

    @rule()
    def go_back(self) -> None:
        """Without a new process."""
        self.ahead.clear()
        self.loop.load(self.checkpoint)

    @invariant()
    def the_stored_history_keeps_its_promises(self) -> None:
        assert faults_of(self.loop.store, self.config) == []
        again = fold(self.loop.store.events(), self.loop.store.categories()).entries
        entries = self.loop.curriculum.pool.entries
        shown = {i: replace(entry, seen=-1) for i, entry in entries.items()}
        assert again == shown, "its events make another pool"
        states = {i: e.state for i, e in entries.items()}
        assert {task.id for task in SEEDS} <= states.keys(), "an original is gone"
        assert not [task.id for task in SEEDS if states[task.id] == "retired"]
        size = self.config.rollout.tasks_per_step
        ids = self.loop.epoch.task_ids if self.loop.epoch else []
        assert len(set(ids)) == len(ids) or len(ids) == size

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
        ahead = self.ahead
        whole = self.open("whole")
        go(whole, self.loop.step)
        if ahead or self.loop.epoch != whole.epoch:  # it has read ahead, at least to the next epoch
            whole.next_ids()
        assert whole.curriculum.state() == self.loop.curriculum.state()
        assert whole.curriculum.pool == self.loop.curriculum.pool
        assert whole.epoch == self.loop.epoch
        self.loop.load(self.loop.step)  # what was only read ahead is not of the history
        whole.load(whole.step)
        assert whole.curriculum.state() == self.loop.curriculum.state()
        assert whole.curriculum.pool == self.loop.curriculum.pool
        assert whole.next_ids() == self.loop.next_ids()
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
