"""Forecasts whether a task will have signal before anybody plays it.

Not in the paper: with a forecast more candidates than fit are made, and those whose first group
will most likely have signal are admitted (`pool.forecast`).

Each rollout brings a verdict for each turn, so each group is K trials of each of its turns. A
logistic model learns how the chance that a turn passes depends on what the turn asks for. It is
updated after each training step, and old evidence fades, since the policy changes. For a new task
it gives the distribution of the number of turns that a rollout passes, and from this the mean
outcome and the probability that K outcomes differ.

The forecast has a bias of its own: it is corrected by what the first groups of earlier variants
showed (`Calibration`). No rollout is played for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from math import exp, log, pi, sqrt
from typing import Any, NamedTuple, TypeVar

from rods.curriculum.admission import Waiting
from rods.curriculum.pool import Pool
from rods.group import Group
from rods.task import Task

PRIOR = 1.0  # variance of a weight before any evidence
DRIFT = 0.002  # that a training step adds to the variance of a weight, up to `PRIOR`
TASK = 1.0  # variance of the logit between tasks with the same features
ALIKE = 0.3  # correlation of the trials of one group
NODES = ((-1.7320508075688772, 1 / 6), (0.0, 2 / 3), (1.7320508075688772, 1 / 6))
"""Gauss-Hermite nodes and weights for a standard normal variable."""

W = TypeVar("W", bound=Waiting)
Turn = tuple[str, ...]
"""The features of a turn: names, each of which has a weight."""


def features(task: Task, family: str) -> list[Turn]:
    """The features of each turn of a task.

    Args:
        family: id of the seed task that it descends from.
    """
    found, tools = [], set[str]()
    for place, turn in enumerate(task.turns):
        names = [call.name for call in turn.ground_truth]
        row = ["any", f"category {task.category}", f"turn {min(place, 5)}", f"family {family}"]
        row.append(f"calls {min(len(names), 4)}")
        row += [f"tool {name}" for name in dict.fromkeys(names)]
        row += [f"again {name}" for name in dict.fromkeys(names) if name in tools]
        tools.update(names)
        found.append(tuple(row))
    return found


class Forecast(NamedTuple):
    """What is expected of a task's next group.

    Attributes:
        mean: mean outcome, in [0, 1].
        signal: probability that the outcomes of the group differ.
    """

    mean: float
    signal: float


@dataclass
class TurnModel:
    """Logistic regression with independent normal weights, updated one group at a time.

    Its state is a function of the groups that it observed, in their order.
    """

    weights: dict[str, tuple[float, float, int]] = field(default_factory=dict)
    """Feature -> mean and variance of its weight, and the step at which it was last updated."""

    def observe(self, turns: Sequence[Turn], passes: Sequence[int], size: int, step: int) -> None:
        """Learn from a group.

        Args:
            turns: the features of the task's turns.
            passes: how many of the rollouts passed each turn.
            size: number of rollouts.
            step: the training step.
        """
        trials = size / (1 + (size - 1) * ALIKE)  # independent trials with as much evidence
        for turn, passed in zip(turns, passes, strict=True):
            mean, variance = self._logit(turn, step)
            chance = _expected(mean, variance + TASK)
            gradient = trials * (passed / size - chance)
            curvature = trials * chance * (1 - chance)
            scale = 1 + curvature * (variance + TASK)
            for name in turn:
                m, v = self._weight(name, step)
                self.weights[name] = m + v * gradient / scale, v - v * v * curvature / scale, step

    def forecast(self, turns: Sequence[Turn], size: int, step: int) -> Forecast:
        """The forecast of a group of `size` rollouts, not calibrated."""
        logits = [self._logit(turn, step) for turn in turns]
        mean = constant = 0.0
        for node, weight in NODES:
            chances = [_chance(m + node * sqrt(v + TASK)) for m, v in logits]
            counts = _counts(chances)
            mean += weight * sum(chances) / len(chances)
            constant += weight * sum(share**size for share in counts)
        return Forecast(mean, 1 - constant)

    def _logit(self, turn: Turn, step: int) -> tuple[float, float]:
        """Mean and variance of the sum of the weights of a turn."""
        found = [self._weight(name, step) for name in turn]
        return sum(m for m, _ in found), sum(v for _, v in found)

    def _weight(self, name: str, step: int) -> tuple[float, float]:
        mean, variance, seen = self.weights.get(name, (0.0, PRIOR, step))
        return mean, min(PRIOR, variance + DRIFT * (step - seen))


@dataclass
class Calibration:
    """Corrects a probability by what followed earlier ones: logit(p) -> a + b logit(p)."""

    a: float = 0.0
    b: float = 1.0
    trust: tuple[float, float] = (0.5, 0.1)
    """Variances of `a` and `b`."""

    def correct(self, chance: float) -> float:
        """The corrected probability."""
        return _chance(self.a + self.b * _logit(chance))

    def observe(self, chance: float, happened: bool) -> None:
        """Learn from a probability, before its correction, and what followed."""
        x = _logit(chance)
        now = _chance(self.a + self.b * x)
        gradient, curvature = happened - now, now * (1 - now)
        va, vb = self.trust
        scale = 1 + curvature * (va + vb * x * x)
        self.a += va * gradient / scale
        self.b += vb * x * gradient / scale
        self.trust = va - va * va * curvature / scale, vb - vb * vb * x * x * curvature / scale


class Forecaster:
    """Forecasts the first groups of variants, and learns from all groups.

    Args:
        size: K, rollouts of a group.
        task: gives the task of an id.

    Attributes:
        made: task id -> mean and signal that were forecast for the variants whose first group came
            with the latest step.
    """

    def __init__(self, size: int, task: Callable[[str], Task]) -> None:
        self.size, self.task = size, task
        self.model, self.calibration = TurnModel(), Calibration()
        self.made: dict[str, Forecast] = {}

    def observe(self, groups: Sequence[Group], pool: Pool) -> None:
        """Learn from the groups of a step; the pool has not observed them yet."""
        self.made = {}
        for group in groups:
            if not group.complete or group.passes is None:
                continue
            turns = self._turns(group.task_id, pool)
            entry = pool.entries.get(group.task_id)
            if entry and entry.generated and entry.seen < 0:
                found = self.model.forecast(turns, self.size, group.step)
                self.made[group.task_id] = self._corrected(found)
                self.calibration.observe(found.signal, group.undecided)
            passes = [*group.passes, *[0] * len(turns)][: len(turns)]
            self.model.observe(turns, passes, len(group.rewards), group.step)

    def ranked(self, waiting: Sequence[W], pool: Pool, step: int) -> list[W]:
        """The candidates by forecast signal, the best first."""

        def signal(candidate: W) -> float:
            turns = features(self.task(candidate.task_id), pool.family(candidate.parent))
            return self.model.forecast(turns, self.size, step).signal

        return sorted(waiting, key=signal, reverse=True)

    def state(self) -> dict[str, Any]:
        """All that future forecasts depend on, as plain data."""
        return {"weights": self.model.weights, "calibration": asdict(self.calibration)}

    def _turns(self, task_id: str, pool: Pool) -> list[Turn]:
        return features(self.task(task_id), pool.family(task_id))

    def _corrected(self, found: Forecast) -> Forecast:
        return found._replace(signal=self.calibration.correct(found.signal))


def _counts(chances: Sequence[float]) -> list[float]:
    """Probability of each number of passed turns, if turns pass independently."""
    found = [1.0]
    for chance in chances:
        kept = [share * (1 - chance) for share in found] + [0.0]
        more = [0.0] + [share * chance for share in found]
        found = [one + two for one, two in zip(kept, more, strict=True)]
    return found


def _expected(mean: float, variance: float) -> float:
    """Expected chance of a normally distributed logit (MacKay 1992)."""
    return _chance(mean / sqrt(1 + pi * variance / 8))


def _chance(logit: float) -> float:
    return 1 / (1 + exp(-max(-30.0, min(30.0, logit))))


def _logit(chance: float) -> float:
    chance = max(1e-6, min(1 - 1e-6, chance))
    return log(chance / (1 - chance))
