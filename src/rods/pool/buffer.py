"""The replay buffer as a whole: the pool, and the rule and policies that act on it.

It lives in memory, and neither stores nor synthesises: the loop does that with what it answers. Its
state is a function of the events and groups that it was shown, and of what the latest end of an
epoch carried over, so `replay` brings it back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import groupby

from rods.boundary.named import make_rule
from rods.boundary.selection import Chooser, Selection
from rods.config import Config
from rods.group import Group
from rods.pool.admission import Admission, Waiting
from rods.pool.event import Event
from rods.pool.pool import Pool, fold
from rods.pool.retirement import Retirement


class ReplayBuffer:
    """Chooses seeds, lets go, and lets in.

    Attributes:
        pool: the state.
        rule: where tasks stand.
        selection: what was chosen at the latest step.
    """

    def __init__(self, config: Config) -> None:
        self.pool, self.rule = Pool(), make_rule(config)
        limits = config.boundary
        self.chooser = Chooser(self.rule, limits.quota, limits.cooldown, limits.redistribute)
        self.retirement = Retirement(config.pool, self.rule)
        self.admission = Admission(config.pool, self.rule)
        self.selection = Selection()

    def apply(self, events: Iterable[Event], categories: Mapping[str, str] = {}) -> None:
        """Take events that happened.

        Args:
            categories: of tasks that join, by id.
        """
        for event in events:
            self.pool.apply(event, categories.get(event.task_id))

    def observe(
        self, groups: Sequence[Group], *, expand: bool, stage: Collection[str]
    ) -> Selection:
        """Take the groups of a step.

        Args:
            expand: choose seeds among them and judge them; otherwise they are only remembered.
            stage: the categories that are trained on; only these have a quota.
        """
        self._see(groups, judge=expand)
        self.selection = Selection()
        if expand:
            known = self.pool.categories()
            categories = [c for c in known if c in stage] or known  # as `order.draw` does
            self.selection = self.chooser.choose(groups, self.pool.chosen, categories)
        return self.selection

    def retire(self, step: int, epoch: int) -> list[Event]:
        """Let go of what `epoch` has shown to be of no use."""
        gone = self.retirement.end(self.pool, step, epoch)
        self.apply(gone)
        return gone

    def wanted(self) -> int:
        """How many candidates the end of an epoch could take in at most, as the pool is now."""
        return self.admission.wanted(self.pool)

    def room(self) -> int:
        """How many candidates would find a place now."""
        return self.admission.room(self.pool)

    def admit(self, waiting: Sequence[Waiting], step: int, epoch: int) -> list[Event]:
        """Let in the first of those that wait, at the end of `epoch`."""
        came = self.admission.admit(self.pool, waiting, step, epoch)
        self.apply(came, {candidate.task_id: candidate.category for candidate in waiting})
        return came

    def replay(
        self,
        events: Iterable[Event],
        categories: Mapping[str, str],
        groups: Iterable[Group],
        judged: Callable[[int], bool],
        carried: Fraction,
    ) -> None:
        """Bring back the state after a history.

        Args:
            judged: whether verdicts on the groups of an epoch are still to be carried out.
            carried: see `Admission.carried`.

        Raises:
            ImpossibleEventError: the history is not one that can have happened.
        """
        self.pool, self.admission.carried = fold(events, categories), carried
        for _, step in groupby(groups, key=lambda group: group.step):
            found = list(step)
            self._see(found, judge=judged(found[0].epoch))

    def _see(self, groups: Sequence[Group], *, judge: bool) -> None:
        for group in groups:
            self.rule.observe(group)
        self.pool.observe(groups)
        if judge:
            self.retirement.observe(groups, self.pool)
