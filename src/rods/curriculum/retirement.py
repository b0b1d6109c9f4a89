"""Retirement: burn-in, retirement of generated tasks, rest and re-examination of originals.

Tasks are judged when their groups are observed, so the end of an epoch costs O(changed tasks).

Departures from the paper: under a rule that looks at the signal, a generated task whose next group
is expected to have none retires too ("no signal"); originals may rest (`rest_epochs`) and are
re-examined, at first after `rest_epochs`, then after twice as long each time they are found
unchanged; a floor of live tasks a category is protected: the most valuable ones stay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from rods.config import PoolConfig
from rods.curriculum.boundary import BoundaryRule, Standing
from rods.curriculum.pool import Entry, Event, Pool
from rods.group import Group

DOUBLINGS = 3  # of the time to an original's next examination, at most
UNSEEN = 2  # epochs without a group after which a rule's forecast may judge
PASS = ""  # a verdict: the trial is passed


class Retirement:
    """Judges tasks as they are seen, and carries the verdicts out at the end of the epoch.

    Attributes:
        verdicts: task id -> what the epoch's end will do with it: PASS, or why it has to leave.
        kept: category -> tasks that only the floor kept, at the latest end of an epoch.
    """

    def __init__(self, config: PoolConfig, rule: BoundaryRule) -> None:
        self.config, self.rule = config, rule
        self.kept: Counter[str] = Counter()
        self.verdicts: dict[str, str] = {}

    def observe(self, groups: Iterable[Group], pool: Pool) -> None:
        """Judge the tasks of groups that the rule has observed; an incomplete group judges none."""
        for group in groups:
            entry = pool.live.get(group.task_id)
            standing = self.rule.standing(group.task_id, group.epoch)
            if group.complete and entry is not None and standing is not None:
                self._judge(entry, standing, group.epoch)

    def end(self, pool: Pool, step: int, epoch: int) -> list[Event]:
        """What changes because of `epoch`, which has ended."""
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
        if self.config.floor:  # the least valuable go first
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
        """Why a task has to go, or PASS."""
        config = self.config
        if not entry.generated:
            return self._weary(standing) if config.rest_epochs else PASS
        if entry.state == "trial" and standing.mean < config.burn_in:
            return "failed burn-in"
        if standing.mean > config.mastered:
            return "mastered"
        if standing.mean < config.hard:
            return "too hard"
        if standing.no_signal and self.rule.by_signal:
            return "no signal"
        stale = config.stale_epochs
        return "stale" if stale is not None and epoch + 1 - entry.since >= stale else PASS

    def _weary(self, standing: Standing) -> str:
        if standing.mean > self.config.mastered:
            return "mastered"
        if not standing.no_signal:
            return PASS
        return "too hard" if standing.mean < self.config.hard else "no signal"

    def _rested(self, pool: Pool, epoch: int) -> Iterator[Entry]:
        """Originals whose rest is over, or of which the forecast has changed."""
        for entry in pool.resting.values():
            rest = self.config.rest_epochs << min(max(0, entry.rests - 1), DOUBLINGS)
            if epoch - entry.since >= rest:
                yield entry
            elif self.rule.forecasts:
                standing = self.rule.standing(entry.task_id, epoch)
                if standing is not None and not self._weary(standing):
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
    """How a trial that was passed is to be read: a new task's burn-in, or an original's return."""
    if entry.generated or not entry.rests:
        return ""
    return "forgotten" if entry.reason == "mastered" else "within reach"
