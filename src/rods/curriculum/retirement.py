"""Retirement: burn-in, retirement of generated tasks, rest and re-examination of seed tasks.

Tasks are judged when their groups are observed, so the end of an epoch costs O(verdicts + resting
tasks); a rule that forecasts also looks at each live task.

Departure from the paper: three rules are added.

- With a rule that uses the signal, or with `retire_no_signal`, a generated task whose next group is
  expected to have no signal retires too ("no signal").
- Seed tasks may rest (`rest_epochs`). They are re-examined first after `rest_epochs`, then after
  twice as long each time they are found unchanged.
- For each category a floor of live tasks is protected: those of most value are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from rods.config import PoolConfig
from rods.curriculum.boundary import BoundaryRule, Standing
from rods.curriculum.pool import Entry, Event, Pool
from rods.group import Group

DOUBLINGS = 3  # of the time to a seed task's next examination, at most
UNSEEN = 2  # epochs without a group after which a task is judged by a forecast
PASS = ""  # a verdict: the task passes its trial, or remains


class Retirement:
    """Judges tasks when their groups are observed; the end of the epoch carries the verdicts out.

    Attributes:
        retires_no_signal: whether variants retire whose next group is expected to have no signal.
        verdicts: task id -> PASS, or why it will retire or rest at the epoch's end.
        kept: category -> tasks that only the floor kept, at the latest end of an epoch.
    """

    def __init__(self, config: PoolConfig, rule: BoundaryRule) -> None:
        self.config, self.rule = config, rule
        chosen = config.retire_no_signal
        self.retires_no_signal = rule.by_signal if chosen is None else chosen
        self.kept: Counter[str] = Counter()
        self.verdicts: dict[str, str] = {}

    def observe(self, groups: Iterable[Group], pool: Pool) -> None:
        """Judge the tasks of groups that the rule has observed; incomplete groups are skipped."""
        for group in groups:
            entry = pool.live.get(group.task_id)
            standing = self.rule.standing(group.task_id, group.epoch)
            if group.complete and entry is not None and standing is not None:
                self._judge(entry, standing, group.epoch)

    def end(self, pool: Pool, step: int, epoch: int) -> list[Event]:
        """The events at the end of `epoch`."""
        after = epoch + 1
        if self.rule.forecasts:
            self._forecast(pool, epoch)
        rested = self._rested(pool, after)
        woken = [Event(step, after, entry.task_id, "woken", entry.reason) for entry in rested]
        left = pool.surplus(self.config.floor)
        left.update(pool.entries[event.task_id].category for event in woken)
        passed, leaving = [], []
        for task_id, reason in self.verdicts.items():
            entry = pool.entries[task_id]
            if reason == PASS:
                passed.append(Event(step, after, task_id, "passed", _examined(entry)))
            else:
                leaving.append((task_id, reason, entry))
        self.verdicts, self.kept = {}, Counter()
        if self.config.floor:  # those of least value leave first
            leaving.sort(key=lambda found: (self._value(found[2], epoch), found[0]))
        gone = []
        for task_id, reason, entry in leaving:
            if left[entry.category] > 0:
                left[entry.category] -= 1
                kind = "retired" if entry.generated else "rested"
                gone.append(Event(step, after, task_id, kind, reason))
            else:
                self.kept[entry.category] += 1
                if entry.state == "trial":
                    passed.append(Event(step, after, task_id, "passed", "kept by the floor"))
        return passed + gone + woken

    def _judge(self, entry: Entry, standing: Standing, epoch: int) -> None:
        reason = self._reason(entry, standing, epoch)
        if reason or entry.state == "trial":
            self.verdicts[entry.task_id] = reason
        else:
            self.verdicts.pop(entry.task_id, None)

    def _reason(self, entry: Entry, standing: Standing, epoch: int) -> str:
        """Why a task must leave, or PASS."""
        config = self.config
        if not entry.generated:
            return self._rest_reason(standing) if config.rest_epochs else PASS
        if not config.retire:
            return PASS
        if entry.state == "trial" and standing.mean < config.burn_in:
            return "failed burn-in"
        if standing.mean > config.mastered:
            return "mastered"
        if standing.mean < config.hard:
            return "too hard"
        if standing.no_signal and self.retires_no_signal:
            return "no signal"
        stale = config.stale_epochs
        return "stale" if stale is not None and epoch + 1 - entry.since >= stale else PASS

    def _rest_reason(self, standing: Standing) -> str:
        if standing.mean > self.config.mastered:
            return "mastered"
        if not standing.no_signal:
            return PASS
        return "too hard" if standing.mean < self.config.hard else "no signal"

    def _rested(self, pool: Pool, epoch: int) -> Iterator[Entry]:
        """Seed tasks whose rest is over, or whose forecast has changed."""
        for entry in pool.resting.values():
            rest = self.config.rest_epochs << min(max(0, entry.rests - 1), DOUBLINGS)
            if epoch - entry.since >= rest:
                yield entry
            elif self.rule.forecasts:
                standing = self.rule.standing(entry.task_id, epoch)
                if standing is not None and not self._rest_reason(standing):
                    yield entry

    def _forecast(self, pool: Pool, epoch: int) -> None:
        for entry in pool.live.values():
            if 0 <= entry.seen <= epoch - UNSEEN:
                standing = self.rule.standing(entry.task_id, epoch)
                if standing is not None:
                    self._judge(entry, standing, epoch)

    def _value(self, entry: Entry, epoch: int) -> float:
        standing = self.rule.standing(entry.task_id, epoch)
        return standing.priority if standing else 1.0


def _examined(entry: Entry) -> str:
    """The reason of a passed trial: "" for a burn-in, or how a seed task has changed."""
    if entry.generated or not entry.rests:
        return ""
    return "forgotten" if entry.reason == "mastered" else "within reach"
