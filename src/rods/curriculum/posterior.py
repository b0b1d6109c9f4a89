"""A posterior over each task's outcomes, from all its groups; recent groups count more.

Not in the paper: a boundary rule that uses all groups of a task. One group of K = 16 is a noisy
measurement of a quantity that changes, and the other rules use the latest group only.

A task's outcomes follow an unknown distribution over their possible values, with a Dirichlet
posterior: each rollout adds one to the weight of its outcome, and all weights are multiplied by
`memory` for each epoch. Then all that the pool needs has a closed form, for binary outcomes and for
those by turn:

- the expected mean, sum_v a_v v / A, with weights a_v and A = sum_v a_v;
- the expected variance of the outcomes, A / (A + 1) * (E[v^2] - E[v]^2), which ranks parent tasks;
- the probability that the next group is constant, sum_v E[p_v^K], where for a Dirichlet
  E[p_v^K] = G(a_v + K) G(A) / (G(a_v) G(A + K)), G being the gamma function.

For a task that was not seen for some epochs there is a forecast: its weights fade towards the
prior, and a share of its failures is expected to become successes (or the reverse), by the drift
that the tasks of its category showed between two measurements.
"""

from __future__ import annotations

from collections import defaultdict
from math import exp, lgamma
from typing import NamedTuple

from rods.curriculum.boundary import Standing
from rods.group import Group

PRIOR = 0.5  # weight of success, and of failure, before any group (Jeffreys prior)
LEAST_CHANCE = 0.5  # probability of signal below which none is expected
FADING = 0.99  # factor of the drift's older evidence at each measurement
MOST_DRIFT = 0.5  # largest share of failures that may become successes in an epoch


class _Evidence(NamedTuple):
    weights: tuple[tuple[float, float], ...]  # (reward, weight)
    epoch: int
    mean: float  # of the latest complete group


class _Drift:
    """How the mean outcome of a category's tasks changes in an epoch, from pairs of groups."""

    def __init__(self) -> None:
        self.moved = self.short = self.had = 0.0

    def add(self, before: float, after: float, epochs: int) -> None:
        self.moved = FADING * self.moved + after - before
        self.short = FADING * self.short + epochs * (1 - before)
        self.had = FADING * self.had + epochs * before

    @property
    def share(self) -> float:
        """Share of failures that become successes in an epoch; negative if tasks are forgotten."""
        base = self.short if self.moved > 0 else self.had
        share = self.moved / base if base > 0 else 0.0
        return max(-MOST_DRIFT, min(MOST_DRIFT, share))


class PosteriorRule:
    """A task is at the boundary if its next group of K probably has signal.

    Args:
        size: K.
        memory: weight that evidence keeps from one epoch to the next, in [0, 1].
    """

    name = "posterior"
    by_signal = True
    forecasts = True

    def __init__(self, size: int, memory: float) -> None:
        self.size, self.memory = size, memory
        self._evidence: dict[str, _Evidence] = {}
        self._category: dict[str, str] = {}
        self._drift: dict[str, _Drift] = defaultdict(_Drift)

    def observe(self, group: Group) -> None:
        """All outcomes count, also those of an incomplete group."""
        if not group.verified:
            return
        weights: dict[float, float] = {}
        known = self._evidence.get(group.task_id)
        if known is not None:
            passed = group.epoch - known.epoch
            weights = {value: w * self.memory**passed for value, w in known.weights}
            if passed > 0 and group.complete:
                self._drift[group.category].add(known.mean, group.mean, passed)
        for outcome in group.verified:
            weights[outcome] = weights.get(outcome, 0.0) + 1.0
        mean = group.mean if group.complete or known is None else known.mean
        kept = tuple((value, w) for value, w in sorted(weights.items()) if w > 1e-3)
        self._evidence[group.task_id] = _Evidence(kept, group.epoch, mean)
        self._category[group.task_id] = group.category

    def standing(self, task_id: str, epoch: int) -> Standing | None:
        known = self._evidence.get(task_id)
        if known is None:
            return None
        weights = self._forecast(known, self._category[task_id], epoch - known.epoch)
        weights[0.0] = weights.get(0.0, 0.0) + PRIOR
        weights[1.0] = weights.get(1.0, 0.0) + PRIOR
        total = sum(weights.values())
        mean = sum(w * value for value, w in weights.items()) / total
        square = sum(w * value * value for value, w in weights.items()) / total
        variance = total / (total + 1) * max(0.0, square - mean * mean)
        no_signal = 1 - self._constant(weights, total) < LEAST_CHANCE
        return Standing(mean, 4 * variance, not no_signal, no_signal)

    def _forecast(self, known: _Evidence, category: str, epochs: int) -> dict[float, float]:
        """The weights after some epochs without a group of the task."""
        if epochs <= 0:
            return dict(known.weights)
        share = self._drift[category].share
        moved = 1 - (1 - abs(share)) ** epochs
        target = 1.0 if share > 0 else 0.0
        faded = {value: w * self.memory**epochs for value, w in known.weights}
        gone = {value: w * (1 - moved) for value, w in faded.items()}
        gone[target] = gone.get(target, 0.0) + moved * sum(faded.values())
        return gone

    def _constant(self, weights: dict[float, float], total: float) -> float:
        """Probability that the next `size` rewards are all equal."""
        whole = lgamma(total) - lgamma(total + self.size)
        return sum(
            exp(lgamma(w + self.size) - lgamma(w) + whole) for w in weights.values() if w > 0
        )
