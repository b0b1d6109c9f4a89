"""What pages show of a run at one moment, as plain numbers."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from rods.config import SynthesisConfig
from rods.curriculum.boundary import Thresholds
from rods.digest.digest import Digest, zone_limits
from rods.store.account import Account
from rods.store.lease import alive
from rods.store.news import News
from rods.store.schema import Evaluation, JobsDone

MOST_FAMILIES = 40  # that are shown


class Step(NamedTuple):
    """A training step.

    Attributes:
        signal: share of its groups with signal.
        active: live tasks.
        parts: name -> seconds of a part of the step; {} where the trainer does not say.
    """

    step: int
    epoch: int
    signal: float | None
    active: int | None
    seconds: float
    parts: dict[str, float]


class Tally(NamedTuple):
    """A number of things, and the sum of a value of them."""

    n: int
    total: float


@dataclass(frozen=True)
class RunState:
    """A run as far as its digest has read it.

    Attributes:
        name: the run folder's name.
        config: the run's configuration; empty if none is stored.
        share: share of the store's rows that were counted.
        notice: what a reader must know about the run's numbers.
        realisation: side -> how its tasks were made -> count.
        left_out: task that is on no side -> why.
        counts: kind of count -> place -> name -> tally; see `rods.digest.fold`.
        states: state -> number of tasks.
        families: injected variants of each family, the largest first; how many families there are.
        done: the latest training step with groups.
        account: the variants by their fate, and their cost.
        jobs: jobs that ended, by the epoch of their choice.
        queue: jobs that are open and candidates that wait.
        gave_up: why synthesis was given up, at the latest step; or "".
        works: whether a trainer is at work, and whether a synthesis worker is.
    """

    name: str
    config: dict[str, Any]
    share: float
    notice: str
    realisation: dict[str, dict[str, int]]
    left_out: dict[str, str]
    counts: dict[str, dict[int, dict[str, Tally]]]
    states: dict[str, int]
    families: tuple[list[int], int]
    funnel: dict[str, int]
    evaluations: list[Evaluation]
    done: int
    steps: list[Step]
    account: Account
    jobs: list[JobsDone]
    queue: tuple[int, int]
    gave_up: str
    works: tuple[bool, bool]

    @staticmethod
    def read(digest: Digest) -> RunState:
        """The present state of a digest; call it within a snapshot of the run's store.

        Raises:
            UserError: the run's file cannot be read or is damaged.
        """
        store, db = digest.store, digest.connect()
        try:
            config = store.meta("config") or {}
            settings = config.get("synthesis") or {}
            store.queue.patience = settings.get("patience", SynthesisConfig().patience)
            parts: dict[int, dict[str, float]] = defaultdict(dict)
            for step, name, seconds in db.execute("SELECT step, name, seconds FROM parts"):
                parts[step][name] = seconds
            steps = db.execute("SELECT step, epoch, signal, active, seconds FROM steps")
            families = """SELECT COUNT(*) FROM tasks WHERE joined GROUP BY family
                ORDER BY 1 DESC"""
            sizes = [n for (n,) in db.execute(families)]
            last = store.measures.last_metrics()
            return RunState(
                name=store.folder.resolve().name,
                config=config,
                share=digest.share,
                notice=store.meta("notice") or "",
                realisation=store.meta("realisation") or {},
                left_out=store.meta("left_out") or {},
                counts=_counts(db),
                states=dict(db.execute("SELECT state, COUNT(*) FROM tasks GROUP BY state")),
                families=(sizes[:MOST_FAMILIES], len(sizes)),
                funnel=store.funnel(),
                evaluations=store.measures.heldout(),
                done=News(store.db).step(),
                steps=[Step._make((*row, parts.get(row[0], {}))) for row in steps],
                account=Account.of(store),
                jobs=store.queue.done(),
                queue=store.queue.counts(store.epochs.last_index()),
                gave_up=(last.get("synthesis") or {}).get("gave_up", ""),
                works=RunState.at_work(store.folder),
            )
        finally:
            db.close()

    @staticmethod
    def at_work(folder: Path) -> tuple[bool, bool]:
        """Whether the run's trainer is at work, and whether its synthesis worker is."""
        return alive(folder, "trainer"), alive(folder, "worker")

    @cached_property
    def limits(self) -> Thresholds:
        """The run's zone limits, or the paper's."""
        return zone_limits(self.config)

    @property
    def arm(self) -> str:
        return str(self.config.get("arm", ""))

    def by_place(self, kind: str) -> dict[int, dict[str, Tally]]:
        """The counts of a kind; {} if there are none."""
        return self.counts.get(kind, {})

    def total(self, kind: str) -> Counter[str]:
        """The counts of a kind by name, over all places."""
        found: Counter[str] = Counter()
        for names in self.by_place(kind).values():
            for name, tally in names.items():
                found[name] += tally.n
        return found


def _counts(db: Any) -> dict[str, dict[int, dict[str, Tally]]]:
    found: dict[str, dict[int, dict[str, Tally]]] = {}
    for kind, place, name, n, total in db.execute("SELECT * FROM counts ORDER BY kind, place"):
        found.setdefault(kind, {}).setdefault(place, {})[name] = Tally(n, total)
    return found
